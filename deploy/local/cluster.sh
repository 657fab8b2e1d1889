#!/usr/bin/env bash
# `make cluster`: two gateways and two pollers over NATS behind HAProxy, natively on this machine, until Ctrl-C.
#
# PORT (8080) is the load balancer's. DEMO_PROFILE=dev builds without optimisation.
set -euo pipefail
# shellcheck source=deploy/local/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PORT=${PORT:-8080}
require_free_port "$PORT" cluster
forget_settings
"$ROOT/deploy/local/install.sh" rust cc curl prometheus nats haproxy
begin_run "$BUILD/cluster/$PORT"
build promcast-gateway promcast-poller dcgm-sim
start_metrics

say "starting NATS"
NATS_STORE_DIR=$RUN/nats start nats nats-server --config "$ROOT/deploy/nats/local.conf"
address_of nats 'Listening for client connections on \([0-9.:]*\)'
NATS_URL=nats://$REPLY
"$BIN/promcast-gateway" init --auth-mode none --bus-url "$NATS_URL" >"$RUN/init.log" 2>&1 ||
  fail_with_log init "promcast-gateway init could not create the streams"

for n in 1 2; do
  say "starting poller $n"
  start "poller-$n" "$BIN/promcast-poller" --bus-url "$NATS_URL" --prometheus-url "$PROMETHEUS_URL" \
    --admin-listen 127.0.0.1:0
done
for n in 1 2; do
  say "starting gateway $n"
  start "gateway-$n" "$BIN/promcast-gateway" --bus-url "$NATS_URL" --datasources default --auth-mode none \
    --http-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --stream-drain 1s
done

say "starting HAProxy"
export LOAD_BALANCER_ADDRESS=127.0.0.1:$PORT
for n in 1 2; do
  address_of "gateway-$n" "$(listening http)"
  export "GATEWAY_${n}_ADDRESS=$REPLY"
  address_of "gateway-$n" "$(listening admin)"
  export "GATEWAY_${n}_ADMIN_PORT=${REPLY##*:}"
done
start haproxy haproxy -db -f "$ROOT/deploy/load-balancer/haproxy.cfg"
wait_for_update haproxy "http://127.0.0.1:$PORT"
present "http://127.0.0.1:$PORT"
watch_all
