//! The public surface of the library: everything that an embedder can name. A change of it is seen in review, as a change of
//! `asgard-lib/public-surface.txt`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How to write the file anew.
const UPDATE: &str = "UPDATE_DOCS=1 cargo test -p asgard-tests --test it the_public_surface";

/// What rustdoc knows of the library, with every feature. The whole workspace is documented, because cargo then takes the same
/// features of dependencies as everywhere else and compiles none of them again.
fn rustdoc_json(repo: &Path) -> PathBuf {
    let done = Command::new(env!("CARGO"))
        .args(["doc", "--workspace", "--lib", "--all-features", "--no-deps", "--locked", "--quiet"])
        .current_dir(repo)
        .env("RUSTDOC", repo.join("tests/rustdoc-json"))
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json")
        .output()
        .unwrap();
    assert!(done.status.success(), "cargo doc: {}", String::from_utf8_lossy(&done.stderr));
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(repo)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    Path::new(metadata["target_directory"].as_str().unwrap()).join("doc/asgard_lib.json")
}

#[test]
fn the_public_surface_is_what_is_written_down() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let surface = public_api::Builder::from_rustdoc_json(rustdoc_json(repo))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap();
    let now: String = surface.items().map(|item| format!("{item}\n")).collect();
    let file = repo.join("asgard-lib/public-surface.txt");
    #[expect(clippy::disallowed_methods, reason = "how the person at the keyboard asks for the file to be written")]
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (written.lines().collect(), now.lines().collect());
    let gone: Vec<String> = old.difference(&new).map(|line| format!("- {line}")).collect();
    let come: Vec<String> = new.difference(&old).map(|line| format!("+ {line}")).collect();
    assert!(
        gone.is_empty() && come.is_empty(),
        "The public surface of asgard-lib is another one than {} says. If that is meant: {UPDATE}\n{}\n{}",
        file.display(),
        gone.join("\n"),
        come.join("\n")
    );
}
