//! Looking for a secret where it must not be, also in the disguises that programs put values into.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A place that holds a secret and must not.
#[derive(Debug)]
pub struct Leak {
    /// Where.
    pub place: String,
    /// In which disguise.
    pub disguise: String,
    /// What stands around it.
    pub around: String,
}

/// A secret as it may be written: plain, in hex, base64 at every alignment, URL-encoded, JSON-escaped, reversed, and the
/// bytes that a hex text stands for.
pub fn disguises(secret: &str) -> Vec<(String, Vec<u8>)> {
    assert!(secret.len() >= 16, "too short to look for");
    let mut found = BTreeSet::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        if bytes.len() >= 12 {
            found.insert((name.to_owned(), bytes));
        }
    };
    let raw = secret.as_bytes();
    add("plain", raw.to_vec());
    add("upper case", secret.to_uppercase().into_bytes());
    add("reversed", raw.iter().rev().copied().collect());
    add("hex", HEXLOWER.encode(raw).into_bytes());
    add("upper hex", HEXUPPER.encode(raw).into_bytes());
    add("url-encoded", raw.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect());
    add("utf-16", raw.iter().flat_map(|byte| [*byte, 0]).collect());
    let mut forms = vec![("base64", raw.to_vec())];
    if let Ok(bytes) = HEXLOWER.decode(raw) {
        add("decoded", bytes.clone());
        forms.push(("base64 of the decoded", bytes));
    }
    for (name, bytes) in forms {
        for shift in 0..3 {
            // The characters that depend on what stands before and after are left out.
            let padded = [&[0u8; 3][..shift], &bytes].concat();
            let whole = (padded.len() / 3) * 3;
            let from = shift.div_ceil(3) * 4;
            for encoding in [BASE64, BASE64URL] {
                let text = encoding.encode(&padded[..whole]).into_bytes();
                add(&format!("{name}, shifted by {shift}"), text[from..].to_vec());
            }
        }
    }
    found.into_iter().collect()
}

fn find(place: &str, haystack: &[u8], secret: &str, leaks: &mut Vec<Leak>) {
    for (disguise, needle) in disguises(secret) {
        // The first bytes decide almost everywhere, so that a large heap is walked once and not compared in full.
        let first = needle[0];
        let mut from = 0;
        while let Some(step) = haystack[from..].iter().position(|byte| *byte == first) {
            let at = from + step;
            if haystack[at..].starts_with(&needle) {
                let around = &haystack[at.saturating_sub(80)..haystack.len().min(at + needle.len() + 80)];
                let around = String::from_utf8_lossy(around).into_owned();
                leaks.push(Leak { place: place.to_owned(), disguise, around });
                break;
            }
            from = at + 1;
        }
    }
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder can be read").flatten() {
            files(&entry.path(), found);
        }
    } else if path.is_file() {
        found.push(path.to_owned());
    }
}

/// Fails when a secret stands in one of the heaps, or in a file below one of the folders.
pub fn assert_absent(secrets: &[String], heaps: &[(&str, &[u8])], folders: &[&Path]) {
    assert!(!secrets.is_empty(), "nothing to look for");
    let mut leaks = Vec::new();
    for (name, heap) in heaps {
        assert!(!heap.is_empty(), "{name} is empty, so finding nothing in it proves nothing");
        secrets.iter().for_each(|secret| find(name, heap, secret, &mut leaks));
    }
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| files(folder, &mut paths));
    for path in paths {
        // A file may vanish while it is looked for.
        let bytes = fs::read(&path).unwrap_or_default();
        secrets.iter().for_each(|secret| find(&path.display().to_string(), &bytes, secret, &mut leaks));
    }
    assert!(leaks.is_empty(), "secrets were found where they must not be: {leaks:#?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disguise_is_found() {
        let secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let seen = |text: &[u8]| {
            let mut leaks = Vec::new();
            find("here", &[b"before ", text, b" after"].concat(), secret, &mut leaks);
            !leaks.is_empty()
        };
        let raw = secret.as_bytes();
        assert!(seen(raw));
        assert!(seen(HEXLOWER.encode(raw).as_bytes()));
        assert!(seen(&HEXLOWER.decode(raw).unwrap()));
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "z", "zz"] {
                let text = format!("{before}{secret}{after}");
                assert!(seen(BASE64.encode(text.as_bytes()).as_bytes()), "{before} {after}");
                assert!(seen(BASE64URL.encode(text.as_bytes()).as_bytes()), "{before} {after}");
            }
        }
        assert!(!seen(&raw[..40]));
        assert!(!seen(b"nothing"));
    }
}
