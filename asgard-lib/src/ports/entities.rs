//! Which type is which kind of record. The domain knows nothing of records; this is where the two meet.

use super::{
    kinds::Kind,
    records::{Entity, Upcast},
    upcasts,
};
use crate::{
    domain::{
        audit::{AuditBlock, AuditEvent, AuditHead, AuditMarking, AuditStub, FeedHead, FeedSegment},
        change::Change,
        credential::{ProjectKey, Session, UserToken},
        job::Job,
        lease::Lease,
        person::User,
        project::Project,
        request::{REQUEST_LIST, Request, RequestRow},
        resource::{KeptModule, Resource, StatePointer},
        run::{LogSegment, Run},
        secret::Secret,
    },
    kernel::Timestamp,
};
use std::time::Duration;

impl Entity for Project {
    const KIND: Kind = Kind::Project;
    const UPCASTS: &'static [Upcast] = upcasts::PROJECT;
    const NOUN: &'static str = "project";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

/// Sealed digests cover the stored body, so nothing but the sealer ever writes an event again.
impl Entity for AuditEvent {
    const KIND: Kind = Kind::AuditEvent;
    const NOUN: &'static str = "audit event";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for AuditBlock {
    const KIND: Kind = Kind::AuditBlock;
    const NOUN: &'static str = "audit block";
    fn record_id(&self) -> String {
        Self::id(&self.chain, self.number)
    }
}

impl Entity for AuditStub {
    const KIND: Kind = Kind::AuditBlock;
    const NOUN: &'static str = "stub of an audit chain";
    fn record_id(&self) -> String {
        Self::id(&self.chain)
    }
}

impl Entity for AuditMarking {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "marking of audit events";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

impl Entity for FeedSegment {
    const KIND: Kind = Kind::AuditBlock;
    const NOUN: &'static str = "segment of the event feed";
    fn record_id(&self) -> String {
        Self::id(self.number)
    }
}

impl Entity for FeedHead {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "head of the event feed";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

impl Entity for AuditHead {
    const KIND: Kind = Kind::AuditHead;
    const NOUN: &'static str = "audit chain";
    fn record_id(&self) -> String {
        self.chain.clone()
    }
}

impl Entity for Job {
    const KIND: Kind = Kind::Job;
    const NOUN: &'static str = "job";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for Lease {
    const KIND: Kind = Kind::Lease;
    const NOUN: &'static str = "lease";
    fn record_id(&self) -> String {
        self.name.clone()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

impl Entity for User {
    const KIND: Kind = Kind::User;
    const UPCASTS: &'static [Upcast] = upcasts::USER;
    const NOUN: &'static str = "user";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for ProjectKey {
    const KIND: Kind = Kind::ProjectKey;
    const UPCASTS: &'static [Upcast] = upcasts::PROJECT_KEY;
    const NOUN: &'static str = "project key";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for UserToken {
    const KIND: Kind = Kind::UserToken;
    const NOUN: &'static str = "user token";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for Session {
    const KIND: Kind = Kind::Session;
    const NOUN: &'static str = "session";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.valid_until.plus(Duration::from_secs(86_400)))
    }
}

impl Entity for Request {
    const KIND: Kind = Kind::Request;
    const UPCASTS: &'static [Upcast] = upcasts::REQUEST;
    const NOUN: &'static str = "request";
    const LIST: Option<&'static str> = Some(REQUEST_LIST);
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for RequestRow {
    const KIND: Kind = Kind::RequestRow;
    const NOUN: &'static str = "row of a request";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for Change {
    const KIND: Kind = Kind::Change;
    const NOUN: &'static str = "change";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for Run {
    const KIND: Kind = Kind::Run;
    const NOUN: &'static str = "run";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for LogSegment {
    const KIND: Kind = Kind::LogSegment;
    const NOUN: &'static str = "log segment";
    fn record_id(&self) -> String {
        format!("{}/{}", self.run, self.position)
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.keep_until)
    }
}

impl Entity for Resource {
    const KIND: Kind = Kind::Resource;
    const UPCASTS: &'static [Upcast] = upcasts::RESOURCE;
    const NOUN: &'static str = "resource";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}

impl Entity for StatePointer {
    const KIND: Kind = Kind::State;
    const NOUN: &'static str = "state";
    fn record_id(&self) -> String {
        self.resource.to_string()
    }
}

impl Entity for KeptModule {
    const KIND: Kind = Kind::State;
    const NOUN: &'static str = "kept module";
    fn record_id(&self) -> String {
        Self::id(&self.digest)
    }
}

impl Entity for Secret {
    const KIND: Kind = Kind::Secret;
    const NOUN: &'static str = "secret";
    fn record_id(&self) -> String {
        self.id.to_string()
    }
}
