#!/usr/bin/env bash
# `graceshut run` as PID 1 of real containers, driven by `podman stop` and `podman kill` (make test-containers).
#
#     cli/tests/containers/wrapper.sh GRACESHUT
set -euo pipefail
. "$(dirname "$0")/podman.sh"
# What the binary needs goes into the root as well.
ldd "$graceshut" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; done
make_root
for name in tini dumb-init catatonit; do ln -s graceshut "$root/bin/$name"; done

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

# The second TERM leaves CMD 100 ms, of the 60 s.
start second-term -- /bin/graceshut run --grace 60s -- sh -c "$stubborn"
podman kill -s TERM second-term >/dev/null
sleep 0.6 # a signal within 500 ms of the last one is the same one (spec 7.1)
podman kill -s TERM second-term >/dev/null
timed podman wait second-term; ends second-term 137 0 5000

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
timed podman stop -t 10 hooks; left_with hooks 4 0 4000
logs=$(podman logs hooks 2>&1 | grep -oE 'hook before|stopping|hook after' | tr '\n' ' ')
[ "$logs" = "hook before stopping hook after " ] || die hooks "order: $logs"
over hooks "status 4, $took ms"

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
timed podman stop -t 10 several; left_with several 0 300 4000
logs=$(podman logs several 2>&1 | grep -oE 'first|last' | tr '\n' ' ')
[ "$logs" = "first last " ] || die several "order: $logs"
over several "status 0, $took ms"

finish
