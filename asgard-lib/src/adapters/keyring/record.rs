//! What the store keeps of the keyring: one record per data key, and the head, which lists them.

use crate::{
    adapters::base64::Base64,
    error::{Error, Result},
    kernel::{DataKeyId, Timestamp},
    ports::{kinds::Kind, records::Entity, store::Position},
};
use serde::{Deserialize, Serialize};

/// Where a data key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Replicas learn of it; nothing is sealed under it yet.
    Readable,
    /// Everything new is sealed under it. There is always exactly one.
    Active,
    /// What it sealed can still be read and is being sealed again under the active key.
    Draining,
    /// It can open nothing any more; only its MACs can still be checked.
    Retired,
}

impl KeyState {
    /// Every state, in the order of a key's life.
    pub const ALL: [Self; 4] = [Self::Readable, Self::Active, Self::Draining, Self::Retired];

    /// Every allowed step. A life has no way back.
    pub const STEPS: [(Self, Self); 3] =
        [(Self::Readable, Self::Active), (Self::Active, Self::Draining), (Self::Draining, Self::Retired)];

    /// Whether a key may go from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        Self::STEPS.contains(&(self, next))
    }

    /// The word used in records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Readable => "readable",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Retired => "retired",
        }
    }
}

/// A data key under one master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrap {
    /// Which master key.
    pub master_id: String,
    /// The data key. Gone once the key is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Base64>,
    /// The root of its MACs, which outlives the key so that old MACs stay checkable.
    pub mac: Base64,
}

/// A data key as it is stored: wrapped, never bare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataKey {
    pub id: DataKeyId,
    pub state: KeyState,
    pub created_at: Timestamp,
    pub state_since: Timestamp,
    pub wraps: Vec<Wrap>,
    /// How far re-encryption has come, while draining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

impl Entity for DataKey {
    const KIND: Kind = Kind::DataKey;
    const NOUN: &'static str = "data key";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl DataKey {
    /// The same key in its next state; refuses a step that the table does not have.
    pub(crate) fn becoming(&self, next: KeyState, at: Timestamp) -> Result<Self> {
        if !self.state.may_become(next) {
            return Err(Error::bug(format!(
                "data key {} is {} and cannot become {}",
                self.id,
                self.state.name(),
                next.name()
            )));
        }
        let mut key = Self { state: next, state_since: at, sweep: None, ..self.clone() };
        if next == KeyState::Retired {
            for wrap in &mut key.wraps {
                wrap.bytes = None;
            }
        }
        Ok(key)
    }

    /// The wrap under a master key.
    pub(crate) fn wrap_under(&self, master_id: &str) -> Option<&Wrap> {
        self.wraps.iter().find(|wrap| wrap.master_id == master_id)
    }

    /// The master keys it is wrapped under.
    pub(crate) fn master_ids(&self) -> Vec<String> {
        self.wraps.iter().map(|wrap| wrap.master_id.clone()).collect()
    }
}

/// Progress of re-encrypting what a draining key sealed: passes over the index until two in a row, a reload period apart,
/// find nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// When the present pass began, or the next one may.
    pub pass_from: Timestamp,
    /// How far the present pass is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// Whether a pass is under way.
    pub running: bool,
    /// Whoever began the present pass had seen the key drain for as long as it takes to settle: the pass may count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// Ciphertexts that the present pass found under the key.
    pub found: u64,
    /// Of those, how many could not be sealed again.
    pub stuck: u64,
    /// Ciphertexts sealed again by all passes.
    pub moved: u64,
    /// The last pass found nothing, and counts towards retiring.
    pub clean: bool,
}

/// The list of data keys: read strongly where an index might lag. Membership changes only together with this record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub id: String,
    pub keys: Vec<DataKeyId>,
}

impl Head {
    /// The id of the one head.
    pub(crate) const ID: &'static str = "keyring";
    /// The most keys that one store may ever have had.
    pub(crate) const MAX_KEYS: usize = 1_000;

    pub(crate) fn of(keys: Vec<DataKeyId>) -> Self {
        Self { id: Self::ID.into(), keys }
    }
}

impl Entity for Head {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "list of data keys";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TimeOrdered;
    use proptest::prelude::*;

    fn key(state: KeyState) -> DataKey {
        let at = Timestamp::from_millis(0);
        let wrap = Wrap { master_id: "local:1".into(), bytes: Some(Base64(vec![1, 2, 3])), mac: Base64(vec![4]) };
        DataKey {
            id: DataKeyId::build(at, [0; 10]),
            state,
            created_at: at,
            state_since: at,
            wraps: vec![wrap],
            sweep: None,
        }
    }

    #[test]
    fn records_keep_their_layout() {
        let body = serde_json::to_string(&key(KeyState::Active)).unwrap();
        assert_eq!(
            body,
            r#"{"id":"dek_00000000000000000000000000","state":"active","created_at":"1970-01-01T00:00:00.000000Z","state_since":"1970-01-01T00:00:00.000000Z","wraps":[{"master_id":"local:1","bytes":"AQID","mac":"BA=="}]}"#
        );
        assert!(!format!("{:?}", key(KeyState::Active)).contains("AQID"));
    }

    proptest! {
        #[test]
        fn a_life_only_goes_forward_and_ends_without_the_key(wishes in proptest::collection::vec(0usize..4, 1..12)) {
            let mut key = key(KeyState::Readable);
            for (moment, wish) in wishes.into_iter().enumerate() {
                let next = KeyState::ALL[wish];
                let at = Timestamp::from_millis(i64::try_from(moment).unwrap());
                match key.becoming(next, at) {
                    Ok(changed) => {
                        prop_assert!(next > key.state && KeyState::STEPS.contains(&(key.state, next)));
                        prop_assert_eq!((changed.state, changed.state_since), (next, at));
                        key = changed;
                    }
                    Err(_) => prop_assert!(!KeyState::STEPS.contains(&(key.state, next))),
                }
                let bare = key.wraps.iter().all(|wrap| wrap.bytes.is_none());
                prop_assert_eq!(bare, key.state == KeyState::Retired);
                prop_assert!(!key.wraps.is_empty(), "MACs stay checkable");
            }
        }
    }
}
