# shellcheck shell=bash
# What the local scripts share: messages, and processes that cannot outlive the script that started them.
#
# Written for bash 3.2, which is what macOS has: no associative arrays, no `wait -n`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$ROOT/.build
# Tools that install.sh put beside the checkout win over those of the system: it does so only where these are too old.
# Debian puts servers into /usr/sbin, which is not in everybody's path.
PATH=$BUILD/bin:$PATH:/usr/sbin

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  warn "error: $*"
  exit 1
}

# The newest Rust that the workspace asks for, as `1.95`.
wanted_rust() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml"; }

# at_least HAVE WANT: compares the first two numbers of versions such as 2.11.3.
at_least() {
  local have_major have_minor want_major want_minor
  IFS=. read -r have_major have_minor _ <<<"$1"
  IFS=. read -r want_major want_minor _ <<<"$2"
  [ "${have_major:-0}" -gt "${want_major:-0}" ] ||
    { [ "${have_major:-0}" -eq "${want_major:-0}" ] && [ "${have_minor:-0}" -ge "${want_minor:-0}" ]; }
}

# A subshell that can open a connection has found somebody listening.
port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# require_free_port PORT TARGET: or says how to run the make target on another one.
require_free_port() {
  case $1 in
    '' | 0* | *[!0-9]* | ??????*) die "PORT is \`$1\`: write a number from 1 to 65535" ;;
  esac
  [ "$1" -le 65535 ] || die "PORT is \`$1\`: write a number from 1 to 65535"
  ! port_in_use "$1" || die "port $1 is in use; run \`PORT=$(($1 % 65000 + 10)) make $2\`"
}

# --- processes -------------------------------------------------------------------------------------------------------
# Each one leads a process group of its own, so a terminal's Ctrl-C reaches this script alone, which then stops them in
# the reverse order of their start, with everything that they started.

NAMES=()
PIDS=()
# Those that may end while the others go on, and those of them that have.
SPARE=
GONE=
STOPPING=
TERMINAL=
[ ! -t 2 ] || TERMINAL=yes

# begin_run DIR: an empty directory for logs and data, and a clean end however the script ends.
begin_run() {
  RUN=$1
  rm -rf "$RUN"
  mkdir -p "$RUN"
  trap 'stop_all; exit 0' INT TERM HUP
  trap 'stop_all' EXIT
}

# start NAME COMMAND…: in the background, with output in $RUN/NAME.log.
start() {
  local name=$1
  shift
  # If this script is killed outright, the kernel ends what it started (Linux; elsewhere nothing can).
  if [ -n "$(command -v setpriv)" ] && setpriv --pdeathsig TERM true 2>/dev/null; then
    set -- setpriv --pdeathsig TERM -- "$@"
  fi
  launch "$name" "$RUN/$name.log" "$@"
}

# launch NAME LOG COMMAND…: `set -m` is what gives the child its own process group.
launch() {
  local name=$1 log=$2
  shift 2
  : >"$log"
  set -m
  "$@" </dev/null >>"$log" 2>&1 &
  set +m
  NAMES+=("$name")
  PIDS+=("$!")
}

# run COMMAND…: in the foreground as far as the caller can tell, but a signal is acted on at once, not when it is over.
run() {
  local status=0
  set -m
  "$@" </dev/null &
  set +m
  NAMES+=("$1")
  PIDS+=("$!")
  wait "$!" || status=$?
  forget_last
  return "$status"
}

forget_last() {
  local last=$((${#PIDS[@]} - 1))
  unset "NAMES[$last]" "PIDS[$last]"
}

# The group goes on while any member lives, even when its leader is gone.
group_lives() { kill -0 -- "-$1" 2>/dev/null; }

# stop NAME PID: asks the group to end, waits 30 s (a gateway drains for 20 s), then insists.
stop() {
  local tries=300
  kill -TERM -- "-$2" 2>/dev/null || return 0
  while group_lives "$2" && [ "$tries" -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  if group_lives "$2"; then
    warn "$1 did not end in 30 s and is killed"
    kill -KILL -- "-$2" 2>/dev/null || true
  fi
  wait "$2" 2>/dev/null || true
}

stop_all() {
  [ -z "$STOPPING" ] || return 0
  STOPPING=yes
  trap '' INT TERM HUP
  local i
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do stop "${NAMES[i]}" "${PIDS[i]}"; done
}

# fail_with_log NAME MESSAGE
fail_with_log() {
  warn "error: $2. The end of its log, $RUN/$1.log:"
  tail -n 20 "$RUN/$1.log" | sed 's/^/  /' >&2
  exit 1
}

# The name of one that has ended by itself, and is not GONE.
first_dead() {
  local i
  for ((i = 0; i < ${#PIDS[@]}; i++)); do
    case $GONE in *" ${NAMES[i]} "*) continue ;; esac
    kill -0 "${PIDS[i]}" 2>/dev/null || {
      say "${NAMES[i]}"
      return 0
    }
  done
  return 1
}

check_all() {
  local dead
  while dead=$(first_dead); do
    case " $SPARE " in
      *" $dead "*) ;;
      *) fail_with_log "$dead" "$dead has stopped" ;;
    esac
    warn "$dead has stopped; the others go on"
    GONE="$GONE $dead "
  done
}

# wait_until NAME WHAT SECONDS COMMAND…: until the command succeeds.
wait_until() {
  local name=$1 what=$2 seconds=$3 deadline
  shift 3
  deadline=$((SECONDS + seconds))
  until "$@"; do
    check_all
    [ "$SECONDS" -lt "$deadline" ] || fail_with_log "$name" "$name: no $what within $seconds s"
    sleep 0.2
  done
}

# in_log NAME EXPRESSION: what the first group of a basic regular expression matches in the log of NAME, its first time.
in_log() { sed -n "s/.*$2.*/\\1/p" "$RUN/$1.log" | head -n 1; }
has_log() { [ -n "$(in_log "$1" "$2")" ]; }

# address_of NAME EXPRESSION: waits for the log line that tells it and leaves it in REPLY.
address_of() {
  wait_until "$1" "address in its log" 30 has_log "$1" "$2"
  REPLY=$(in_log "$1" "$2")
}

# watch_all: until a signal comes or a process ends. A terminal that is closed tells make, and make tells nobody.
watch_all() {
  while :; do
    check_all
    [ -z "$TERMINAL" ] || [ -t 2 ] || exit 0
    # A background sleep, because `wait` returns on a signal at once.
    sleep 1 &
    wait "$!" || true
  done
}

# --- the parts that the demonstration and the cluster have in common --------------------------------------------------

# The configuration of the programs comes from the scripts alone, whatever the caller's shell exports.
forget_settings() {
  local name
  for name in ${!PROMCAST_@}; do unset "$name"; done
}

# build PACKAGE…: sets BIN to the directory of the programs. DEMO_PROFILE=dev builds faster, and runs slower.
build() {
  local profile=${DEMO_PROFILE:-release} package
  local arguments=()
  for package in "$@"; do arguments+=(-p "$package"); done
  say "building $* (the first time takes some minutes)"
  run cargo build --locked --manifest-path "$ROOT/Cargo.toml" --profile "$profile" "${arguments[@]}" ||
    die "the build failed"
  [ "$profile" != dev ] || profile=debug
  BIN=${CARGO_TARGET_DIR:-$ROOT/target}/$profile
}

# is_newer FILE PATH…: something under the paths was changed after the file was written, or the file is not there.
is_newer() {
  local than=$1
  shift
  [ ! -e "$than" ] || [ -n "$(find "$@" -newer "$than" -type f -print -quit)" ]
}

# web PART: installs what web/PART needs, where that has changed, and builds it.
web() {
  local part=$ROOT/web/$1
  if is_newer "$part/node_modules/.package-lock.json" "$part/package-lock.json"; then
    run npm ci --prefix "$part" >>"$RUN/web.log" 2>&1 || return 1
  fi
  run npm run build --prefix "$part" >>"$RUN/web.log" 2>&1
}

# build_dashboard: sets PAGES to the gateway's options for the dashboard; to none where it cannot be built, which is told.
PAGES=()
build_dashboard() {
  local dist=$ROOT/web/dashboard/dist told
  if is_newer "$dist/index.html" "$ROOT"/web/{client,dashboard}/{src,package-lock.json} "$ROOT/web/dashboard/index.html"; then
    say "building the dashboard"
    if ! told=$("$ROOT/deploy/local/install.sh" node 2>&1); then
      warn "the plain page is shown instead of the dashboard: ${told#error: }"
      return 0
    fi
    if ! { web client && web dashboard; }; then
      warn "the plain page is shown instead of the dashboard, which could not be built. The end of ${RUN#"$ROOT"/}/web.log:"
      tail -n 25 "$RUN/web.log" | sed 's/^/  /' >&2
      return 0
    fi
  fi
  PAGES=(--http-pages "$dist")
}

# start_metrics: dcgm-sim and a Prometheus that scrapes it; sets PROMETHEUS_URL.
start_metrics() {
  say "starting dcgm-sim: one node of eight GPUs that do not exist"
  start dcgm-sim "$BIN/dcgm-sim" --listen 127.0.0.1:0 --collect-interval 1s
  address_of dcgm-sim 'listening on http:\/\/\([0-9.:]*\)\/'
  mkdir -p "$RUN/prometheus/targets"
  cp -R "$ROOT/deploy/prometheus/local.yml" "$ROOT/deploy/prometheus/rules" "$RUN/prometheus"
  scrape dcgm-exporter "$REPLY"
  say "starting Prometheus"
  start prometheus prometheus --config.file="$RUN/prometheus/local.yml" --storage.tsdb.path="$RUN/prometheus/data" \
    --storage.tsdb.retention.time=2h --web.listen-address=127.0.0.1:0
  address_of prometheus 'msg="Listening on".*address=\([0-9.:]*\)'
  # shellcheck disable=SC2034 # the callers hand it on
  PROMETHEUS_URL=http://$REPLY
}

# scrape JOB ADDRESS: adds it to what Prometheus scrapes for a job of deploy/prometheus/local.yml.
scrape() { printf -- "- targets: ['%s']\n" "$2" >>"$RUN/prometheus/targets/$1.yml"; }

# listening LISTENER: what tells a listener's address in a program's log.
listening() { printf 'listening listener="\\{0,1\\}%s"\\{0,1\\} address=\\([0-9.:]*\\)' "$1"; }

# wait_for_update NAME BASE_URL: watches the stream until an update carries a series; blames NAME when none does.
wait_for_update() {
  say "waiting for the first update"
  start viewer curl --silent --show-error --no-buffer --retry 10 --retry-connrefused --retry-delay 1 --get \
    --data-urlencode 'query=DCGM_FI_DEV_GPU_UTIL' --data-urlencode 'interval=5' "$2/api/v1/metrics/stream"
  wait_until "$1" "update with a series at $2" 60 has_log viewer 'data: .*\("result":\[{\)'
  stop viewer "${PIDS[${#PIDS[@]} - 1]}"
  forget_last
}

# present BASE_URL: the one address to open.
present() {
  local page=/
  [ "${#PAGES[@]}" -gt 0 ] || page='/#query=DCGM_FI_DEV_GPU_UTIL&interval=5'
  say ""
  say "  Open  $1$page"
  say ""
  say "Logs are in ${RUN#"$ROOT"/}. Ctrl-C stops everything."
}
