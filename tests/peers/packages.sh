# shellcheck shell=bash
# The Debian packages that the peers and the build need; installed only where they are missing, which takes root.

has() { command -v "$1" >/dev/null; }

packages_missing() {
  has curl || echo curl
  has jq || echo jq
  has python3 || echo python3
  has pgrep || echo procps
  has cc || echo gcc libc6-dev
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  [ -n "$(postgres_bindir)" ] || echo postgresql
  [ -n "$(pgbouncer_program)" ] || echo pgbouncer
  has chromium || echo chromium
  has chromedriver || echo chromium-driver
  { has node && has npm; } || echo nodejs npm
  # For the checks of what is deployed: signatures, archives, the unit and the history.
  { has gpg && has gpgconf && has gpg-agent; } || echo gnupg
  has unzip || echo unzip
  has systemd-analyze || echo systemd
  has git || echo git
  # Python's venv and pip install the tools of AWS, and what stands in for a missing terraform.
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}

packages_install() {
  local missing
  mapfile -t missing < <(packages_missing | tr ' ' '\n')
  [ ${#missing[@]} -gt 0 ] || return 0
  has apt-get || die "missing, and this is no Debian to install them on: ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "missing, and only root can install them: ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly "apt-get update" apt-get -o Acquire::Retries=3 update
  quietly "apt-get install ${missing[*]}" \
    apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
  mapfile -t missing < <(packages_missing | tr ' ' '\n')
  [ ${#missing[@]} -eq 0 ] || die "still missing after installing: ${missing[*]}"
}
