#!/usr/bin/env bash
# `graceshut run` as PID 1 of real containers, driven by `podman stop` and `podman kill` (make test-containers).
#
# podman with runc, cgroupfs and vfs, a root made of busybox and what the binary needs. Needs root, podman, runc and busybox-static; in CI nothing is left out.
set -euo pipefail
graceshut=$(realpath "$1")
for need in podman runc busybox; do
  if ! command -v "$need" >/dev/null; then
    echo "left out: $need is not installed"
    [ "${CI:-}" = true ] && exit 1
    exit 0
  fi
done
work=$(mktemp -d)
podman() { command podman --root "$work/storage" --runroot "$work/run" --tmpdir "$work/tmp" --cgroup-manager=cgroupfs --storage-driver=vfs --runtime=runc --events-backend=none "$@"; }
trap 'podman rm -af -t 0 >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,srv,run}
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh sleep cat kill echo ps true false touch test; do ln -s busybox "$root/bin/$name"; done
cp "$graceshut" "$root/bin/graceshut"
for name in tini dumb-init catatonit; do ln -s graceshut "$root/bin/$name"; done
ldd "$graceshut" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; done
echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"

passed=0
say() { echo "test $1 ... ok ($2)"; passed=$((passed + 1)); }
die() { echo "test $1 ... FAILED: $2"; podman logs "$1" 2>&1 | tail -30 || true; exit 1; }

# start NAME [podman options --] WORDS...: a container that is running and has said `ready`.
start() {
  local name=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  podman run -d --name "$name" --network=none --security-opt seccomp=unconfined --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --log-driver=k8s-file --pids-limit=-1 "${options[@]}" --rootfs "$root" "$@" >/dev/null
  for _ in $(seq 600); do
    podman logs "$name" 2>&1 | grep -q ready && return
    sleep 0.05
  done
  die "$name" "never ready"
}

# ends NAME STATUS LEAST MOST: it is over, with this status; how long the command before took, in milliseconds.
ends() {
  local code
  code=$(timeout 30 bash -c "$(declare -f podman); work=$work; podman wait $1" || echo none)
  [ "$code" = "$2" ] || die "$1" "status $code, not $2"
  { [ "$took" -ge "$3" ] && [ "$took" -le "$4" ]; } || die "$1" "took $took ms, not $3 to $4"
  say "$1" "status $code, $took ms"
}
timed() { local from; from=$(date +%s%3N); "$@" >/dev/null; took=$(($(date +%s%3N) - from)); }

handler='trap "echo stopping; sleep 0.3; exit 4" TERM; echo ready; while :; do sleep 0.05; done'
stubborn='trap "" TERM; echo ready; while :; do sleep 0.05; done'

start handler -- /bin/graceshut run --grace 8s -- sh -c "$handler"
timed podman stop -t 10 handler; ends handler 4 300 4000

start killed-by-term -- /bin/graceshut run --grace 8s -- sh -c 'echo ready; exec sleep 1000'
timed podman stop -t 10 killed-by-term; ends killed-by-term 143 0 4000

start stubborn -- /bin/graceshut run --grace 1s -- sh -c "$stubborn"
timed podman stop -t 10 stubborn; ends stubborn 137 700 5000

start from-outside -- /bin/graceshut run --grace 60s -- sh -c "$stubborn"
timed podman stop -t 1 from-outside; ends from-outside 137 900 6000

start signals -- /bin/graceshut run --rewrite USR1:TERM -- sh -c "$handler"
timed podman kill -s USR1 signals; ends signals 4 0 4000

start orphans -- /bin/graceshut run --grace 8s -- sh -c '(sleep 1000 & sleep 1000 & sleep 1000 &) ; (sh -c "sleep 0.1 &" &) ; echo ready; sleep 1000'
sleep 0.5
zombies=$(podman exec orphans ps -o stat | grep -c '^Z' || true)
[ "$zombies" = 0 ] || die orphans "$zombies zombies"
timed podman stop -t 10 orphans; ends orphans 143 0 4000

for name in tini dumb-init catatonit; do
  start "as-$name" -- "/bin/$name" -- sh -c "$handler"
  timed podman stop -t 10 "as-$name"; ends "as-$name" 4 300 4000
done

mkdir -p "$root/srv/hooks"
cat > "$root/srv/hooks/graceshut.toml" <<'T'
admin = "unix:/run/admin.sock"
grace = "8s"
[[hook]]
phase = "announce"
exec = ["echo", "hook before"]
[[hook]]
phase = "close"
exec = ["echo", "hook after"]
T
start hooks -w /srv/hooks -- /bin/graceshut run -- sh -c "$handler"
timed podman exec hooks /bin/graceshut prestop
[ "$took" -ge 300 ] || die hooks "prestop took $took ms"
timed podman stop -t 10 hooks; ends hooks 4 0 4000
logs=$(podman logs hooks 2>&1 | grep -oE 'hook before|stopping|hook after' | tr '\n' ' ')
[ "$logs" = "hook before stopping hook after " ] || die hooks "order: $logs"

mkdir -p "$root/srv/several"
cat > "$root/srv/several/graceshut.toml" <<'T'
grace = "8s"
[[process]]
name = "sidecar"
phase = "close"
command = ["sh", "-c", "trap 'echo last; exit 0' TERM; touch /tmp/up; while :; do sleep 0.05; done"]
ready = { file = "/tmp/up" }
[[process]]
name = "app"
after = "sidecar"
command = ["sh", "-c", "trap 'sleep 0.3; echo first; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
T
start several -w /srv/several -- /bin/graceshut run
timed podman stop -t 10 several; ends several 0 300 4000
logs=$(podman logs several 2>&1 | grep -oE 'first|last' | tr '\n' ' ')
[ "$logs" = "first last " ] || die several "order: $logs"

echo "test result: ok. $passed passed; 0 failed"
