//! Members whose tests are one program name each file by hand: one that was forgotten would never run.

use std::{fs, path::Path};

#[test]
fn every_test_file_is_part_of_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for member in ["asgard-lib", "asgard-lambda", "examples/custom-store"] {
        let folder = root.join(member);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let program = fs::read_to_string(folder.join("tests/main.rs")).expect("the program");
        let mut found = 0;
        for entry in fs::read_dir(folder.join("tests")).expect("the folder").flatten() {
            let path = entry.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let is_test = path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file();
            if is_test && name != "main" {
                found += 1;
                let named = program.contains(&format!("mod {name};")) || manifest.contains(&format!("tests/{name}.rs"));
                assert!(named, "{member}/tests/main.rs does not name {name}, so its tests would not run");
            }
        }
        assert!(found > 1, "{member} has no tests to look at");
    }
}
