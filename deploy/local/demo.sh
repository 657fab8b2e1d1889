#!/usr/bin/env bash
# `make demo`: GPUs that do not exist, Prometheus, and one gateway with everything inside, until Ctrl-C.
#
# PORT (8080) is the page's port. DEMO_PROFILE=dev builds without optimisation.
set -euo pipefail
# shellcheck source=deploy/local/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PORT=${PORT:-8080}
require_free_port "$PORT" demo
forget_settings
"$ROOT/deploy/local/install.sh" rust cc curl prometheus
begin_run "$BUILD/demo/$PORT"
build promcast-gateway dcgm-sim
build_dashboard
start_metrics

say "starting the gateway"
# A short drain: whoever presses Ctrl-C does not want to wait. The origin is that of Vite's development server, for the lines
# of the README.
start gateway "$BIN/promcast-gateway" --auth-mode none --prometheus-url "$PROMETHEUS_URL" \
  --http-listen "127.0.0.1:$PORT" --admin-listen 127.0.0.1:0 --stream-drain 1s \
  --http-allowed-origins http://localhost:5173 \
  ${PAGES[@]+"${PAGES[@]}"}
address_of gateway "$(listening http)"
wait_for_update gateway "http://$REPLY"
present "http://$REPLY"
watch_all
