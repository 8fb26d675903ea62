# shellcheck shell=bash
# A private PostgreSQL on a free loopback port, gone when the run ends. Tests create their own databases in it.
#
# Exports ASGARD_TEST_POSTGRES_URL, and ASGARD_TEST_STANDBY_URL of a hot standby that a test may promote; and of a second pair that
# one test may make read-only and promote, ASGARD_TEST_PAIR_PRIMARY_URL and ASGARD_TEST_PAIR_STANDBY_URL.

postgres_pid='' postgres_pids=() served_pid='' served_port=''

# The folder of the server's programs: Debian keeps them off PATH, one folder per version.
postgres_bindir() {
  local dir
  for dir in $(compgen -G '/usr/lib/postgresql/*/bin' | sort -rV) $(pg_config --bindir 2>/dev/null || true); do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
      echo "$dir"
      return
    fi
  done
}

postgres_start() {
  local bin owner port password dir=$run_dir/postgres as_owner=()
  bin=$(postgres_bindir)
  [ -n "$bin" ] || die "no PostgreSQL server found"
  owner=$(id -un)
  if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    owner=$(id -un postgres 2>/dev/null || echo nobody)
    as_owner=(setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups --)
  fi
  password=$(tr -d - </proc/sys/kernel/random/uuid)

  mkdir -p "$dir"
  printf '%s\n' "$password" >"$dir/password"
  chmod 600 "$dir/password"
  chown -R "$owner" "$dir"
  cd "$dir"
  quietly "initdb" "${as_owner[@]}" "$bin/initdb" --pgdata="$dir/data" --username=asgard --pwfile="$dir/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync
  # Nothing here outlives the run, so nothing has to reach the disk.
  printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" 'max_connections = 200' \
    'fsync = off' 'full_page_writes = off' >>"$dir/data/postgresql.conf"

  cp -a "$dir/data" "$dir/pair"
  postgres_serve "$dir/data" "$run_dir/postgres.log"
  postgres_pid=$served_pid port=$served_port
  export ASGARD_TEST_POSTGRES_URL="postgres://asgard:$password@127.0.0.1:$port/postgres"

  postgres_follow standby
  export ASGARD_TEST_STANDBY_URL="postgres://asgard:$password@127.0.0.1:$served_port/postgres"

  postgres_serve "$dir/pair" "$run_dir/pair.log"
  port=$served_port
  export ASGARD_TEST_PAIR_PRIMARY_URL="postgres://asgard:$password@127.0.0.1:$port/postgres"
  postgres_follow pair-standby
  export ASGARD_TEST_PAIR_STANDBY_URL="postgres://asgard:$password@127.0.0.1:$served_port/postgres"
  cd "$repo"
}

# Starts a standby of the server at $port, made from a copy.
postgres_follow() { # NAME
  quietly "pg_basebackup" "${as_owner[@]}" env PGPASSWORD="$password" "$bin/pg_basebackup" --pgdata="$dir/$1" --no-sync \
    --checkpoint=fast --write-recovery-conf --host=127.0.0.1 --port="$port" --username=asgard
  postgres_serve "$dir/$1" "$run_dir/$1.log"
}

# Starts a server on the data in a folder, with what postgres_start has found, and says where it serves.
postgres_serve() { # FOLDER LOG
  # Ports below the range that clients are given; another one when somebody else was faster.
  local attempt
  for attempt in 1 2 3 4 5; do
    served_port=$((20000 + RANDOM % 12000))
    # It is told to stop when this script dies, however that happens.
    "${as_owner[@]}" setpriv --pdeathsig QUIT -- "$bin/postgres" -D "$1" -p "$served_port" >"$2" 2>&1 &
    served_pid=$!
    while kill -0 "$served_pid" 2>/dev/null; do
      # Its own word, not an answer on the port: that could be another server's.
      if grep -q '^ready' "$1/postmaster.pid" 2>/dev/null; then
        postgres_pids+=("$served_pid")
        return
      fi
      sleep 0.1
    done
    say "PostgreSQL did not start on port $served_port (attempt $attempt)"
  done
  cat "$2" >&2
  die "PostgreSQL did not start"
}

postgres_alive() { [ -n "$postgres_pid" ] && kill -0 "$postgres_pid" 2>/dev/null; }

postgres_stop() {
  local pid
  for pid in "${postgres_pids[@]}"; do
    kill -QUIT "$pid" 2>/dev/null || true # at once: its data is thrown away
    wait "$pid" 2>/dev/null || true
  done
  postgres_pid='' postgres_pids=()
}
