-- Tables for records, claims, counters, commits and blobs.
--
-- A record is one row: what Asgard knows is in `body`, kept as text so that it comes back as it was written. Columns that
-- start with f_ are taken from the body by the database, for the indexes that `ports/kinds.rs` declares. Times are RFC 3339
-- text of one width, so that text order is time order.

-- Marks the file as Asgard's ("Asgd").
PRAGMA application_id = 1098082148;

-- Projects.
CREATE TABLE project (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_owner TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.owner') WHEN 'text' THEN body ->> '$.owner' END) VIRTUAL,
    f_manager TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.manager') WHEN 'text' THEN body ->> '$.manager' END) VIRTUAL
) STRICT;
CREATE INDEX project_expires ON project (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX project_by_owner ON project (f_owner, id) WHERE f_owner IS NOT NULL;
CREATE INDEX project_by_manager ON project (f_manager, id) WHERE f_manager IS NOT NULL;

-- Project keys.
CREATE TABLE project_key (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_project TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.project') WHEN 'text' THEN body ->> '$.project' END) VIRTUAL,
    f_created_at TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.created_at') WHEN 'text' THEN body ->> '$.created_at' END) VIRTUAL
) STRICT;
CREATE INDEX project_key_expires ON project_key (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX project_key_by_project ON project_key (f_project, f_created_at, id) WHERE f_project IS NOT NULL AND f_created_at IS NOT NULL;

-- People with accounts.
CREATE TABLE person (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX person_expires ON person (expires_at) WHERE expires_at IS NOT NULL;

-- Sessions.
CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_user TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.user') WHEN 'text' THEN body ->> '$.user' END) VIRTUAL,
    f_created_at TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.created_at') WHEN 'text' THEN body ->> '$.created_at' END) VIRTUAL
) STRICT;
CREATE INDEX session_expires ON session (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX session_by_user ON session (f_user, f_created_at, id) WHERE f_user IS NOT NULL AND f_created_at IS NOT NULL;

-- User tokens (PATs).
CREATE TABLE user_token (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_user TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.user') WHEN 'text' THEN body ->> '$.user' END) VIRTUAL,
    f_created_at TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.created_at') WHEN 'text' THEN body ->> '$.created_at' END) VIRTUAL
) STRICT;
CREATE INDEX user_token_expires ON user_token (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX user_token_by_user ON user_token (f_user, f_created_at, id) WHERE f_user IS NOT NULL AND f_created_at IS NOT NULL;

-- Requests.
CREATE TABLE request (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_project TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.project') WHEN 'text' THEN body ->> '$.project' END) VIRTUAL,
    f_inbox TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.inbox') WHEN 'text' THEN body ->> '$.inbox' END) VIRTUAL,
    f_resource TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.resource') WHEN 'text' THEN body ->> '$.resource' END) VIRTUAL
) STRICT;
CREATE INDEX request_expires ON request (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX request_by_project ON request (f_project, id) WHERE f_project IS NOT NULL;
CREATE INDEX request_pending ON request (f_inbox, id) WHERE f_inbox IS NOT NULL;
CREATE INDEX request_by_resource ON request (f_resource, id) WHERE f_resource IS NOT NULL;

-- Resources.
CREATE TABLE resource (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_project TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.project') WHEN 'text' THEN body ->> '$.project' END) VIRTUAL
) STRICT;
CREATE INDEX resource_expires ON resource (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX resource_by_project ON resource (f_project, id) WHERE f_project IS NOT NULL;

-- Runs.
CREATE TABLE run (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_resource TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.resource') WHEN 'text' THEN body ->> '$.resource' END) VIRTUAL,
    f_open TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.open') WHEN 'text' THEN body ->> '$.open' END) VIRTUAL
) STRICT;
CREATE INDEX run_expires ON run (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX run_by_resource ON run (f_resource, id) WHERE f_resource IS NOT NULL;
CREATE INDEX run_open ON run (f_open, id) WHERE f_open IS NOT NULL;

-- What is current for a resource: its Terraform state.
CREATE TABLE state (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX state_expires ON state (expires_at) WHERE expires_at IS NOT NULL;

-- Secrets' metadata.
CREATE TABLE secret (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_project TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.project') WHEN 'text' THEN body ->> '$.project' END) VIRTUAL,
    f_name TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.name') WHEN 'text' THEN body ->> '$.name' END) VIRTUAL
) STRICT;
CREATE INDEX secret_expires ON secret (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX secret_by_project ON secret (f_project, f_name, id) WHERE f_project IS NOT NULL AND f_name IS NOT NULL;

-- Secrets' ciphertexts and other sealed values, apart so that re-encryption never moves an ETag.
CREATE TABLE sealed (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_data_key TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.data_key') WHEN 'text' THEN body ->> '$.data_key' END) VIRTUAL
) STRICT;
CREATE INDEX sealed_expires ON sealed (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX sealed_by_key ON sealed (f_data_key, id) WHERE f_data_key IS NOT NULL;

-- Wrapped data keys.
CREATE TABLE data_key (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX data_key_expires ON data_key (expires_at) WHERE expires_at IS NOT NULL;

-- Segments of a run's log.
CREATE TABLE log_segment (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_run TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.run') WHEN 'text' THEN body ->> '$.run' END) VIRTUAL,
    f_position TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.position') WHEN 'text' THEN body ->> '$.position' END) VIRTUAL
) STRICT;
CREATE INDEX log_segment_expires ON log_segment (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX log_segment_by_run ON log_segment (f_run, f_position, id) WHERE f_run IS NOT NULL AND f_position IS NOT NULL;

-- Audit events.
CREATE TABLE audit_event (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_project TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.project') WHEN 'text' THEN body ->> '$.project' END) VIRTUAL,
    f_at TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.at') WHEN 'text' THEN body ->> '$.at' END) VIRTUAL,
    f_day TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.day') WHEN 'text' THEN body ->> '$.day' END) VIRTUAL,
    f_unsealed TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.unsealed') WHEN 'text' THEN body ->> '$.unsealed' END) VIRTUAL
) STRICT;
CREATE INDEX audit_event_expires ON audit_event (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX audit_event_by_project ON audit_event (f_project, f_at, id) WHERE f_project IS NOT NULL AND f_at IS NOT NULL;
CREATE INDEX audit_event_by_day ON audit_event (f_day, f_at, id) WHERE f_day IS NOT NULL AND f_at IS NOT NULL;
CREATE INDEX audit_event_pending ON audit_event (f_unsealed, f_at, id) WHERE f_unsealed IS NOT NULL AND f_at IS NOT NULL;

-- Sealed blocks of audit events.
CREATE TABLE audit_block (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX audit_block_expires ON audit_block (expires_at) WHERE expires_at IS NOT NULL;

-- The head of a chain of audit blocks.
CREATE TABLE audit_head (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX audit_head_expires ON audit_head (expires_at) WHERE expires_at IS NOT NULL;

-- Jobs.
CREATE TABLE job (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT,
    f_shard TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.shard') WHEN 'text' THEN body ->> '$.shard' END) VIRTUAL,
    f_due_at TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.due_at') WHEN 'text' THEN body ->> '$.due_at' END) VIRTUAL,
    f_dead TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.dead') WHEN 'text' THEN body ->> '$.dead' END) VIRTUAL
) STRICT;
CREATE INDEX job_expires ON job (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX job_due ON job (f_shard, f_due_at, id) WHERE f_shard IS NOT NULL AND f_due_at IS NOT NULL;
CREATE INDEX job_dead ON job (f_dead, id) WHERE f_dead IS NOT NULL;

-- Leases.
CREATE TABLE lease (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX lease_expires ON lease (expires_at) WHERE expires_at IS NOT NULL;

-- Replies of creating calls, by idempotency key.
CREATE TABLE idempotency (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX idempotency_expires ON idempotency (expires_at) WHERE expires_at IS NOT NULL;

-- Facts about the store itself: the oldest writer allowed, the keyring's layout.
CREATE TABLE meta (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at TEXT,
    noted_at TEXT
) STRICT;
CREATE INDEX meta_expires ON meta (expires_at) WHERE expires_at IS NOT NULL;

-- Names that are held by at most one owner.
CREATE TABLE claims (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters. The value is checked before it is stored, so that a step past the bounds is refused and not an overflow.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL,
    expires_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX counters_expires ON counters (expires_at) WHERE expires_at IS NOT NULL;

-- A marker for every commit of the last day: a batch that comes again changes nothing twice.
CREATE TABLE commits (
    id TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commits_at ON commits (at);

-- Write-once bytes.
CREATE TABLE blobs (
    id TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
