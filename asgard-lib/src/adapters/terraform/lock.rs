//! Terraform's dependency lock file: which providers an apply was made with, and how others differ from them.

use crate::domain::run::{PlanSummary, ProviderChange};
use std::collections::{BTreeMap, BTreeSet};

/// What a lock file says of a provider.
#[derive(Debug, Default, PartialEq, Eq)]
struct Locked {
    version: String,
    checksums: BTreeSet<String>,
}

/// The text between the first two quotation marks of a line.
fn quoted(line: &str) -> Option<&str> {
    line.split('"').nth(1)
}

/// The providers of a lock file. Terraform writes it, one attribute a line; what is not known is passed over.
fn providers(lock: &[u8]) -> BTreeMap<String, Locked> {
    let mut found: BTreeMap<String, Locked> = BTreeMap::new();
    let mut present = None;
    for line in String::from_utf8_lossy(lock).lines().map(str::trim) {
        if line.starts_with("provider ") {
            present = quoted(line).map(str::to_owned);
            continue;
        }
        let Some(name) = &present else { continue };
        let locked = found.entry(name.clone()).or_default();
        match quoted(line) {
            Some(version) if line.starts_with("version") => version.clone_into(&mut locked.version),
            Some(checksum) if line.starts_with('"') => {
                locked.checksums.insert(checksum.to_owned());
            }
            Some(_) | None => {}
        }
    }
    found
}

/// How the providers of now differ from those of before. One of the same version differs when it has none of the checksums.
pub(super) fn changes(before: &[u8], now: &[u8]) -> Vec<ProviderChange> {
    let (before, now) = (providers(before), providers(now));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differs = |name: &String| match (before.get(name), now.get(name)) {
        (Some(one), Some(other)) => one.version != other.version || one.checksums.is_disjoint(&other.checksums),
        (Some(_), None) | (None, Some(_)) | (None, None) => true,
    };
    let version = |of: &BTreeMap<String, Locked>, name: &String| {
        of.get(name).map(|locked| locked.version.chars().take(100).collect::<String>())
    };
    let changed = names.into_iter().filter(|name| differs(name)).map(|name| ProviderChange {
        provider: name.chars().take(300).collect(),
        from: version(&before, name),
        to: version(&now, name),
    });
    changed.take(PlanSummary::MAX_PROVIDERS).collect()
}

/// Whether `init` complained that the lock file and what is offered do not go together. Anything else is no reason to take other
/// providers.
pub(super) fn does_not_match(stderr: &str) -> bool {
    const WORDS: &[&str] =
        &["lock file", "locked provider", "previously-selected version", "no available releases match"];
    let words = stderr.replace(['│', '╷', '╵'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    WORDS.iter().any(|said| words.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(providers: &[(&str, &str, &str)]) -> Vec<u8> {
        let mut text = "# This file is maintained automatically by \"terraform init\".\n\n".to_owned();
        for (name, version, checksum) in providers {
            text.push_str(&format!(
                "provider \"{name}\" {{\n  version     = \"{version}\"\n  constraints = \">= 1.0.0\"\n  hashes = [\n    \"h1:{checksum}=\",\n    \"zh:{checksum}\",\n  ]\n}}\n\n"
            ));
        }
        text.into_bytes()
    }

    #[test]
    fn providers_that_differ_are_named_with_both_versions() {
        let before = lock(&[("r/a/one", "1.0.0", "x"), ("r/a/two", "2.0.0", "y"), ("r/a/gone", "3.0.0", "z")]);
        let now = lock(&[("r/a/one", "1.0.0", "x"), ("r/a/two", "2.1.0", "w"), ("r/a/new", "4.0.0", "v")]);
        assert!(changes(&before, &before).is_empty());
        let told: Vec<String> = changes(&before, &now).iter().map(ProviderChange::to_string).collect();
        assert_eq!(
            told,
            [
                "Provider r/a/gone 3.0.0 of the last apply is not used any more.",
                "Provider r/a/new 4.0.0 was not used by the last apply.",
                "Provider r/a/two is 2.1.0; the last apply was made with 2.0.0.",
            ]
        );
        let rebuilt = changes(
            &before,
            &lock(&[("r/a/one", "1.0.0", "other"), ("r/a/two", "2.0.0", "y"), ("r/a/gone", "3.0.0", "z")]),
        );
        assert_eq!(
            rebuilt.iter().map(ProviderChange::to_string).collect::<Vec<_>>(),
            ["Provider r/a/one 1.0.0 has other checksums than at the last apply."]
        );
        assert!(changes(b"no lock file", b"\xff\"").is_empty());
    }

    #[test]
    fn only_what_is_about_the_lock_is_a_reason_for_other_providers() {
        let wrapped = "│ Could not retrieve the list of available versions for provider a/b: no\n│ available releases match the given constraints 1.2.3\n";
        assert!(does_not_match(wrapped));
        assert!(does_not_match("doesn't match any of the checksums recorded in the dependency lock file"));
        assert!(does_not_match("the previously-selected version 1.0.0 is no longer available"));
        assert!(!does_not_match("failed to retrieve authentication checksums for provider: 503 Service Unavailable"));
        assert!(!does_not_match("could not connect to registry.terraform.io: dial tcp: lookup failed"));
        assert!(!does_not_match("Error: Unsupported block type"));
    }
}
