# shellcheck shell=bash
# A browser and its WebDriver server. The tests start both; here it is only seen that they are there and can start.
#
# Exports ASGARD_TEST_CHROMIUM and ASGARD_TEST_CHROMEDRIVER.

chromium_find() {
  ASGARD_TEST_CHROMIUM=$(command -v chromium) || die "no chromium on PATH"
  ASGARD_TEST_CHROMEDRIVER=$(command -v chromedriver) || die "no chromedriver on PATH"
  export ASGARD_TEST_CHROMIUM ASGARD_TEST_CHROMEDRIVER
  quietly "chromium --version" "$ASGARD_TEST_CHROMIUM" --version
  quietly "chromedriver --version" "$ASGARD_TEST_CHROMEDRIVER" --version
}
