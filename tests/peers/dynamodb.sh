# shellcheck shell=bash
# An emulator of DynamoDB on a free loopback port, in memory and gone when the run ends: the one that is checked against the
# real service and keeps its transactions whole under load. Tests make their own tables in it.
#
# Exports ASGARD_TEST_DYNAMODB_URL.

dynamodb_version=3.2.0
dynamodb_bin=$repo/tests/.peers/dynamodb/bin/dynoxide
dynamodb_pid=

# Not a dependency of the workspace: it links another SQLite, and a program may hold only one.
dynamodb_install() {
  local root=$repo/tests/.peers/dynamodb
  [ "$(cat "$root/.installed" 2>/dev/null)" != "$dynamodb_version" ] || return 0
  say "building the emulator of DynamoDB"
  rm -rf "$root"
  # Built to be ready soon rather than to be fast.
  quietly "cargo install dynoxide-rs" setpriv --pdeathsig TERM -- env \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_TARGET_DIR="$root/target" \
    cargo install dynoxide-rs --version "$dynamodb_version" --locked --no-default-features \
    --features native-sqlite,http-server,cli --root "$root"
  rm -rf "$root/target"
  echo "$dynamodb_version" >"$root/.installed"
}

dynamodb_start() {
  local port attempt log=$run_dir/dynamodb.log
  for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    setpriv --pdeathsig KILL -- "$dynamodb_bin" --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
    dynamodb_pid=$!
    while kill -0 "$dynamodb_pid" 2>/dev/null; do
      # Its own word, not an answer on the port: that could be another server's.
      if grep -q "listening on http://127.0.0.1:$port" "$log"; then
        export ASGARD_TEST_DYNAMODB_URL=http://127.0.0.1:$port
        return
      fi
      sleep 0.1
    done
    say "the emulator of DynamoDB did not start on port $port (attempt $attempt)"
  done
  cat "$log" >&2
  die "the emulator of DynamoDB did not start"
}

dynamodb_stop() {
  [ -n "$dynamodb_pid" ] || return 0
  kill -KILL "$dynamodb_pid" 2>/dev/null || true # its data is thrown away
  wait "$dynamodb_pid" 2>/dev/null || true
  dynamodb_pid=
}
