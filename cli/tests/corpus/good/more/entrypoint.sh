#!/usr/bin/env bash
# Waits for the database, migrates, and starts what it was asked to.
set -euo pipefail

log() {
  printf '%s %s\n' "$(date -Is)" "$*" >&2
}

wait_for() {
  local host="$1" port="$2"
  for _ in $(seq 1 60); do
    if (echo > "/dev/tcp/$host/$port") 2>/dev/null; then
      return 0
    fi
    sleep 1
  done
  log "no answer from $host:$port"
  return 1
}

if [ "${WAIT_FOR_DB:-yes}" = yes ]; then
  wait_for "${DB_HOST:-db}" "${DB_PORT:-5432}"
fi

case "${1:-serve}" in
  migrate)
    cat <<EOF
migrating ${DB_HOST:-db}
exec "$@" is not run here
EOF
    exec alembic upgrade head
    ;;
esac

log "starting: $*"
exec "$@"
