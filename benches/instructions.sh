#!/usr/bin/env bash
# Instructions outside the kernel that a request costs: the stubbed gate, bare hyper and nginx.
#
#   benches/instructions.sh [FOLDER OF THE RELEASE BINARIES]
#
# Two runs of different length are subtracted, so that what starting costs is left out.
set -euo pipefail
bin=${1:-${CARGO_TARGET_DIR:-target}/release}
scratch=$(mktemp -d)
upstream=127.0.0.1:9700 proxy=127.0.0.1:9701 admin=127.0.0.1:9702
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT
export PORTCULLIS_RECORD=none PORTCULLIS_ENCODER__MODEL=none

cat >"$scratch/nginx.conf" <<CONF
daemon off; master_process off; pid $scratch/pid; error_log $scratch/error.log;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy;
  fastcgi_temp_path $scratch/f; uwsgi_temp_path $scratch/u; scgi_temp_path $scratch/s;
  upstream model { server $upstream; keepalive 64; keepalive_requests 1000000; }
  server {
    listen $proxy; keepalive_requests 1000000;
    location / {
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
CONF

# Waits until something answers on the proxy's port.
until_it_answers() {
  curl -s -o "$scratch/answer" --retry 60 --retry-delay 1 --retry-connrefused "http://$proxy/"
}

# Instructions of a whole run: the program, how many requests, what is asked.
count() {
  local program=$1 requests=$2 command
  shift 2
  case $program in
    gate) command=("$bin/gate-stub" serve --upstream "http://$upstream" --listen "$proxy" --admin "$admin") ;;
    hyper) command=("$bin/passthrough" "$proxy" "$upstream") ;;
    nginx) command=(nginx -p "$scratch" -c "$scratch/nginx.conf") ;;
  esac
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "${command[@]}" >"$scratch/log" 2>&1 &
  local pid=$!
  until_it_answers
  "$bin/load" "http://$proxy/v1/chat/completions" --connections 4 --warm 10 --requests "$requests" "$@" >"$scratch/report"
  grep -q '"failures":{}' "$scratch/report" || { cat "$scratch/report" >&2; exit 1; }
  kill "$pid"
  wait "$pid" || true
  sed -n 's/.*Collected : //p' "$scratch/log"
}

# Instructions of one request.
of_one() {
  local few many
  few=$(count "$1" 200 "${@:2}")
  many=$(count "$1" 600 "${@:2}")
  echo $(((many - few) / 400))
}

"$bin/mock-upstream" "$upstream" >"$scratch/mock" 2>&1 &
echo "| | a whole answer | a stream's beginning | a chunk |"
echo "|---|---|---|---|"
for program in hyper nginx gate; do
  [[ $program != nginx ]] || command -v nginx >/dev/null || continue
  whole=$(of_one "$program" --model mock)
  short=$(of_one "$program" --stream --model "mock;tokens=1;gap=2")
  long=$(of_one "$program" --stream --model "mock;tokens=41;gap=2")
  echo "| $program | $whole | $short | $(((long - short) / 40)) |"
done
