#!/usr/bin/env bash
# The services of the examples in real containers, as PID 1 and under `graceshut run`, driven by `podman stop` and `podman kill`
# (make test-containers). Run in the root of the repository; a command is split at spaces.
#
#     cli/tests/containers/services.sh GRACESHUT LANG=COMMAND...
#
# No image can be pulled: the root is busybox with the host's /usr, the interpreter and this repository, all read-only.
set -euo pipefail
. "$(dirname "$0")/podman.sh"
here=$(realpath "$(dirname "$0")")
shift
make_root
cd -P . # it is mounted under its own name

mounts=(-v /usr:/usr:ro -v "$PWD:$PWD:ro" -w "$PWD" --tmpfs /tmp:exec)
for folder in /lib /lib64; do
  if [ -L "$folder" ]; then ln -s "$(readlink "$folder")" "$root$folder"; elif [ -d "$folder" ]; then mounts+=(-v "$folder:$folder:ro"); fi
done
# What the command `java` is a link into, and where Debian's JDK has its configuration.
for folder in /etc/alternatives /etc/java-*; do [ ! -d "$folder" ] || mounts+=(-v "$folder:$folder:ro"); done

# interpreter_of COMMAND: the folder that a program outside /usr and the repository needs, with its libraries.
interpreter_of() {
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$1")")")
  case "$prefix/" in /usr/* | "$PWD"/*) ;; *) echo "$prefix" ;; esac
}

# of LANG COMMAND: sets `command` to what begins it, and `needs` to podman's options.
of() {
  local language=$1 prefix
  read -r -a command <<< "$2"
  command[0]=$(command -v "${command[0]}") || die "$language" "no ${2%% *}"
  [[ ${command[0]} = /* ]] || command[0]=$PWD/${command[0]}
  out=$work/out
  rm -rf "$out"
  mkdir -p "$out"
  needs=("${mounts[@]}" -v "$out:$out")
  prefix=$(interpreter_of "${command[0]}")
  [ -z "$prefix" ] || needs+=(-v "$prefix:$prefix:ro")
}

# left_cleanly NAME FILE [PHASES]: the report is there, and says clean, status 0, and what became of each phase, in order.
left_cleanly() {
  local phases
  [ -s "$2" ] || die "$1" "no report in $(basename "$2")"
  phases=$(grep -oE '"name":"[a-z]+","state":"[a-z_]+"' "$2" | tr '\n' ' ')
  grep -q '"outcome":"clean","exit_code":0,' "$2" || die "$1" "not clean: $(cat "$2")"
  [ -z "${3:-}" ] || [ "$phases" = "$3" ] || die "$1" "phases: $phases"
}
all_ran=$(printf '"name":"%s","state":"ran" ' announce drain flush close final)

# verified NAME HOW...: verify starts it, loads it, and has podman end it.
# verify and the container share a network of their own, which has the loopback and nothing else.
verified() {
  local name=$1
  shift
  unshare --net sh -c 'busybox ip link set lo up && exec "$@"' - "$graceshut" verify --ready http://127.0.0.1:8080/readyz \
    --load http://127.0.0.1:8080/work --after 1s --grace 20s --ready-timeout 60s --report "$out/report.json" --json "$out/verdict.json" \
    -- "$here/as-command.sh" "$podman" "$name" "$@" > "$out/verdict" 2>&1
}

# loaded NAME HOW...: the same, and nothing was lost; its status is 0.
loaded() {
  local name=$1 status=0
  verified "$@" || status=$?
  [ $status = 0 ] || { cat "$out/verdict"; die "$name" "verify says $status"; }
  [ "$(podman inspect -f '{{.State.ExitCode}}' "$name")" = 0 ] || die "$name" "the container's status is not 0"
}

# number KEY: of verify's verdict.
number() { grep -oE "\"$1\": [0-9]+" "$out/verdict.json" | head -n 1 | grep -oE '[0-9]+$'; }
requests() { echo "$(number sent) requests, $(number lost) lost; podman $(grep -oE 'took [0-9]+ ms' "$out/verdict" | head -n 1)"; }

# in_flight NAME FILE: what was in flight when the service stopped taking more was finished. How much that is depends on the instant,
# so that one case may meet nothing; all together may not (see the end).
in_flight() {
  busy=$(grep -oE '"at_drain_start":[0-9]+' "$2" | grep -oE '[0-9]+$')
  grep -q '"at_drain_end":0' "$2" || die "$1" "not all was finished"
  all_busy=$((all_busy + busy))
}
all_busy=0

# said NAME TIMES PATTERN: the log has so many such lines.
said() {
  local times
  times=$(podman logs "$1" 2>&1 | grep -cE "$3" || true)
  [ "$times" = "$2" ] || die "$1" "$times lines, not $2, like: $3"
}

# ---- under load -----------------------------------------------------------

stopped_as_pid_1() {
  create "$1" --network=host "${needs[@]}" -e GRACESHUT_REPORT="$out/report.json" -- "${command[@]}"
  loaded "$1" stop -t 10
  left_cleanly "$1" "$out/report.json" "$all_ran"
  in_flight "$1" "$out/report.json"
  over "$1" "$(requests), $busy in flight finished"
}

# Without any configuration: the report is one line in the log.
killed_as_pid_1() {
  create "$1" --network=host "${needs[@]}" -- "${command[@]}"
  loaded "$1" kill -s TERM
  said "$1" 1 '^graceshut: clean in .* after TERM: .*; exit 0$'
  over "$1" "$(requests)"
}

# Both write a report: `run` where it is told to, the service where the file that only it sees says so.
stopped_under_run() {
  echo "report = \"$out/service.json\"" > "$out/service.toml"
  create "$1" --network=host "${needs[@]}" -- /bin/graceshut run --report "$out/report.json" --child-config "$out/service.toml" -- "${command[@]}"
  loaded "$1" stop -t 10
  left_cleanly "$1" "$out/report.json"
  left_cleanly "$1" "$out/service.json" "$all_ran"
  in_flight "$1" "$out/service.json"
  over "$1" "$(requests), $busy in flight finished"
}

killed_under_run() {
  create "$1" --network=host "${needs[@]}" -- /bin/graceshut run -- "${command[@]}"
  loaded "$1" kill -s TERM
  said "$1" 2 '^graceshut: clean in .* after TERM: .*; exit 0$'
  over "$1" "$(requests)"
}

# The same load and KILL in place of TERM: work was in flight, and a loss is found.
killed_by_kill() {
  local status=0
  create "$1" --network=host "${needs[@]}" -- "${command[@]}"
  verified "$1" kill -s KILL || status=$?
  [ $status = 1 ] || { cat "$out/verdict"; die "$1" "verify says $status, not 1"; }
  [ "$(number lost)" -gt 0 ] || die "$1" "verify saw no loss"
  over "$1" "$(requests)"
}

# ---- with a hook that never ends ------------------------------------------

# hung NAME GRACE PHASE [BEFORE...]: the service runs, with such a hook in that phase; BEFORE is what starts it, and does not read its file.
hung() {
  local file=GRACESHUT_CONFIG
  [ $# = 3 ] || file=NOT_READ_BY_RUN
  cat > "$out/graceshut.toml" <<T
report = "$out/report.json"
[[hook]]
phase = "$3"
name = "hung"
exec = ["sh", "-c", "trap '' TERM; touch $out/hangs; while :; do sleep 0.1; done"]
T
  start "$1" "${needs[@]}" -e GRACESHUT_GRACE="$2" -e "$file=$out/graceshut.toml" -- "${@:4}" "${command[@]}"
}

# reports NAME PATTERN...: the service's report has them all.
reports() {
  local pattern
  for pattern in "${@:2}"; do
    grep -qE "$pattern" "$out/report.json" || die "$1" "no $pattern in the report: $(cat "$out/report.json" 2>&1)"
  done
}
last_hook_ran='"name":"telemetry","kind":"[a-z]+","outcome":"ok"'

# budget_kept NAME SECONDS: nobody's KILL is needed, and what comes behind the hook still runs.
budget_kept() {
  timed podman stop -t 10 "$1"; left_with "$1" 1 500 8000
  reports "$1" '"name":"hung","kind":"exec","outcome":"killed"' "$last_hook_ran" '"outcome":"degraded","exit_code":1,'
  local used
  used=$(grep -oE '"exit_signal":null,"used_us":[0-9]+' "$out/report.json" | grep -oE '[0-9]+$')
  [ "$used" -le $(($2 * 1000000)) ] || die "$1" "used $used us of $2 s"
  over "$1" "status 1, degraded in $((used / 1000)) ms of $2 s"
}

# A grace of 60 s, of which `announce` may have a quarter, and a `podman stop` that waits one second: killed from outside, and with PID 1 everything it had started.
killed_from_outside() {
  timed podman stop -t 1 "$1"; left_with "$1" 137 900 6000
  [ -e "$out/hangs" ] || die "$1" "killed before its hook ran"
  over "$1" "status 137, $took ms"
}

# The second TERM cuts the plan to its reserves; `final` keeps its own.
cut_by_a_second_term() {
  local until=$((SECONDS + 30))
  podman kill -s TERM "$1" >/dev/null
  until [ -e "$out/hangs" ]; do
    [ $SECONDS -lt $until ] || die "$1" "the hook never ran"
    sleep 0.02
  done
  sleep 0.6 # a signal within 500 ms of the last one is the same one (spec 7.1)
  podman kill -s TERM "$1" >/dev/null
  timed podman wait "$1"; left_with "$1" 143 0 8000
  reports "$1" "$last_hook_ran" '"outcome":"forced","exit_code":143,'
  over "$1" "status 143, forced, $took ms after the second TERM"
}

# ---- every service --------------------------------------------------------

for service in "$@"; do
  language=${service%%=*}
  of "$language" "${service#*=}"; stopped_as_pid_1 "$language-stop"
  of "$language" "${service#*=}"; killed_as_pid_1 "$language-kill"
  of "$language" "${service#*=}"; stopped_under_run "$language-run-stop"
  of "$language" "${service#*=}"; killed_under_run "$language-run-kill"
  of "$language" "${service#*=}"; killed_by_kill "$language-kill-kill"

  of "$language" "${service#*=}"; hung "$language-hung" 3s close; budget_kept "$language-hung" 3
  of "$language" "${service#*=}"
  hung "$language-run-hung" 3s close /bin/graceshut run --child-config "$out/graceshut.toml" --; budget_kept "$language-run-hung" 3
  of "$language" "${service#*=}"; hung "$language-hung-stop-1" 60s announce; killed_from_outside "$language-hung-stop-1"
  of "$language" "${service#*=}"; hung "$language-hung-twice" 20s close; cut_by_a_second_term "$language-hung-twice"
done
[ $# = 0 ] || [ $all_busy -gt 0 ] || { echo "FAILED: nothing was ever in flight"; exit 1; }
finish
