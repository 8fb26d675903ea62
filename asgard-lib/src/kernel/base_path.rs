//! The path below which all of Asgard is, where it is not alone at its address.

use super::Malformed;
use std::{fmt, str::FromStr, sync::Arc};

/// The path below which everything is served: nothing, or segments with a slash before each and none at the end, such as
/// `/governance`. Every link, redirect, form, cookie and document that Asgard makes begins with it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BasePath(Arc<str>);

impl BasePath {
    /// The root: Asgard has the whole address.
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// The path: empty at the root, and otherwise without a slash at its end. Fit to have a path appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Asgard has the whole address.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the path `below` of ours is, as others see it. `below` begins with a slash; the start, `/`, has none at its end
    /// when it is below a path.
    pub fn join(&self, below: &str) -> String {
        match below.strip_prefix('/') {
            Some(rest) if !self.is_root() && !rest.starts_with(|c: char| !matches!(c, '?' | '#')) => {
                format!("{}{rest}", self.0)
            }
            Some(_) | None => format!("{}{below}", self.0),
        }
    }

    /// What a path that others see is below the base, if it is: `/governance/projects` is `/projects`.
    pub fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        match path.strip_prefix(&*self.0)? {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }
}

impl Default for BasePath {
    fn default() -> Self {
        Self::root()
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for BasePath {
    type Err = Malformed;

    /// Reads a path with or without a slash at its end.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain = text.strip_suffix('/').unwrap_or(text);
        let segment = |segment: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(fits)
        };
        let fits = match plain.strip_prefix('/') {
            Some(segments) => plain.len() <= 200 && segments.split('/').all(segment),
            None => plain.is_empty(),
        };
        fits.then(|| Self(Arc::from(plain))).ok_or(Malformed {
            what: "base path",
            allowed: "a path such as /governance, of letters, digits, `-`, `.`, `_` and `~` between slashes, at most 200 characters",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_segments_and_nothing_that_a_browser_or_a_router_reads_otherwise() {
        for (text, base) in [("", ""), ("/", ""), ("/governance", "/governance"), ("/a/b-c_d.e~f/", "/a/b-c_d.e~f")] {
            assert_eq!(text.parse::<BasePath>().unwrap().as_str(), base, "{text}");
        }
        let long = format!("/{}", "x".repeat(200));
        for wrong in [
            "governance",
            "//",
            "/a//b",
            "/a/../b",
            "/.",
            "/a b",
            "/a%20b",
            "/{id}",
            "/a?x",
            "/a#x",
            "/ü",
            "/a\\b",
            &long,
        ] {
            assert!(wrong.parse::<BasePath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_joined_and_taken_apart() {
        let (root, base): (BasePath, BasePath) = (BasePath::root(), "/governance".parse().unwrap());
        for (below, at_root, under) in [
            ("/", "/", "/governance"),
            ("/?next=%2Fprojects", "/?next=%2Fprojects", "/governance?next=%2Fprojects"),
            ("/#top", "/#top", "/governance#top"),
            ("/projects", "/projects", "/governance/projects"),
            ("/audit?actor=a", "/audit?actor=a", "/governance/audit?actor=a"),
            ("", "", "/governance"),
        ] {
            assert_eq!((root.join(below).as_str(), base.join(below).as_str()), (at_root, under), "{below}");
        }
        assert_eq!((base.strip("/governance"), base.strip("/governance/")), (Some("/"), Some("/")));
        assert_eq!((base.strip("/governance/projects"), base.strip("/governanceX")), (Some("/projects"), None));
        assert_eq!(
            (base.strip("/projects"), root.strip("/projects"), root.strip("")),
            (None, Some("/projects"), Some("/"))
        );
    }
}
