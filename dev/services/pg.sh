#!/usr/bin/env bash
# Real PostgreSQL servers for tests and development, on free ports of 127.0.0.1, run by an ordinary user.
#
#   pg.sh start [N]    starts N clusters (1), made anew when there are none in the run folder
#   pg.sh hold [N]     starts N clusters, says "ready", stops and removes all when its standard input ends
#   pg.sh url K        connection string of cluster K (1 … N)
#   pg.sh status       one line for each cluster
#   pg.sh kill K       kill -9, as in a crash
#   pg.sh pause K      every process of K stops where it is, as a server that hangs · pg.sh resume K
#   pg.sh restart K    starts K again, after kill or with a fast stop before
#   pg.sh small K SIZE new tables of K lie on a disk in memory of that size (24m), if this user may mount one;
#                      says "yes" or "no" · pg.sh fill K takes all its room · pg.sh empty K gives that back
#   pg.sh tls K        K has a certificate for 127.0.0.1 from now on and takes no plain connections; prints the file of
#                      the authority, made just for that
#   pg.sh replica K    makes and starts a streaming replica of K, which is called Kr in the other commands
#   pg.sh failover K   K ends its log and goes on in a new timeline, as a promoted replica does
#   pg.sh stop         stops all; the data stays
#
# PG_RUN=DIR         data, logs and ports lie here (default: ostracon-pg under the temporary folder)
# PG_FSYNC=on|off    off (default) is for functional tests only: anything about durability or speed needs on
# The Debian package `postgresql` is installed when there is no server yet.
set -euo pipefail

RUN=${PG_RUN:-${TMPDIR:-/tmp}/ostracon-pg-$(id -u)}
FSYNC=${PG_FSYNC:-off}

find_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true; }

install() {
  BIN=$(find_bin)
  if [ -x "${BIN:-/nowhere}/initdb" ]; then return; fi
  # Debian's package would make and start a cluster of its own.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
  BIN=$(find_bin)
}

# PostgreSQL refuses to run as root.
owner() { if getent passwd postgres > /dev/null; then echo postgres; else echo nobody; fi; }
as() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u "$(owner)" -- env LC_ALL=C.UTF-8 "$@")
  else (cd / && env LC_ALL=C.UTF-8 "$@"); fi
}

clusters() { for dir in "$RUN"/pg*/; do [ -f "$dir/PG_VERSION" ] && basename "$dir"; done; true; }
port() { cat "$RUN/$1.port"; }
url_of() { echo "postgres://app@127.0.0.1:$(port "$1")/postgres"; }

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
  done
  echo "$port"
}

configure() { # NAME PORT
  cat > "$RUN/$1.conf" <<CONF
port = $2
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = ${PG_SHARED_BUFFERS:-64MB}
fsync = $FSYNC
full_page_writes = $FSYNC
synchronous_commit = on
wal_level = replica
max_wal_size = ${PG_MAX_WAL_SIZE:-512MB}
max_parallel_workers_per_gather = 0
jit = off
restore_command = 'false'
log_min_messages = warning
lc_messages = 'C'
CONF
  echo "$2" > "$RUN/$1.port"
  chmod 644 "$RUN/$1.conf"
}

go() { # NAME: start, on another port when somebody was faster
  local attempt
  for attempt in 1 2 3 4 5; do
    if as "$BIN/pg_ctl" -D "$RUN/$1" -l "$RUN/$1.log" -s -w -t 60 start > /dev/null 2>&1; then return; fi
    if ! tail -5 "$RUN/$1.log" | grep -q 'Address already in use'; then break; fi
    configure "$1" "$(free_port)"
  done
  tail -20 "$RUN/$1.log" >&2
  return 1
}

make() { # NAME
  as "$BIN/initdb" -D "$RUN/$1" -U app --auth=trust -E UTF8 --locale=C.UTF-8 -N > /dev/null
  configure "$1" "$(free_port)"
  echo "include = '$RUN/$1.conf'" | as tee -a "$RUN/$1/postgresql.conf" > /dev/null
}

replicate() { # NAME: the replica's name has an r behind it
  local copy=$1r
  as "$BIN/pg_basebackup" -d "$(url_of "$1")" -D "$RUN/$copy" -c fast -R > /dev/null
  configure "$copy" "$(free_port)"
  # The copy includes the settings of its primary; its own come later and win.
  echo "include = '$RUN/$copy.conf'" | as tee -a "$RUN/$copy/postgresql.conf" > /dev/null
  go "$copy"
}

is_up() { as "$BIN/pg_ctl" -D "$RUN/$1" status > /dev/null 2>&1; }

start() { # N
  install
  mkdir -p "$RUN"
  [ "$(id -u)" != 0 ] || chown "$(owner)" "$RUN"
  local number name
  for number in $(seq "$1"); do
    name=pg$number
    [ -f "$RUN/$name/PG_VERSION" ] || make "$name"
    is_up "$name" || go "$name"
  done
}

stop() { # MODE
  local name
  for name in $(clusters); do
    if is_up "$name"; then
      kill -CONT $(processes "$name") 2> /dev/null || true
      as "$BIN/pg_ctl" -D "$RUN/$name" -s -w -m "$1" stop
    fi
  done
}

postmaster() { head -1 "$RUN/$1/postmaster.pid"; }
processes() { local first; first=$(postmaster "$1"); echo "$first" $(ps -o pid= --ppid "$first"); }

small() { # NAME SIZE
  local disk=$RUN/$1.small
  mkdir -p "$disk"
  if ! mount -t tmpfs -o "size=$2" none "$disk" 2> /dev/null; then
    echo no
    return
  fi
  mkdir "$disk/tables"
  chown "$(owner)" "$disk/tables" 2> /dev/null || true
  as "$BIN/psql" "$(url_of "$1")" -qAt -c "CREATE TABLESPACE small LOCATION '$disk/tables'" \
    -c 'ALTER DATABASE postgres SET default_tablespace = small'
  echo yes
}

tls() { # NAME
  local dir=$RUN/$1.tls
  mkdir "$dir"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=an authority' \
    -keyout "$dir/ca.key" -out "$dir/ca.crt" 2> /dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=a server' \
    -keyout "$dir/server.key" -out "$dir/server.csr" 2> /dev/null
  echo 'subjectAltName=IP:127.0.0.1' > "$dir/names"
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile "$dir/names" -out "$dir/server.crt" 2> /dev/null
  chown -R "$(owner)" "$dir" 2> /dev/null || true
  chmod 755 "$dir"
  as tee -a "$RUN/$1/postgresql.conf" > /dev/null <<CONF
ssl = on
ssl_cert_file = '$dir/server.crt'
ssl_key_file = '$dir/server.key'
CONF
  as sed -i 's/^host /hostssl /' "$RUN/$1/pg_hba.conf"
  as "$BIN/pg_ctl" -D "$RUN/$1" -s -w -m fast stop
  go "$1"
  echo "$dir/ca.crt"
}

unmount() {
  local disk
  for disk in "$RUN"/*.small; do [ ! -d "$disk" ] || umount --lazy "$disk" 2> /dev/null || true; done
}

kill_hard() { # NAME
  local all pid
  all=$(processes "$1")
  kill -9 $all 2> /dev/null || true
  for pid in $all; do
    for _ in $(seq 200); do kill -0 "$pid" 2> /dev/null || break; sleep 0.02; done
  done
}


BIN=$(find_bin)
case ${1:-} in
  start) start "${2:-1}" ;;
  hold)
    trap 'stop immediate || true; unmount; rm -rf "$RUN"' EXIT
    start "${2:-1}"
    echo ready
    cat > /dev/null ;;
  stop) stop fast ;;
  status)
    for name in $(clusters); do
      if is_up "$name"; then echo "$name up $(url_of "$name")"; else echo "$name down"; fi
    done ;;
  url) url_of "pg$2" ;;
  replica) replicate "pg$2" ;;
  small) small "pg$2" "${3:-24m}" ;;
  tls) tls "pg$2" ;;
  fill) dd if=/dev/zero of="$RUN/pg$2.small/ballast" bs=64k 2> /dev/null || true ;;
  empty) rm "$RUN/pg$2.small/ballast" ;;
  kill) kill_hard "pg$2" ;;
  pause) kill -STOP $(processes "pg$2") ;;
  resume) kill -CONT $(processes "pg$2") ;;
  restart)
    if is_up "pg$2"; then as "$BIN/pg_ctl" -D "$RUN/pg$2" -s -w -m fast stop; fi
    go "pg$2" ;;
  failover)
    if is_up "pg$2"; then as "$BIN/pg_ctl" -D "$RUN/pg$2" -s -w -m immediate stop; fi
    as touch "$RUN/pg$2/recovery.signal"
    go "pg$2"
    # Accepting connections is not yet the end of recovery.
    for _ in $(seq 500); do
      [ "$(as "$BIN/psql" "$(url_of "pg$2")" -Atc 'select pg_is_in_recovery()')" = f ] && exit 0
      sleep 0.02
    done
    exit 1 ;;
  *) sed -n '2,23p' "$0"; exit 2 ;;
esac
