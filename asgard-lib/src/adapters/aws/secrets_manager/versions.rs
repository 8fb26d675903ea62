//! Which versions a secret has in Secrets Manager, and how they are named there.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// AWS's label of the version that whoever names none gets.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// AWS's label of the one before it.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
const LABEL: &str = "asgard-";

/// The label of a version.
pub(super) fn label(version: u32) -> String {
    format!("{LABEL}{version}")
}

/// The id of a version: the same in every process, and 64 characters, which is what AWS takes at most.
pub(super) fn version_id(name: &str, version: u32) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("asgard secret version|{version}|{name}"));
    HEXLOWER.encode(&digest.finalize())
}

/// A version that Asgard still needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub id: String,
    pub previous: bool,
}

/// A secret's versions by their numbers, and whether it waits for its deletion.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub versions: BTreeMap<u32, Held>,
    pub deleted: bool,
}

impl Known {
    pub(crate) fn of(answer: &DescribeSecretOutput) -> Self {
        let mut versions = BTreeMap::new();
        for (id, labels) in answer.version_ids_to_stages().into_iter().flatten() {
            for number in labels.iter().filter_map(|label| label.strip_prefix(LABEL)?.parse().ok()) {
                versions
                    .insert(number, Held { id: id.clone(), previous: labels.iter().any(|label| label == PREVIOUS) });
            }
        }
        Self { versions, deleted: answer.deleted_date().is_some() }
    }

    pub(crate) fn newest(&self) -> Option<u32> {
        self.versions.last_key_value().map(|(version, _)| *version)
    }
}
