# What the tests in real containers share; sourced with the path of `graceshut` in $1.
#
# podman with runc, cgroupfs and vfs, no network, a root made of busybox: needs root, podman, runc and busybox-static. Nothing waits
# without a limit; every case ends with a look for what it left behind, and so does a failure.
PATH=$PATH:/usr/sbin # of runc
graceshut=$(realpath "$1")
passed=0
ids=(none-yet)

# left_out WHAT: outside CI a lack is said, in CI it is a failure.
left_out() {
  echo "left out: $1"
  [ "${CI:-}" != true ] || { echo "and this is CI, where nothing may be left out"; exit 1; }
}
for need in podman runc busybox; do
  command -v "$need" >/dev/null || { left_out "everything, $need is not installed"; exit 0; }
done
[ "$(id -u)" = 0 ] || { left_out "everything, this is not root"; exit 0; }

work=$(mktemp -d)
root=$work/root
podman=$work/podman
cat > "$podman" <<END
#!/bin/sh
exec timeout -k 5 60 $(command -v podman) --root $work/storage --runroot $work/run --tmpdir $work/tmp --cgroup-manager=cgroupfs \
  --storage-driver=vfs --runtime=runc --events-backend=none "\$@"
END
chmod +x "$podman"
podman() { "$podman" "$@"; }

# of_ours FILE...: those that name one of our containers. That none does is an answer, any other trouble is not.
of_ours() { grep -F "${ids[@]/#/-e}" "$@" || [ $? -eq 1 ]; }
cgroups() { find /sys/fs/cgroup -ignore_readdir_race -depth -type d -name 'libpod-*' | of_ours; }

# remains: what is left of every container so far, a line each; nothing when there is nothing.
remains() {
  local process
  podman ps -aq --no-trunc 2>&1 | sed 's/^/container /'
  sed -nE "s|^([^ ]+ ){4}($work/[^ ]*).*|mount \2|p" /proc/self/mountinfo
  cgroups | sed 's/^/cgroup /'
  # Podman's own have the folder in their arguments; what runs in a container is in its cgroup.
  for process in $({ grep -lsF "$work" /proc/[0-9]*/cmdline; of_ours -ls /proc/[0-9]*/cgroup; } | cut -d/ -f3 | sort -u); do
    # One that has ended since is none, nor is a zombie whose parent has not come to it.
    grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$process/status" || continue
    echo "process $process: $(tr '\0' ' ' 2>/dev/null < "/proc/$process/cmdline")"
  done
}

# nothing_remains: within ten seconds; podman's own clean-up runs beside us.
nothing_remains() {
  local until=$((SECONDS + 10))
  while left=$(remains); [ -n "$left" ]; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.1
  done
}

# Runs at every end, also a failed or an interrupted one.
clean_up() {
  local status=$?
  trap - EXIT
  # Where a container's monitor was killed, the first only finds that out, and its empty cgroups are nobody's.
  for _ in 1 2 3; do podman rm -af -t 0 >/dev/null 2>&1 && break; done
  local group
  for group in $(cgroups); do
    # It may go by itself in this instant; one that stays is found below.
    rmdir "$group" 2>/dev/null || [ ! -e "$group" ] || echo "not removed: $group"
  done
  if ! nothing_remains; then
    echo "left behind: $left"
    [ $status -ne 0 ] || status=1
  fi
  rm -rf --one-file-system "$work"
  exit $status
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# make_root: busybox, and nothing else.
make_root() {
  mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,srv,run}
  cp "$(command -v busybox)" "$root/bin/busybox"
  local name
  for name in sh sleep cat kill echo ps true false touch test; do ln -s busybox "$root/bin/$name"; done
  cp "$graceshut" "$root/bin/graceshut"
  echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"
  # Says here, and not after every limit below, that this machine runs no container.
  podman run --rm --network=none "${options[@]}" --rootfs "$root" /bin/true || { echo "podman cannot run a container here (it says why above)"; exit 1; }
}

say() { echo "test $1 ... ok ($2)"; passed=$((passed + 1)); }
die() {
  echo "test $1 ... FAILED: $2"
  podman logs "$1" 2>&1 | tail -30 || echo "and podman has no logs of $1"
  exit 1
}

options=(--security-opt seccomp=unconfined --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --log-driver=k8s-file --pids-limit=-1)

# create NAME [podman options --] WORDS...: a container that is still to start.
create() {
  local name=$1 more=() id
  shift
  while [ "$1" != -- ]; do more+=("$1"); shift; done
  shift
  id=$(podman create --name "$name" "${options[@]}" "${more[@]}" --rootfs "$root" "$@") || die "$name" "podman create failed"
  ids+=("$id")
}

# start NAME [podman options --] WORDS...: a container that is running and has said `ready`.
start() {
  create "$1" --network=none "${@:2}"
  podman start "$1" >/dev/null || die "$1" "podman start failed"
  local until=$((SECONDS + 60))
  until podman logs "$1" 2>&1 | grep -q ready; do
    [ $SECONDS -lt $until ] || die "$1" "never ready"
    [ "$(podman inspect -f '{{.State.Running}}' "$1")" = true ] || die "$1" "ended before it was ready"
    sleep 0.05
  done
}

timed() { local from; from=$(date +%s%3N); "$@" >/dev/null; took=$(($(date +%s%3N) - from)); }

# left_with NAME STATUS LEAST MOST: it is over, with this status; how long the command before took, in milliseconds.
left_with() {
  local code
  code=$(podman wait "$1" || echo none)
  [ "$code" = "$2" ] || die "$1" "status $code, not $2"
  { [ "$took" -ge "$3" ] && [ "$took" -le "$4" ]; } || die "$1" "took $took ms, not $3 to $4"
}

# over NAME WHAT: the end of a case that passed; nothing of it is left.
over() {
  podman rm "$1" >/dev/null || die "$1" "cannot be removed"
  nothing_remains || die "$1" "left behind: $left"
  say "$1" "$2"
}

# ends NAME STATUS LEAST MOST: the same two, for a case with nothing else to look at.
ends() {
  left_with "$@"
  over "$1" "status $2, $took ms"
}

finish() { echo "test result: ok. $passed passed; 0 failed"; }
