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

# A password for each role of deploy/nats/users.conf, for this run alone.
for role in init gateway poller; do
  (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$RUN/$role.password")
done
NATS_INIT_PASSWORD=$(<"$RUN/init.password")
NATS_GATEWAY_PASSWORD=$(<"$RUN/gateway.password")
NATS_POLLER_PASSWORD=$(<"$RUN/poller.password")
export NATS_INIT_PASSWORD NATS_GATEWAY_PASSWORD NATS_POLLER_PASSWORD

# as ROLE COMMAND…: runs it with what a program needs to know of the bus in this role.
as() {
  local role=$1
  shift
  PROMCAST_BUS_URL=$NATS_URL PROMCAST_BUS_USER=$role PROMCAST_BUS_PASSWORD_FILE=$RUN/$role.password \
    PROMCAST_BUS_INBOX_PREFIX=_INBOX_$role "$@"
}

say "starting NATS"
NATS_STORE_DIR=$RUN/nats start nats nats-server --config "$ROOT/deploy/nats/local.conf"
address_of nats 'Listening for client connections on \([0-9.:]*\)'
NATS_URL=nats://$REPLY
as init "$BIN/promcast-gateway" init --auth-mode none >"$RUN/init.log" 2>&1 ||
  fail_with_log init "promcast-gateway init could not create the streams"

for n in 1 2; do
  say "starting poller $n"
  as poller start "poller-$n" "$BIN/promcast-poller" --prometheus-url "$PROMETHEUS_URL" \
    --admin-listen 127.0.0.1:0
done
for n in 1 2; do
  say "starting gateway $n"
  as gateway start "gateway-$n" "$BIN/promcast-gateway" --datasources default --auth-mode none \
    --http-listen 127.0.0.1:0 --http-trusted-proxies 127.0.0.1/32 --admin-listen 127.0.0.1:0 --stream-drain 1s
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
