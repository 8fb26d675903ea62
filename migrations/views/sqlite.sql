-- Read-only views for analysts. Their names and columns are stable: columns are only ever added, at the end.
-- Money is in US dollars, times are UTC. They show no credential, no hash of one, and no secret value.
-- Made again by `asgard migrate` whenever this file changed.

-- Projects.
DROP VIEW IF EXISTS v_projects;
CREATE VIEW v_projects AS SELECT
    id AS project_id,
    body ->> '$.name' AS name,
    body ->> '$.owner' AS owner,
    body ->> '$.manager' AS manager,
    body ->> '$.group' AS group_key,
    body ->> '$.cost_center' AS cost_center,
    body ->> '$.classification' AS classification,
    body ->> '$.data_class' AS data_class,
    (body ->> '$.budget') / 1000000.0 AS monthly_budget_usd,
    body ->> '$.description' AS description,
    body -> '$.evidence' AS evidence,
    body ->> '$.status.state' AS state,
    body ->> '$.created_at' AS created_at,
    body ->> '$.created_by.id' AS created_by,
    body ->> '$.created_by.person' AS created_by_person,
    body ->> '$.updated_at' AS updated_at,
    body ->> '$.owner_user' AS owner_user,
    body ->> '$.manager_user' AS manager_user
FROM project;

-- Project keys, without what would let anybody check a guess.
DROP VIEW IF EXISTS v_project_keys;
CREATE VIEW v_project_keys AS SELECT
    id AS key_id,
    body ->> '$.project' AS project_id,
    body ->> '$.name' AS name,
    body ->> '$.suffix' AS suffix,
    body ->> '$.minted_by' AS minted_by,
    body ->> '$.created_at' AS created_at,
    body ->> '$.valid_until' AS valid_until,
    body ->> '$.revoked_at' AS revoked_at,
    noted_at AS last_used_at,
    body ->> '$.minted_by_user' AS minted_by_user
FROM project_key;

-- Requests.
DROP VIEW IF EXISTS v_requests;
CREATE VIEW v_requests AS SELECT
    id AS request_id,
    body ->> '$.project' AS project_id,
    body ->> '$.resource' AS resource_id,
    body ->> '$.service' AS service,
    body ->> '$.name' AS name,
    body ->> '$.command.do' AS command,
    body ->> '$.status' AS status,
    body ->> '$.target.cloud' AS cloud,
    body ->> '$.target.account' AS account,
    body ->> '$.target.region' AS region,
    (body ->> '$.monthly') / 1000000.0 AS monthly_usd,
    (body ->> '$.reserved') / 1000000.0 AS reserved_usd,
    body ->> '$.verdict.verdict' AS verdict,
    body ->> '$.verdict.reason' AS verdict_reason,
    body ->> '$.decision.by.person' AS decided_by,
    body ->> '$.decision.at' AS decided_at,
    coalesce(body ->> '$.decision.self_approval', 0) AS self_approval,
    body ->> '$.decision.note' AS decision_note,
    body ->> '$.requested_by.id' AS requested_by,
    body ->> '$.requested_by.kind' AS requested_by_kind,
    body ->> '$.requested_by.person' AS requested_by_person,
    body ->> '$.error' AS error,
    body ->> '$.created_at' AS created_at,
    body ->> '$.updated_at' AS updated_at,
    body ->> '$.requested_by.user' AS requested_by_user,
    body ->> '$.decision.by.user' AS decided_by_user
FROM request;

-- Resources. Their inputs and outputs stay out: the views are for counting, not for credentials.
DROP VIEW IF EXISTS v_resources;
CREATE VIEW v_resources AS SELECT
    id AS resource_id,
    body ->> '$.project' AS project_id,
    body ->> '$.service' AS service,
    body ->> '$.name' AS name,
    body ->> '$.status' AS status,
    body ->> '$.target.cloud' AS cloud,
    body ->> '$.target.account' AS account,
    body ->> '$.target.region' AS region,
    (body ->> '$.committed') / 1000000.0 AS monthly_usd,
    coalesce(body ->> '$.dry_run', 0) AS dry_run,
    body ->> '$.attention' AS attention,
    body ->> '$.request' AS last_request_id,
    body ->> '$.created_at' AS created_at,
    body ->> '$.created_by.person' AS created_by_person,
    body ->> '$.provisioned_at' AS provisioned_at,
    body ->> '$.refreshed_at' AS refreshed_at,
    body ->> '$.updated_at' AS updated_at
FROM resource;

-- Runs.
DROP VIEW IF EXISTS v_runs;
CREATE VIEW v_runs AS SELECT
    id AS run_id,
    body ->> '$.project' AS project_id,
    body ->> '$.resource' AS resource_id,
    body ->> '$.request' AS request_id,
    body ->> '$.op' AS operation,
    body ->> '$.status' AS status,
    body ->> '$.runner' AS runner,
    body ->> '$.engine' AS engine,
    body ->> '$.attempts' AS attempts,
    body ->> '$.summary.create' AS planned_creates,
    body ->> '$.summary.update' AS planned_updates,
    body ->> '$.summary.replace' AS planned_replaces,
    body ->> '$.summary.delete' AS planned_deletes,
    body ->> '$.error' AS error,
    body ->> '$.actor.person' AS actor_person,
    body ->> '$.trace' AS trace_id,
    body ->> '$.created_at' AS created_at,
    body ->> '$.started_at' AS started_at,
    body ->> '$.finished_at' AS finished_at
FROM run;

-- Secrets: names and ages. The values are encrypted elsewhere and appear in no view.
DROP VIEW IF EXISTS v_secrets;
CREATE VIEW v_secrets AS SELECT
    id AS secret_id,
    body ->> '$.project' AS project_id,
    body ->> '$.resource' AS resource_id,
    body ->> '$.name' AS name,
    body ->> '$.output' AS output,
    body ->> '$.version' AS secret_version,
    body ->> '$.created_at' AS created_at,
    body ->> '$.rotated_at' AS rotated_at
FROM secret;

-- The audit log.
DROP VIEW IF EXISTS v_audit_events;
CREATE VIEW v_audit_events AS SELECT
    id AS event_id,
    body ->> '$.at' AS at,
    body ->> '$.project' AS project_id,
    body ->> '$.action' AS action,
    body ->> '$.object' AS object,
    body ->> '$.actor.kind' AS actor_kind,
    body ->> '$.actor.id' AS actor_id,
    body ->> '$.actor.person' AS actor_person,
    body ->> '$.trace' AS trace_id,
    body -> '$.details' AS details,
    body ->> '$.block' AS sealed_block,
    body ->> '$.actor.user' AS actor_user
FROM audit_event;
