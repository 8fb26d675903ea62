//! What `public-surface.txt` lists, compared with what is said of it elsewhere. A test of the workspace compares that file with the
//! library.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first thing that is wrong")]

use std::collections::BTreeSet;

const SURFACE: &str = include_str!("../public-surface.txt");

/// Crates whose types another one has again, under which they are named.
const AGAIN: &[(&str, &str)] = &[
    ("aws_types", "aws_config"),
    ("axum_core", "axum"),
    ("futures_core", "futures_util"),
    ("serde_core", "serde"),
    ("tracing_core", "tracing"),
];

/// The crates that a text of signatures names: where a path begins.
fn crates(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("::") {
        let before = &text[..at];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = before.rfind(|c| !word(c)).map_or(0, |end| end + 1);
        let name = &before[start..];
        let first = !before[..start].ends_with(':');
        if first && name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_crate_in_a_signature_is_exported_again() {
    let line = "pub fn a::B::c<T: d::E>(&'a dyn f::G) -> <T as h::I>::J where [k::L; 2]: m::N";
    assert_eq!(crates(line), BTreeSet::from(["a", "d", "f", "h", "k", "m"]));
    let exported: BTreeSet<&str> =
        SURFACE.lines().filter_map(|line| line.strip_prefix("pub use asgard_lib::foreign::")).collect();
    assert!(exported.len() > 10, "{exported:?}");
    let missing: Vec<&str> = crates(SURFACE)
        .into_iter()
        .filter(|name| !["asgard_lib", "alloc", "core", "std"].contains(name))
        .filter(|name| {
            let known = AGAIN.iter().find(|(of, _)| of == name).map_or(*name, |(_, known)| known);
            !exported.contains(known)
        })
        .collect();
    assert!(missing.is_empty(), "signatures name crates that `asgard_lib::foreign` does not have: {missing:?}");
}

#[test]
fn the_types_that_will_grow_are_non_exhaustive() {
    let page = include_str!("../../docs/adr/0017-composition.md");
    let (_, said) = page.split_once("**Types that will grow** are `non_exhaustive`:").unwrap();
    let (said, _) = said.split_once(';').unwrap();
    let mut checked = 0;
    for name in said.split('`').skip(1).step_by(2) {
        let ends = format!("::{name}");
        let declared: Vec<&str> = SURFACE
            .lines()
            .filter(|line| line.contains("pub enum ") || line.contains("pub struct "))
            .filter(|line| line.split('<').next().is_some_and(|of| of.ends_with(&ends)))
            .collect();
        assert!(declared.iter().any(|line| line.starts_with("#[non_exhaustive]")), "{name}: {declared:?}");
        checked += 1;
    }
    assert!(checked > 10, "only {checked} types were looked at");
}
