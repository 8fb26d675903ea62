# shellcheck shell=bash
# The official MCP TypeScript SDK, a client that is not ours, and Node 22 to run it, both as tests/peers/node/package-lock.json
# pins them. The machine's own node only brings the npm that installs them.
#
# `node-linux-<arch>` is the program that the npm package `node` of the same version fetches in an install script; named here by
# itself, it is held to the lock's digest, and needs no script to run.
#
# Exports ASGARD_TEST_NODE_DIR, the folder whose node_modules holds the client, ASGARD_TEST_NODE, the program, and PATH with it in
# front, for clients that are started by a `#!/usr/bin/env node`.

node_install() {
  local dir=$repo/tests/peers/node bin=$repo/tests/.peers/node arch version
  # The lock file is copied in only after an install that ended well.
  if ! cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed"; then
    say "installing Node 22 and the MCP client"
    quietly "npm ci" npm --prefix "$dir" ci
    cp "$dir/package-lock.json" "$dir/node_modules/.installed"
  fi
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "there is no Node 22 for $(uname -m) in tests/peers/node/package.json" ;;
  esac
  mkdir -p "$bin"
  ln -sfn "$dir/node_modules/node-linux-$arch/bin/node" "$bin/node"
  version=$("$bin/node" --version) || die "the Node of tests/peers/node does not run"
  [[ $version == v22.* ]] || die "tests/peers/node holds Node $version, not 22"
  export ASGARD_TEST_NODE_DIR=$dir ASGARD_TEST_NODE=$bin/node PATH=$bin:$PATH
}
