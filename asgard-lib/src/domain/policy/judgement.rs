//! What policy answers, and how two answers become one.

use crate::{
    error::{Code, Error, Result},
    kernel::{Email, Malformed, UserId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// The most further reasons that a judgement keeps beside the one that decided.
const MAX_ALSO: usize = 7;
/// The most approvers that a judgement may ask for.
pub const MAX_APPROVERS: usize = 8;
/// The most characters of a reason.
const MAX_REASON: usize = 300;

/// The stable name of a rule: what operators search for, and what `docs/policy.md` explains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RuleId(Cow<'static, str>);

impl RuleId {
    /// The id of a rule of Asgard's own.
    pub(super) const fn known(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RuleId {
    type Err = Malformed;
    fn from_str(text: &str) -> std::result::Result<Self, Malformed> {
        let allowed = "1 to 64 of a-z, 0-9, `.` and `-`, beginning with a letter";
        let good = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        if good { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(Malformed { what: "rule id", allowed }) }
    }
}

impl TryFrom<String> for RuleId {
    type Error = Malformed;
    fn try_from(text: String) -> std::result::Result<Self, Malformed> {
        text.parse()
    }
}

impl From<RuleId> for String {
    fn from(id: RuleId) -> Self {
        id.0.into_owned()
    }
}

/// Who has to approve. Naming somebody never lets them do more than they may: whoever approves is the project's manager or an
/// admin, and is not barred by the separation of duties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Approver {
    /// The project's manager, or an admin.
    ManagerOrAdmin,
    /// An admin.
    Admin,
    /// A person by name, who has to be the project's manager or an admin as well.
    Named {
        /// The person's e-mail address, as it is shown.
        person: Email,
        /// The id of the person's account, `usr_...`; absent while nobody with that address verified has an account. Where it
        /// is there, it alone says who is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
}

impl Approver {
    /// Whoever has this address verified. Asgard adds the account when it keeps the answer, so that a later holder of the
    /// address is not meant.
    pub fn named(person: Email) -> Self {
        Self::Named { person, user: None }
    }

    /// Whether both ask for the same: of people, the same account, or the same address where either knows no account.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ManagerOrAdmin, Self::ManagerOrAdmin) | (Self::Admin, Self::Admin) => true,
            (Self::Named { person, user }, Self::Named { person: other, user: others }) => match (user, others) {
                (Some(user), Some(others)) => user == others,
                (None, _) | (_, None) => person == other,
            },
            (Self::ManagerOrAdmin | Self::Admin | Self::Named { .. }, _) => false,
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagerOrAdmin => f.write_str("the project's manager or an admin"),
            Self::Admin => f.write_str("an admin"),
            Self::Named { person, .. } => write!(f, "{person}"),
        }
    }
}

/// What policy answers, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It passes without a person.
    Allow,
    /// People have to approve it.
    Ask {
        /// Who: each of them has to be satisfied; one person may satisfy several. Sorted, without repetition.
        approvers: Vec<Approver>,
    },
    /// It does not happen.
    Deny {
        /// Who could change that, and how, in a sentence.
        who_could_change: String,
    },
}

/// A rule and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Because {
    /// The id of the rule, as `docs/policy.md` lists it.
    pub rule: RuleId,
    /// What the rule says about this request, in a sentence.
    pub reason: String,
}

/// An answer, the rule that decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// The id of the rule that decided, as `docs/policy.md` lists it.
    pub rule: RuleId,
    /// Why, in a sentence.
    pub reason: String,
    /// Further rules that gave the same answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Because>,
}

impl Judgement {
    fn new(answer: Answer, rule: RuleId, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        Self { answer, rule, reason: reason.chars().take(MAX_REASON).collect(), also: Vec::new() }
    }

    /// It passes.
    pub fn allow(rule: RuleId, reason: impl Into<String>) -> Self {
        Self::new(Answer::Allow, rule, reason)
    }

    /// Somebody has to approve it.
    pub fn ask(rule: RuleId, approver: Approver, reason: impl Into<String>) -> Self {
        Self::new(Answer::Ask { approvers: vec![approver] }, rule, reason)
    }

    /// It does not happen; `who_could_change` says who could change that, and how.
    pub fn deny(rule: RuleId, reason: impl Into<String>, who_could_change: impl Into<String>) -> Self {
        let who: String = who_could_change.into();
        Self::new(Answer::Deny { who_could_change: who.chars().take(MAX_REASON).collect() }, rule, reason)
    }

    const fn strictness(&self) -> u8 {
        match self.answer {
            Answer::Allow => 0,
            Answer::Ask { .. } => 1,
            Answer::Deny { .. } => 2,
        }
    }

    /// The two as one: the stricter answer; where both ask, everybody that either asks for. Where they are equally strict, the
    /// first one's rule counts as the one that decided.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match self.strictness().cmp(&other.strictness()) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => self.both(other),
        }
    }

    fn both(self, other: Self) -> Self {
        let answer = match (self.answer, other.answer) {
            (Answer::Ask { mut approvers }, Answer::Ask { approvers: more }) => {
                approvers.extend(more);
                approvers.sort();
                approvers.dedup();
                Answer::Ask { approvers }
            }
            (answer, _) => answer,
        };
        let mut also: Vec<Because> = Vec::new();
        let others = std::iter::once(Because { rule: other.rule, reason: other.reason }).chain(other.also);
        for because in self.also.into_iter().chain(others) {
            if because.rule != self.rule && also.iter().all(|known| known.rule != because.rule) {
                also.push(because);
            }
        }
        also.truncate(MAX_ALSO);
        Self { answer, rule: self.rule, reason: self.reason, also }
    }

    /// The judgement of a policy from outside, with its texts cut to their bounds. One that asks for nobody or for too many is
    /// refused, because leaving approvers out would make it looser.
    pub fn bounded(self) -> Result<Self> {
        let mut also = self.also;
        also.truncate(MAX_ALSO);
        for because in &mut also {
            because.reason = because.reason.chars().take(MAX_REASON).collect();
        }
        let answer = match self.answer {
            Answer::Ask { approvers } if approvers.is_empty() || approvers.len() > MAX_APPROVERS => {
                return Err(Error::bug(format!("rule {} asks for {} approvers", self.rule, approvers.len())));
            }
            Answer::Ask { mut approvers } => {
                approvers.sort();
                approvers.dedup();
                Answer::Ask { approvers }
            }
            Answer::Deny { who_could_change } => {
                Answer::Deny { who_could_change: who_could_change.chars().take(MAX_REASON).collect() }
            }
            Answer::Allow => Answer::Allow,
        };
        Ok(Self { also, ..Self::new(answer, self.rule, self.reason) })
    }

    /// What somebody is told whose request is denied; `None` unless it is.
    pub fn denial(&self) -> Option<String> {
        match &self.answer {
            Answer::Deny { who_could_change } => Some(format!("{} {who_could_change}", self.reason)),
            Answer::Allow | Answer::Ask { .. } => None,
        }
    }

    /// Fails when it denies.
    pub fn require_not_denied(&self) -> Result<()> {
        match self.denial() {
            None => Ok(()),
            Some(message) if self.rule == super::rules::TARGET_ALLOWED => {
                Err(Error::new(Code::TargetNotAllowed, message))
            }
            Some(message) => Err(Error::new(Code::PolicyDenied, format!("{message} (Rule {}.)", self.rule))),
        }
    }
}
