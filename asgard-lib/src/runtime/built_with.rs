//! What a build may lack: a feature that was left out is an error where something asks for it, with what to do.

use crate::error::{Code, Error};

/// What `$made` makes in a build with the feature. In one without it, the error that says so; what the other build would use is named
/// first.
macro_rules! built_with {
    ($feature:tt, $what:literal, $remedy:literal, uses($($used:expr),*), $made:expr) => {{
        #[cfg(feature = $feature)]
        {
            $made
        }
        #[cfg(not(feature = $feature))]
        {
            let _ = ($(&$used,)*);
            Err($crate::runtime::built_with::missing($feature, $what, $remedy))
        }
    }};
}

pub(super) use built_with;

/// The error of a build without a feature.
#[cfg_attr(
    all(feature = "aws", feature = "terraform", not(test)),
    allow(dead_code, reason = "a build with everything misses nothing")
)]
pub(super) fn missing(feature: &str, what: &str, remedy: &str) -> Error {
    let message =
        format!("This build of Asgard has no {what} (feature `{feature}`): use a build that has it, or {remedy}.");
    Error::new(Code::NotSupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_a_feature_says_which_and_what_to_do() {
        let error = missing("terraform", "Terraform", "unset ASGARD_TF_MODULES_DIR");
        assert_eq!(error.code(), Code::NotSupported);
        for part in ["no Terraform", "`terraform`", "unset ASGARD_TF_MODULES_DIR"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}
