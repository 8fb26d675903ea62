# shellcheck shell=bash
# PgBouncer in front of the private PostgreSQL, once for each way in which it can share server processes.
#
# Exports ASGARD_TEST_TRANSACTION_POOLER_URL and ASGARD_TEST_SESSION_POOLER_URL.

pgbouncer_pids=()

pgbouncer_program() { compgen -G '/usr/sbin/pgbouncer' || command -v pgbouncer || true; }

pgbouncer_start() {
  local program
  program=$(pgbouncer_program)
  [ -n "$program" ] || die "no PgBouncer found"
  pgbouncer_serve transaction
  export ASGARD_TEST_TRANSACTION_POOLER_URL=$served_url
  pgbouncer_serve session
  export ASGARD_TEST_SESSION_POOLER_URL=$served_url
}

# Starts one in front of ASGARD_TEST_POSTGRES_URL, with what pgbouncer_start has found, and says where it serves.
pgbouncer_serve() { # MODE
  local mode=$1 dir=$run_dir/pgbouncer-$1 owner as_owner=() rest password address attempt port
  owner=$(id -un)
  if [ "$(id -u)" = 0 ]; then # PgBouncer refuses to run as root
    owner=$(id -un postgres 2>/dev/null || echo nobody)
    as_owner=(setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups --)
  fi
  rest=${ASGARD_TEST_POSTGRES_URL#postgres://asgard:} # password@host:port/database
  password=${rest%%@*} address=${rest#*@}
  address=${address%%/*}
  mkdir -p "$dir"
  printf '"asgard" "%s"\n' "$password" >"$dir/users"
  chmod 600 "$dir/users"
  chown -R "$owner" "$dir"
  for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    printf '%s\n' '[databases]' "* = host=${address%%:*} port=${address##*:}" '[pgbouncer]' \
      'listen_addr = 127.0.0.1' "listen_port = $port" 'unix_socket_dir =' "pool_mode = $mode" \
      'auth_type = scram-sha-256' "auth_file = $dir/users" 'max_client_conn = 200' 'default_pool_size = 20' >"$dir/ini"
    chmod 644 "$dir/ini"
    # Nothing in it outlives the run, and what ends it at once differs between versions: it is killed, also when this script dies.
    "${as_owner[@]}" setpriv --pdeathsig KILL -- "$program" "$dir/ini" >"$dir.log" 2>&1 &
    served_pid=$!
    while kill -0 "$served_pid" 2>/dev/null; do
      if grep -q 'process up' "$dir.log"; then
        pgbouncer_pids+=("$served_pid")
        served_url="postgres://asgard:$password@127.0.0.1:$port/postgres"
        return
      fi
      sleep 0.1
    done
    say "PgBouncer did not start on port $port (attempt $attempt)"
  done
  cat "$dir.log" >&2
  die "PgBouncer did not start"
}

pgbouncer_stop() {
  local pid
  for pid in "${pgbouncer_pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pgbouncer_pids=()
}
