#!/usr/bin/env bash
# Gives this machine what the tests need: tmux, shells, a Docker engine, and the images scopecraft-test-base:1 (git, a shell) and
# scopecraft-test-agent:VERSION (the packaged Dockerfile on that base, with the real Claude Code CLI).
# As root on Debian or Ubuntu it installs and starts what is missing; elsewhere it says what is missing and exits 1.
set -euo pipefail
cd "$(dirname "$0")/.."

dockerfile=scopecraft_git/executors/Dockerfile
version=$(sed -n 's/^ARG CLAUDE_VERSION=//p' "$dockerfile")
base=scopecraft-test-base:1
agent=scopecraft-test-agent:$version
engine_log=/var/log/dockerd.log
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missing=0

lacks() { printf '✗ %s\n' "$1" >&2; [ -z "${2:-}" ] || printf '↳ %s\n' "$2" >&2; missing=1; }
says() { printf '… %s\n' "$1" >&2; }
answers() { docker version >"$work/engine" 2>&1; }
has_image() { docker image inspect "$1" >/dev/null 2>&1; }
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() {
  says "Installing $*"
  apt-get update -qq >"$work/apt" 2>&1 \
    && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@" >>"$work/apt" 2>&1 \
    || { tail -3 "$work/apt" >&2; return 1; }
}

have_tmux() {
  command -v tmux >/dev/null && return
  can_install && install_packages tmux && return
  lacks 'tmux is not installed' 'sudo apt-get install tmux'
}

# The shells that completion is tried in, and what shows the man page.
have_shells() {
  local wanted=()
  command -v zsh >/dev/null || wanted+=(zsh)
  command -v fish >/dev/null || wanted+=(fish)
  command -v groff >/dev/null || wanted+=(groff)
  [ -f /usr/share/bash-completion/completions/git ] || wanted+=(bash-completion git)
  [ ${#wanted[@]} -gt 0 ] || return 0
  can_install && install_packages "${wanted[@]}" && return
  lacks "not installed: ${wanted[*]}" "sudo apt-get install ${wanted[*]}"
}

have_engine() {
  command -v docker >/dev/null && answers && return
  if ! can_install; then
    lacks "no Docker engine answers: $(tail -1 "$work/engine" 2>/dev/null || echo docker is not installed)" \
      'sudo apt-get install docker.io iptables, and sudo usermod -aG docker $USER'
    return 1
  fi
  if ! { command -v docker && command -v dockerd && command -v iptables; } >/dev/null; then
    install_packages docker.io iptables || { lacks 'docker.io could not be installed'; return 1; }
  fi
  says 'Starting the Docker engine'
  if [ -d /run/systemd/system ]; then systemctl start docker; else setsid dockerd >"$engine_log" 2>&1 </dev/null & fi
  for _ in $(seq 120); do answers && return; sleep 0.25; done
  lacks "the Docker engine did not start: $(grep -hE 'level=(error|fatal)|failed' "$engine_log" 2>/dev/null | tail -1)" "cat $engine_log"
  return 1
}

# The first mirror among this machine's own package sources that carries its release.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v release="$1" '
    /^deb / { for (i = 2; i < NF; i++) if ($i ~ /^https?:/ && $(i + 1) == release) { print $i; exit } }
    /^URIs:/ { uri = $2 }
    /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == release) { print uri; exit } }'
}

bootstrap_base() {
  can_install || return 1
  command -v debootstrap >/dev/null || install_packages debootstrap || return 1
  . /etc/os-release
  says "Making a base image of $VERSION_CODENAME with debootstrap"
  local components=main
  [ "$ID" != ubuntu ] || components=main,universe
  debootstrap --variant=minbase --components=$components --include=ca-certificates,git,procps \
    "$VERSION_CODENAME" "$work/root" "$(mirror "$VERSION_CODENAME")" >"$work/debootstrap" 2>&1 \
    || { tail -3 "$work/debootstrap" >&2; return 1; }
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/usr/share/{doc,locale,man}
  tar -C "$work/root" -c . | docker import - "$base" >/dev/null
}

pull_base() {
  timeout 60 docker pull -q debian:bookworm-slim >/dev/null 2>&1 || return 1
  says 'Making a base image of debian:bookworm-slim'
  printf '%s\n' 'FROM debian:bookworm-slim' \
    'RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git procps' \
    | DOCKER_BUILDKIT=0 docker build -q -t "$base" - >/dev/null
}

have_base() {
  has_image "$base" && return
  pull_base || bootstrap_base || { lacks "no base image: neither a registry nor a package mirror gave one"; return 1; }
}

have_agent() {
  has_image "$agent" && return
  says "Building $agent (once on this machine, some minutes)"
  mkdir "$work/context"
  cp "$dockerfile" "$work/context/Dockerfile"
  [ ! -f "${NODE_EXTRA_CA_CERTS:-}" ] || cp -L "$NODE_EXTRA_CA_CERTS" "$work/context/ca-certificates.crt"
  DOCKER_BUILDKIT=0 docker build -t "$agent" --build-arg BASE="$base" "$work/context" >"$work/build" 2>&1 \
    || { tail -20 "$work/build" >&2; lacks "the agent image could not be built"; return 1; }
}

# Two at a time would do everything twice.
exec 9>"${TMPDIR:-/tmp}/scopecraft-test-machine.$(id -u).lock"
flock 9
have_tmux || true
have_shells || true
{ have_engine && have_base && have_agent; } 9>&- || true
exit "$missing"
