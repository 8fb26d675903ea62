//! Services of a test's own, made from a shipped one.

use std::{fs, path::Path};

/// Copies the shipped `local-demo` into `<dir>/<id>` as a service of that id, with each `(from, to)` replaced in its files.
/// Every replacement must be found, so that a changed module does not make a test prove nothing.
pub fn overlay(dir: &Path, id: &str, replacements: &[(&str, &str)]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/local/local-demo");
    let to = dir.join(id);
    fs::create_dir_all(&to).expect("a folder can be made");
    let mut found = vec![false; replacements.len()];
    for entry in fs::read_dir(from).expect("the module is there").flatten() {
        let mut text = fs::read_to_string(entry.path()).expect("a file of the module can be read");
        for ((old, new), found) in replacements.iter().zip(&mut found) {
            *found |= text.contains(old);
            text = text.replace(old, new);
        }
        text = text.replace("id: local-demo", &format!("id: {id}"));
        fs::write(to.join(entry.file_name()), text).expect("a file can be written");
    }
    assert!(found.iter().all(|found| *found), "local-demo has changed: {replacements:?} {found:?}");
}
