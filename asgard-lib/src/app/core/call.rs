//! Who calls, from where, and what they hold on to.

use crate::{
    kernel::{Actor, Timestamp, TraceId},
    ports::store::Version,
};

/// Where a call came from, for throttling and for the person's own list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The client's address as far as trusted proxies tell.
    pub address: String,
    /// The address of the other end of the connection, where it is another one: a proxy's. Empty otherwise.
    pub peer: String,
    /// The browser or client, shortened.
    pub agent: String,
}

/// One call of an operation.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls; `None` before sign-in.
    pub actor: Option<Actor>,
    /// What the call is followed by through jobs and logs.
    pub trace: TraceId,
    /// Where it came from.
    pub source: Source,
    /// A key under which a creating call happens once.
    pub idempotency_key: Option<String>,
    /// The version that the object must still have.
    pub if_match: Option<Version>,
    /// When the caller has to have an answer. What waits for something gives up before that.
    pub answer_by: Option<Timestamp>,
}

impl Call {
    /// A call by `actor` with nothing else to say.
    pub fn by(actor: Actor, trace: TraceId) -> Self {
        Self {
            actor: Some(actor),
            trace,
            source: Source::default(),
            idempotency_key: None,
            if_match: None,
            answer_by: None,
        }
    }

    /// A call by somebody who has not signed in.
    pub fn anonymous(trace: TraceId, source: Source) -> Self {
        Self { actor: None, trace, source, idempotency_key: None, if_match: None, answer_by: None }
    }

    /// A call by one of Asgard's own parts.
    pub fn system(name: &'static str, trace: TraceId) -> Self {
        Self::by(Actor::System { name }, trace)
    }
}
