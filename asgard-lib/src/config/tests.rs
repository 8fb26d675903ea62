//! Every refusal with its full message, everything that the guide and the runbooks write, and that no secret is ever shown.

mod accepted;
mod refused;
mod secrets;

use super::*;
use std::ffi::OsString;

/// Loads a file of this text under this environment. In problems and origins the file is `asgard.yaml`.
fn load_text<E: IntoIterator<Item = (K, V)>, K: Into<OsString>, V: Into<OsString>>(
    text: &str,
    env: E,
) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asgard.yaml");
    std::fs::write(&file, text).unwrap();
    let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let shorten = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    load(&LoadOptions { file: Some(file), env, ..LoadOptions::default() })
        .map(|mut loaded| {
            for setting in &mut loaded.settings {
                if let Origin::File { name, .. } = &mut setting.origin {
                    *name = shorten(std::mem::take(name));
                }
            }
            loaded
        })
        .map_err(|problems| shorten(problems.to_string()))
}

/// Loads this environment without a file.
fn load_env<const N: usize>(env: [(&str, &str); N]) -> Result<Loaded, String> {
    load(&LoadOptions { env: env.into(), ..LoadOptions::default() }).map_err(|problems| problems.to_string())
}

const NO_ENV: [(&str, &str); 0] = [];
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn the_reference_page_is_fresh() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let expected = reference();
    #[allow(clippy::disallowed_methods, reason = "the switch that writes the page again")]
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/configuration.md is stale; run UPDATE_DOCS=1 cargo test -p asgard-lib reference_page"
    );
}
