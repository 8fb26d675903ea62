# shellcheck shell=bash
# A stand-in for AWS (KMS, Secrets Manager and others) on a free loopback port, gone when the run ends. It is a program from
# PyPI; ASGARD_TEST_PYTHON_BIN is the folder of the virtual environment that it is installed in.
#
# Exports ASGARD_TEST_AWS_URL.

ministack_pid=

# Whether the process that was started is the one that listens on a port: an answer there could be another server's.
ministack_listens() { # PORT
  python3 - "$1" "$ministack_pid" <<'PYTHON'
import os, sys

port, pid = int(sys.argv[1]), sys.argv[2]
listening = set()
with open("/proc/net/tcp") as sockets:
    for line in list(sockets)[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
            listening.add("socket:[%s]" % fields[9])
folder = "/proc/%s/fd" % pid
held = set()
for name in os.listdir(folder):
    try:
        held.add(os.readlink(os.path.join(folder, name)))
    except OSError:
        pass
sys.exit(0 if listening and listening <= held else 1)
PYTHON
}

ministack_start() {
  local attempt port program=${ASGARD_TEST_PYTHON_BIN:?}/ministack
  [ -x "$program" ] || die "there is no $program"
  mkdir -p "$run_dir/ministack"
  for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    # From a folder of its own, with nothing of the caller's AWS settings; it ends when this script dies.
    (
      cd "$run_dir/ministack"
      for name in ${!AWS_@}; do unset "$name"; done
      GATEWAY_PORT=$port BIND_HOST=127.0.0.1 exec setpriv --pdeathsig TERM -- "$program"
    ) >"$run_dir/ministack.log" 2>&1 &
    ministack_pid=$!
    local until=$((SECONDS + 60))
    while ministack_alive && [ $SECONDS -lt $until ]; do
      if ministack_listens "$port" 2>/dev/null; then
        export ASGARD_TEST_AWS_URL="http://127.0.0.1:$port"
        return
      fi
      sleep 0.2
    done
    ministack_stop
    say "ministack did not start on port $port (attempt $attempt)"
  done
  cat "$run_dir/ministack.log" >&2
  die "ministack did not start"
}

ministack_alive() { [ -n "$ministack_pid" ] && kill -0 "$ministack_pid" 2>/dev/null; }

ministack_stop() {
  if ministack_alive; then
    kill -KILL "$ministack_pid" 2>/dev/null || true # at once: its data is thrown away
    wait "$ministack_pid" 2>/dev/null || true
  fi
  ministack_pid=
}
