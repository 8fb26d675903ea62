//! The kinds of record and their declared indexes, in one place with the queries they serve. A backend derives its tables
//! and index entries from this; an index reads top-level text fields of the JSON body, and a record that lacks one of
//! them is not in that index (sparse). An indexed text holds at most [`Index::MAX_FIELD`] bytes and no U+0000.
//!
//! A new kind or index is a line here, and SQL databases get its table, columns and index when they are migrated. One that goes
//! needs a migration that drops it. Tests ask both databases whether the index serves its query. A new index of an old kind has
//! a record on DynamoDB from that record's next write on.

use serde_json::{Map, Value};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A kind of record: one table in SQL, one key prefix elsewhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used for tables and key prefixes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Projects.
    Project = "project";
    /// Project keys.
    ProjectKey = "project_key";
    /// People with accounts.
    User = "person";
    /// Sessions.
    Session = "session";
    /// User tokens (PATs).
    UserToken = "user_token";
    /// Requests.
    Request = "request";
    /// Resources.
    Resource = "resource";
    /// Runs.
    Run = "run";
    /// What is current for a resource: its Terraform state. And the modules that states were made with.
    State = "state";
    /// Secrets' metadata.
    Secret = "secret";
    /// Secrets' ciphertexts and other sealed values, apart so that re-encryption never moves an ETag.
    Sealed = "sealed";
    /// Wrapped data keys.
    DataKey = "data_key";
    /// Segments of a run's log.
    LogSegment = "log_segment";
    /// Audit events.
    AuditEvent = "audit_event";
    /// What the sealer appends: sealed blocks of audit events, the stubs of those that retention removed, and the segments of
    /// the event feed. All are found by their numbers.
    AuditBlock = "audit_block";
    /// The head of a chain of audit blocks.
    AuditHead = "audit_head";
    /// Jobs.
    Job = "job";
    /// Leases.
    Lease = "lease";
    /// Replies of creating calls, by idempotency key.
    Idempotency = "idempotency";
    /// Changes that lists kept as rows have to follow. Removed once they have.
    Change = "change";
    /// Rows of the list of all requests by state.
    RequestRow = "request_row";
    /// Facts about the store itself: the oldest writer allowed, the keyring's layout.
    Meta = "meta";
}

/// A declared index: records of `kind`, found by the text of `partition` and ordered by (`sort`, id).
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// Unique name; also the name of the SQL index.
    pub name: &'static str,
    /// What it indexes.
    pub kind: Kind,
    /// The body field whose text picks the partition; `None` puts every record of the kind into one.
    pub partition: Option<&'static str>,
    /// The body field that orders within the partition; `None` orders by id alone.
    pub sort: Option<&'static str>,
}

impl Index {
    /// The longest text that an indexed field may hold, in bytes: what every backend's index takes.
    pub const MAX_FIELD: usize = 500;

    /// Where a record with this body stands: its partition and the text it is ordered by. `None` when it is not in the
    /// index, because a field is absent, null or no text.
    pub fn entry(&self, body: &Map<String, Value>) -> Option<(String, Option<String>)> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let partition = match self.partition {
            Some(field) => text(field)?,
            None => String::new(),
        };
        match self.sort {
            Some(field) => Some((partition, Some(text(field)?))),
            None => Some((partition, None)),
        }
    }
}

macro_rules! indexes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $kind:ident, $partition:expr, $sort:expr;)*) => {
        $($(#[$doc])* pub static $constant: Index = Index { name: $name, kind: Kind::$kind, partition: $partition, sort: $sort };)*
        /// Every declared index.
        pub static INDEXES: &[&Index] = &[$(&$constant,)*];
    };
}

indexes! {
    /// All projects, for admins and finance.
    PROJECTS = "project_all", Project, None, None;
    /// Projects a person owns.
    PROJECTS_BY_OWNER = "project_by_owner", Project, Some("owner"), None;
    /// Projects a person manages.
    PROJECTS_BY_MANAGER = "project_by_manager", Project, Some("manager"), None;
    /// A project's keys, newest last.
    KEYS_BY_PROJECT = "project_key_by_project", ProjectKey, Some("project"), Some("created_at");
    /// Keys that their project's owner and manager should look at. Present only while a key is flagged and not revoked.
    KEYS_FLAGGED = "project_key_flagged", ProjectKey, Some("inbox"), None;
    /// All people.
    USERS = "person_all", User, None, None;
    /// A person's sessions.
    SESSIONS_BY_USER = "session_by_user", Session, Some("user"), Some("created_at");
    /// A person's tokens.
    TOKENS_BY_USER = "user_token_by_user", UserToken, Some("user"), Some("created_at");
    /// All requests, by time.
    REQUESTS = "request_all", Request, None, None;
    /// A project's requests.
    REQUESTS_BY_PROJECT = "request_by_project", Request, Some("project"), None;
    /// Requests that wait for a person: the approvals inbox. Present only while the request is pending.
    REQUESTS_PENDING = "request_pending", Request, Some("inbox"), None;
    /// A resource's requests.
    REQUESTS_BY_RESOURCE = "request_by_resource", Request, Some("resource"), None;
    /// A project's resources.
    RESOURCES_BY_PROJECT = "resource_by_project", Resource, Some("project"), None;
    /// A resource's runs, oldest first.
    RUNS_BY_RESOURCE = "run_by_resource", Run, Some("resource"), None;
    /// Runs that are not over, for recovery. Present only while they are open.
    RUNS_OPEN = "run_open", Run, Some("open"), None;
    /// A project's secrets by name.
    SECRETS_BY_PROJECT = "secret_by_project", Secret, Some("project"), Some("name");
    /// Everything encrypted under one data key, for rotation's sweep.
    SEALED_BY_KEY = "sealed_by_key", Sealed, Some("data_key"), None;
    /// Data keys.
    DATA_KEYS = "data_key_all", DataKey, None, None;
    /// A project's audit events by time.
    AUDIT_BY_PROJECT = "audit_event_by_project", AuditEvent, Some("project"), Some("at");
    /// All audit events by day.
    AUDIT_BY_DAY = "audit_event_by_day", AuditEvent, Some("day"), Some("at");
    /// Audit events not yet in a block, of every chain by time. Present only until the sealer has been.
    AUDIT_PENDING = "audit_event_pending", AuditEvent, Some("unsealed"), Some("at");
    /// Chains of audit blocks.
    AUDIT_HEADS = "audit_head_all", AuditHead, None, None;
    /// Jobs by shard and due time. Absent once a job is dead.
    JOBS_DUE = "job_due", Job, Some("shard"), Some("due_at");
    /// A list's changes, oldest first.
    CHANGES = "change_by_list", Change, Some("list"), None;
    /// All requests in a state.
    REQUEST_ROWS = "request_row_by_status", RequestRow, Some("status"), None;
    /// Jobs that gave up.
    JOBS_DEAD = "job_dead", Job, Some("dead"), None;
}
