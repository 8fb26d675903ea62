//! What a resource was last applied with. It is kept with the resource's state, so that what was made can be compared and removed
//! whatever has become of the service since.

use super::{Spec, StatePointer};
use crate::{
    domain::service::Manifest,
    kernel::{RunId, Timestamp},
};
use serde::{Deserialize, Serialize};

/// The module and the inputs that a state was made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The digest of the kept module. The state holds one reference to it.
    pub module: String,
    /// The run that stored the state which this is about. A version that keeps no modules leaves it as it is when it stores another
    /// state; then nobody knows what that one was made with.
    pub run: RunId,
    /// How often the secrets had been rotated.
    pub rotation: u32,
    /// The spec.
    #[serde(flatten)]
    pub spec: Spec,
}

impl StatePointer {
    /// What the present state was made with, as far as it is known.
    pub fn made_with(&self) -> Option<&Applied> {
        self.applied.as_ref().filter(|applied| applied.run == self.run)
    }
}

/// A module that was applied: its manifest, its files and the lock file of its providers, sealed under one id. Every state that was made
/// with it and every run that applies it count as a reference; what nothing refers to is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptModule {
    /// SHA-256 over the service's digest and the lock file, in hex.
    pub digest: String,
    /// The service's own digest, over manifest and files.
    pub service: String,
    /// The manifest, for decisions: they read nothing that is sealed.
    pub manifest: Manifest,
    /// The id of the sealed bytes.
    pub sealed: String,
    /// How many bytes manifest, files and lock file have.
    pub size: u64,
    /// When it was kept.
    pub at: Timestamp,
}

impl KeptModule {
    /// The most bytes that manifest, files and lock file may have together.
    pub const MAX_BYTES: usize = 16 << 20;
    /// The most bytes that the manifest may have: it is in a record.
    pub const MAX_MANIFEST: usize = 200 << 10;

    /// The record's id, and the name of the counter of its references.
    pub fn id(digest: &str) -> String {
        format!("module/{digest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::secret::SecretInput, kernel::SecretId};
    use serde_json::json;

    #[test]
    fn a_state_of_a_version_that_keeps_no_modules_was_made_with_nobody_knows_what() {
        let run = |n: u8| format!("run_0000000000000000000000000{n}").parse::<RunId>().unwrap();
        let mut spec = Spec::from(json!({"size": "s"}).as_object().cloned().unwrap());
        let reference = SecretInput { secret: SecretId::from_digest(&[7; 32]), version: 1 };
        spec.secret_inputs.insert("password".into(), reference);
        let applied = Applied { module: "abc".into(), run: run(1), rotation: 2, spec };
        let mut pointer = StatePointer {
            resource: "res_00000000000000000000000001".parse().unwrap(),
            serial: 3,
            lineage: "l".into(),
            sealed: "s".into(),
            history: Vec::new(),
            applied: Some(applied),
            run: run(1),
            at: Timestamp::from_millis(0),
        };
        let stored = serde_json::to_value(&pointer).unwrap();
        assert_eq!(serde_json::from_value::<StatePointer>(stored).unwrap(), pointer);
        assert!(pointer.made_with().is_some());
        pointer.run = run(2);
        assert!(pointer.made_with().is_none());
        let before = json!({"resource": pointer.resource, "serial": 1, "lineage": "l", "sealed": "s", "run": pointer.run, "at": pointer.at});
        assert!(serde_json::from_value::<StatePointer>(before).unwrap().made_with().is_none());
    }
}
