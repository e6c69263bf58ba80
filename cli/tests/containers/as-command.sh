#!/usr/bin/env bash
# A container as the command of `graceshut verify`: starts it, and answers TERM with a real `podman stop` or `podman kill`.
#
#     as-command.sh PODMAN NAME stop -t 10      leaves with the container's own status, when nothing of it runs any more
set -euo pipefail
podman=$1 name=$2
shift 2
asked=
trap 'asked=yes' TERM
"$podman" start "$name" >/dev/null
conmon=$("$podman" inspect -f '{{.State.ConmonPid}}' "$name")
runs() { grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$conmon/status"; }

# The trap waits for the command of the moment: nothing here takes long.
while [ -z "$asked" ] && runs; do sleep 0.05; done
if [ -n "$asked" ]; then
  from=$(date +%s%3N)
  "$podman" "$1" "${@:2}" "$name" >/dev/null
  echo "podman $* took $(($(date +%s%3N) - from)) ms"
fi
status=$("$podman" wait "$name")
until=$((SECONDS + 10))
while runs && [ $SECONDS -lt $until ]; do sleep 0.02; done
"$podman" logs "$name" 2>&1
exit "$status"
