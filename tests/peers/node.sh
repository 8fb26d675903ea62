# shellcheck shell=bash
# The official MCP TypeScript SDK, a client that is not ours, as tests/peers/node/package-lock.json pins it.
#
# Exports ASGARD_TEST_NODE_DIR, the folder whose node_modules holds it.

node_install() {
  local dir=$repo/tests/peers/node major
  major=$(node --version) && major=${major#v} && major=${major%%.*}
  [ "$major" -ge 18 ] || die "node $(node --version) is too old: the MCP client needs 18 or newer"
  # The lock file is copied in only after an install that ended well.
  if ! cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed"; then
    say "installing the MCP client"
    quietly "npm ci" npm --prefix "$dir" ci
    cp "$dir/package-lock.json" "$dir/node_modules/.installed"
  fi
  export ASGARD_TEST_NODE_DIR=$dir
}
