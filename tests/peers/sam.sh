# shellcheck shell=bash
# The tools of AWS: SAM, cfn-lint, cargo-lambda with zig as its linker, and hadolint; and ministack, the emulator. All are Python
# packages, as tests/peers/python/*.txt lock them. Two environments, because SAM and ministack each pin another botocore; they
# share one folder of programs.
#
# Exports ASGARD_TEST_PYTHON_BIN, the folder that holds python, sam, cfn-lint, cargo-lambda, hadolint and ministack.

sam_install() {
  local peers=$repo/tests/.peers
  sam_environment sam
  sam_environment ministack
  ln -sfn "$peers/ministack/bin/ministack" "$peers/sam/bin/ministack"
  # cargo-lambda looks for zig as a module of the python3 on PATH, which is this one when the folder comes first there.
  quietly "python3 -m ziglang" "$peers/sam/bin/python3" -m ziglang version
  export ASGARD_TEST_PYTHON_BIN=$peers/sam/bin
}

sam_environment() { # NAME: a Python environment with what is locked for it
  local pinned=$repo/tests/peers/python/$1.txt venv=$repo/tests/.peers/$1
  # The lock file is copied in only after an install that ended well.
  if ! cmp -s "$pinned" "$venv/.installed"; then
    say "installing $1 and what belongs to it"
    rm -rf "$venv"
    quietly "python3 -m venv" python3 -m venv "$venv"
    # The lock is complete, and pip does not take a locked `boto3[crt]` for the `boto3` that others ask for.
    quietly "pip install" "$venv/bin/pip" install --no-deps --require-hashes --only-binary :all: --requirement "$pinned"
    quietly "pip check" "$venv/bin/pip" check
    cp "$pinned" "$venv/.installed"
  fi
}
