#!/usr/bin/env bash
# `make cluster`: two gateways and two pollers over NATS behind HAProxy, natively on this machine, until Ctrl-C.
#
# PORT (8080) is the load balancer's. NATS_NODES=3 runs three NATS servers with a copy of each stream on each, instead of
# one. DEMO_PROFILE=dev builds without optimisation.
set -euo pipefail
# shellcheck source=deploy/local/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PORT=${PORT:-8080}
NATS_NODES=${NATS_NODES:-1}
require_free_port "$PORT" cluster
case $NATS_NODES in
  1 | 3) ;;
  *) die "NATS_NODES is \`$NATS_NODES\`: write 1 or 3" ;;
esac
forget_settings
"$ROOT/deploy/local/install.sh" rust cc curl prometheus nats haproxy
begin_run "$BUILD/cluster/$PORT"
build promcast-gateway promcast-poller dcgm-sim
build_dashboard
start_metrics

# A password for each role of deploy/nats/users.conf, and one for the servers among themselves, for this run alone. It
# begins with a letter, so that nats-server never takes it for a number.
for role in init gateway poller route; do
  (umask 077 && printf 'p%s' "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" >"$RUN/$role.password")
done
NATS_INIT_PASSWORD=$(<"$RUN/init.password")
NATS_GATEWAY_PASSWORD=$(<"$RUN/gateway.password")
NATS_POLLER_PASSWORD=$(<"$RUN/poller.password")
export NATS_INIT_PASSWORD NATS_GATEWAY_PASSWORD NATS_POLLER_PASSWORD
export NATS_HOST=127.0.0.1 NATS_PORT=-1 NATS_HTTP_PORT=-1

# as ROLE COMMAND…: runs it with what a program needs to know of the bus in this role.
as() {
  local role=$1
  shift
  PROMCAST_BUS_URL=$NATS_URL PROMCAST_BUS_USER=$role PROMCAST_BUS_PASSWORD_FILE=$RUN/$role.password \
    PROMCAST_BUS_INBOX_PREFIX=_INBOX_$role "$@"
}

# nats_url NAME: waits until this server listens, and adds it to NATS_URL.
NATS_URL=
nats_url() {
  address_of "$1" 'Listening for client connections on \([0-9.:]*\)'
  NATS_URL=${NATS_URL:+$NATS_URL,}nats://$REPLY
}

start_nats() {
  say "starting NATS"
  NATS_STORE_DIR=$RUN/nats start nats nats-server --config "$ROOT/deploy/nats/single.conf"
  nats_url nats
}

# Three servers of one configuration. Each must know the ports of the others before any has started.
start_nats_cluster() {
  local port=$PORT n
  local ports=()
  NATS_ROUTE_PASSWORD=$(<"$RUN/route.password")
  NATS_ROUTES=
  while [ "${#ports[@]}" -lt "$NATS_NODES" ]; do
    port=$((port % 65000 + 1))
    if port_in_use "$port"; then continue; fi
    ports+=("$port")
    NATS_ROUTES=${NATS_ROUTES:+$NATS_ROUTES,}\"nats-route://route:$NATS_ROUTE_PASSWORD@127.0.0.1:$port\"
  done
  export NATS_ROUTE_PASSWORD NATS_ROUTES="[$NATS_ROUTES]"
  for n in 1 2 3; do
    say "starting NATS server $n"
    NATS_SERVER_NAME=nats-$n NATS_ROUTE_PORT=${ports[$((n - 1))]} NATS_STORE_DIR=$RUN/nats-$n \
      start "nats-$n" nats-server --config "$ROOT/deploy/nats/cluster.conf"
  done
  for n in 1 2 3; do nats_url "nats-$n"; done
  # shellcheck disable=SC2034 # lib.sh reads it
  SPARE="nats-1 nats-2 nats-3"
}

if [ "$NATS_NODES" -eq 1 ]; then start_nats; else start_nats_cluster; fi
say "creating the streams"
as init "$BIN/promcast-gateway" init --auth-mode none --bus-replicas "$NATS_NODES" >"$RUN/init.log" 2>&1 ||
  fail_with_log init "promcast-gateway init could not create the streams"

for n in 1 2; do
  say "starting poller $n"
  as poller start "poller-$n" "$BIN/promcast-poller" --prometheus-url "$PROMETHEUS_URL" \
    --admin-listen 127.0.0.1:0
  address_of "poller-$n" "$(listening admin)"
  scrape promcast-poller "$REPLY"
done
for n in 1 2; do
  say "starting gateway $n"
  as gateway start "gateway-$n" "$BIN/promcast-gateway" --datasources default --auth-mode none \
    --http-listen 127.0.0.1:0 --http-trusted-proxies 127.0.0.1/32 --admin-listen 127.0.0.1:0 --stream-drain 1s \
    ${PAGES[@]+"${PAGES[@]}"}
done

say "starting HAProxy"
export LOAD_BALANCER_ADDRESS=127.0.0.1:$PORT
for n in 1 2; do
  address_of "gateway-$n" "$(listening http)"
  export "GATEWAY_${n}_ADDRESS=$REPLY"
  address_of "gateway-$n" "$(listening admin)"
  export "GATEWAY_${n}_ADMIN_PORT=${REPLY##*:}"
  scrape promcast-gateway "$REPLY"
done
start haproxy haproxy -db -f "$ROOT/deploy/load-balancer/haproxy.cfg"
wait_for_update haproxy "http://127.0.0.1:$PORT"
present "http://127.0.0.1:$PORT"
watch_all
