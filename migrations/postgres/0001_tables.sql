-- Tables for records, claims, counters, commits and blobs.
--
-- A record is one row: what Asgard knows is in `body`, kept as text so that it comes back as it was written. Columns that
-- start with f_ are taken from the body by the database, for the indexes that `ports/kinds.rs` declares. Times are RFC 3339
-- text of one width, and everything that is ordered uses the "C" collation: text order is the order of the bytes.

-- A body as jsonb. jsonb cannot hold U+0000, which a body may (a log line, a description): it is left out here, and only here.
CREATE FUNCTION asgard_json(body text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF strpos(body, '\u0000') = 0 THEN
        RETURN body::jsonb;
    END IF;
    RETURN regexp_replace(body, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g')::jsonb;
END
$$;

-- The text of a top-level field; null when it is absent or no text.
CREATE FUNCTION asgard_text(body jsonb, field text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE jsonb_typeof(body -> field) WHEN 'string' THEN body ->> field END;

-- Projects.
CREATE TABLE project (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_owner text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'owner')) STORED,
    f_manager text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'manager')) STORED
);
CREATE INDEX project_expires ON project (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX project_by_owner ON project (f_owner, id) WHERE f_owner IS NOT NULL;
CREATE INDEX project_by_manager ON project (f_manager, id) WHERE f_manager IS NOT NULL;

-- Project keys.
CREATE TABLE project_key (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_project text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'project')) STORED,
    f_created_at text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'created_at')) STORED
);
CREATE INDEX project_key_expires ON project_key (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX project_key_by_project ON project_key (f_project, f_created_at, id) WHERE f_project IS NOT NULL AND f_created_at IS NOT NULL;

-- People with accounts.
CREATE TABLE person (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX person_expires ON person (expires_at) WHERE expires_at IS NOT NULL;

-- Sessions.
CREATE TABLE session (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_user text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'user')) STORED,
    f_created_at text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'created_at')) STORED
);
CREATE INDEX session_expires ON session (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX session_by_user ON session (f_user, f_created_at, id) WHERE f_user IS NOT NULL AND f_created_at IS NOT NULL;

-- User tokens (PATs).
CREATE TABLE user_token (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_user text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'user')) STORED,
    f_created_at text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'created_at')) STORED
);
CREATE INDEX user_token_expires ON user_token (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX user_token_by_user ON user_token (f_user, f_created_at, id) WHERE f_user IS NOT NULL AND f_created_at IS NOT NULL;

-- Requests.
CREATE TABLE request (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_project text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'project')) STORED,
    f_inbox text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'inbox')) STORED,
    f_resource text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'resource')) STORED
);
CREATE INDEX request_expires ON request (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX request_by_project ON request (f_project, id) WHERE f_project IS NOT NULL;
CREATE INDEX request_pending ON request (f_inbox, id) WHERE f_inbox IS NOT NULL;
CREATE INDEX request_by_resource ON request (f_resource, id) WHERE f_resource IS NOT NULL;

-- Resources.
CREATE TABLE resource (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_project text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'project')) STORED
);
CREATE INDEX resource_expires ON resource (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX resource_by_project ON resource (f_project, id) WHERE f_project IS NOT NULL;

-- Runs.
CREATE TABLE run (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_resource text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'resource')) STORED,
    f_open text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'open')) STORED
);
CREATE INDEX run_expires ON run (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX run_by_resource ON run (f_resource, id) WHERE f_resource IS NOT NULL;
CREATE INDEX run_open ON run (f_open, id) WHERE f_open IS NOT NULL;

-- What is current for a resource: its Terraform state.
CREATE TABLE state (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX state_expires ON state (expires_at) WHERE expires_at IS NOT NULL;

-- Secrets' metadata.
CREATE TABLE secret (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_project text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'project')) STORED,
    f_name text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'name')) STORED
);
CREATE INDEX secret_expires ON secret (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX secret_by_project ON secret (f_project, f_name, id) WHERE f_project IS NOT NULL AND f_name IS NOT NULL;

-- Secrets' ciphertexts and other sealed values, apart so that re-encryption never moves an ETag.
CREATE TABLE sealed (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_data_key text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'data_key')) STORED
);
CREATE INDEX sealed_expires ON sealed (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX sealed_by_key ON sealed (f_data_key, id) WHERE f_data_key IS NOT NULL;

-- Wrapped data keys.
CREATE TABLE data_key (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX data_key_expires ON data_key (expires_at) WHERE expires_at IS NOT NULL;

-- Segments of a run's log.
CREATE TABLE log_segment (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_run text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'run')) STORED,
    f_position text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'position')) STORED
);
CREATE INDEX log_segment_expires ON log_segment (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX log_segment_by_run ON log_segment (f_run, f_position, id) WHERE f_run IS NOT NULL AND f_position IS NOT NULL;

-- Audit events.
CREATE TABLE audit_event (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_project text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'project')) STORED,
    f_at text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'at')) STORED,
    f_day text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'day')) STORED,
    f_unsealed text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'unsealed')) STORED
);
CREATE INDEX audit_event_expires ON audit_event (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX audit_event_by_project ON audit_event (f_project, f_at, id) WHERE f_project IS NOT NULL AND f_at IS NOT NULL;
CREATE INDEX audit_event_by_day ON audit_event (f_day, f_at, id) WHERE f_day IS NOT NULL AND f_at IS NOT NULL;
CREATE INDEX audit_event_pending ON audit_event (f_unsealed, f_at, id) WHERE f_unsealed IS NOT NULL AND f_at IS NOT NULL;

-- Sealed blocks of audit events.
CREATE TABLE audit_block (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX audit_block_expires ON audit_block (expires_at) WHERE expires_at IS NOT NULL;

-- The head of a chain of audit blocks.
CREATE TABLE audit_head (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX audit_head_expires ON audit_head (expires_at) WHERE expires_at IS NOT NULL;

-- Jobs.
CREATE TABLE job (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text,
    f_shard text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'shard')) STORED,
    f_due_at text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'due_at')) STORED,
    f_dead text COLLATE "C" GENERATED ALWAYS AS (asgard_text(asgard_json(body), 'dead')) STORED
);
CREATE INDEX job_expires ON job (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX job_due ON job (f_shard, f_due_at, id) WHERE f_shard IS NOT NULL AND f_due_at IS NOT NULL;
CREATE INDEX job_dead ON job (f_dead, id) WHERE f_dead IS NOT NULL;

-- Leases.
CREATE TABLE lease (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX lease_expires ON lease (expires_at) WHERE expires_at IS NOT NULL;

-- Replies of creating calls, by idempotency key.
CREATE TABLE idempotency (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX idempotency_expires ON idempotency (expires_at) WHERE expires_at IS NOT NULL;

-- Facts about the store itself: the oldest writer allowed, the keyring's layout.
CREATE TABLE meta (
    id text COLLATE "C" PRIMARY KEY,
    version text NOT NULL,
    schema integer NOT NULL,
    body text NOT NULL,
    expires_at text COLLATE "C",
    noted_at text
);
CREATE INDEX meta_expires ON meta (expires_at) WHERE expires_at IS NOT NULL;

-- Names that are held by at most one owner.
CREATE TABLE claims (
    name text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL
);

-- Counters. The value is numeric so that a step past the bounds is refused and not an overflow.
CREATE TABLE counters (
    name text COLLATE "C" PRIMARY KEY,
    value numeric(38, 0) NOT NULL,
    expires_at text COLLATE "C"
);
CREATE INDEX counters_expires ON counters (expires_at) WHERE expires_at IS NOT NULL;

-- A marker for every commit of the last day: a batch that comes again changes nothing twice.
CREATE TABLE commits (
    id text COLLATE "C" PRIMARY KEY,
    at text COLLATE "C" NOT NULL
);
CREATE INDEX commits_at ON commits (at);

-- Write-once bytes.
CREATE TABLE blobs (
    id text COLLATE "C" PRIMARY KEY,
    at text COLLATE "C" NOT NULL,
    bytes bytea NOT NULL
);
