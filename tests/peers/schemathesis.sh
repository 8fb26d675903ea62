# shellcheck shell=bash
# Schemathesis, which walks the OpenAPI document against a server. A Python package, as tests/peers/python/schemathesis.txt locks it,
# in an environment of its own: it pins other versions than the tools of AWS.
#
# Exports ASGARD_TEST_SCHEMATHESIS, the program.

schemathesis_install() {
  sam_environment schemathesis
  export ASGARD_TEST_SCHEMATHESIS=$repo/tests/.peers/schemathesis/bin/schemathesis
}
