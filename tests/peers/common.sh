# shellcheck shell=bash
# Words that the test scripts share.

say() { printf '== %s\n' "$*"; }

die() {
  printf 'tests/run: %s\n' "$*" >&2
  exit 1
}

# Runs a command quietly and shows what it said only when it fails.
quietly() { # WHAT COMMAND...
  local what=$1 log
  shift
  log=$(mktemp "$run_dir/quiet.XXXXXX") # of its own, for commands side by side
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    die "$what failed"
  }
  rm -f "$log"
}

# Sums cargo's `test result:` lines: prints "PASSED FAILED".
count_cargo_tests() { # LOG
  awk '/^test result: / {
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^failed/) failed += $(i - 1)
      }
    }
    END { print passed + 0, failed + 0 }' "$1"
}
