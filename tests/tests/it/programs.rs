//! What cargo is told in several places: test files that are named by hand, and crates that are built for size.

use std::{fs, path::Path};

#[test]
fn every_test_file_is_part_of_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for member in ["asgard-lib", "asgard-lambda", "examples/custom-store", "examples/embed-axum"] {
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

/// The crates that a manifest builds with one level of optimisation.
fn optimised(file: &str, level: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).expect("a manifest");
    let wanted = format!("= {{ opt-level = \"{level}\" }}");
    text.lines().filter_map(|line| line.strip_suffix(&wanted)).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn what_the_server_builds_small_the_functions_build_smallest() {
    let small = optimised("Cargo.toml", "s");
    assert!(!small.is_empty(), "the workspace builds nothing for size");
    assert_eq!(small, optimised("asgard-lambda/.cargo/config.toml", "z"), "a crate's own level counts for more");
}
