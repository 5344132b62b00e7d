# Sourced by scripts that need a running server: builds the release binary, starts it on a free port
# with a throw-away data directory, ends it when the script ends.
#
#   start_server [serve options…]   sets OSTRACON (binary), URL, DATA
#
# Both the process and the folder are this script's own; nothing else is touched.

STARTS_MAX=5
READY_POLLS_MAX=100 # of 0.1 s each

stop_server() {
  if [ -n "${SERVER_PID:-}" ]; then
    kill "$SERVER_PID" 2>/dev/null || true
    wait "$SERVER_PID" 2>/dev/null || true
  fi
  [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    # Nobody answers there: it is free, as far as one can know.
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

start_server() {
  cargo build --quiet --release --bin ostracon
  OSTRACON=${CARGO_TARGET_DIR:-target}/release/ostracon
  SCRATCH=$(mktemp -d)
  DATA=$SCRATCH/data
  trap stop_server EXIT
  trap 'exit 130' INT TERM

  local start poll port
  for ((start = 1; start <= STARTS_MAX; start++)); do
    port=$(free_port)
    URL=http://127.0.0.1:$port
    "$OSTRACON" serve --data-dir "$DATA" --listen "127.0.0.1:$port" "$@" >"$SCRATCH/log" 2>&1 &
    SERVER_PID=$!
    for ((poll = 1; poll <= READY_POLLS_MAX; poll++)); do
      if curl --silent --fail --max-time 2 --output /dev/null "$URL/readyz"; then
        return 0
      fi
      # Somebody else was quicker with the port, or the server refused to start.
      kill -0 "$SERVER_PID" 2>/dev/null || break
      sleep 0.1
    done
    kill "$SERVER_PID" 2>/dev/null || true
    wait "$SERVER_PID" 2>/dev/null || true
  done
  echo "the server did not become ready; its last words:" >&2
  tail -n 20 "$SCRATCH/log" >&2
  return 1
}
