-- Read-only views for analysts. Their names and columns are stable: columns are only ever added, at the end.
-- Money is in US dollars, times are UTC. They show no credential, no hash of one, and no secret value.
-- Made again by `asgard migrate` whenever this file changed.

-- Projects.
CREATE OR REPLACE VIEW v_projects AS SELECT
    id AS project_id,
    b ->> 'name' AS name,
    b ->> 'owner' AS owner,
    b ->> 'manager' AS manager,
    b ->> 'group' AS group_key,
    b ->> 'cost_center' AS cost_center,
    b ->> 'classification' AS classification,
    b ->> 'data_class' AS data_class,
    ((b ->> 'budget')::numeric / 1000000)::numeric(18, 6) AS monthly_budget_usd,
    b ->> 'description' AS description,
    b -> 'evidence' AS evidence,
    b #>> '{status,state}' AS state,
    (b ->> 'created_at')::timestamptz AS created_at,
    b #>> '{created_by,id}' AS created_by,
    b #>> '{created_by,person}' AS created_by_person,
    (b ->> 'updated_at')::timestamptz AS updated_at,
    b ->> 'owner_user' AS owner_user,
    b ->> 'manager_user' AS manager_user
FROM project CROSS JOIN LATERAL asgard_json(body) AS b;

-- Project keys, without what would let anybody check a guess.
CREATE OR REPLACE VIEW v_project_keys AS SELECT
    id AS key_id,
    b ->> 'project' AS project_id,
    b ->> 'name' AS name,
    b ->> 'suffix' AS suffix,
    b ->> 'minted_by' AS minted_by,
    (b ->> 'created_at')::timestamptz AS created_at,
    (b ->> 'valid_until')::timestamptz AS valid_until,
    (b ->> 'revoked_at')::timestamptz AS revoked_at,
    noted_at::timestamptz AS last_used_at,
    b ->> 'minted_by_user' AS minted_by_user
FROM project_key CROSS JOIN LATERAL asgard_json(body) AS b;

-- Requests.
CREATE OR REPLACE VIEW v_requests AS SELECT
    id AS request_id,
    b ->> 'project' AS project_id,
    b ->> 'resource' AS resource_id,
    b ->> 'service' AS service,
    b ->> 'name' AS name,
    b #>> '{command,do}' AS command,
    b ->> 'status' AS status,
    b #>> '{target,cloud}' AS cloud,
    b #>> '{target,account}' AS account,
    b #>> '{target,region}' AS region,
    ((b ->> 'monthly')::numeric / 1000000)::numeric(18, 6) AS monthly_usd,
    ((b ->> 'reserved')::numeric / 1000000)::numeric(18, 6) AS reserved_usd,
    b #>> '{verdict,verdict}' AS verdict,
    b #>> '{verdict,reason}' AS verdict_reason,
    b #>> '{decision,by,person}' AS decided_by,
    (b #>> '{decision,at}')::timestamptz AS decided_at,
    coalesce((b #>> '{decision,self_approval}')::boolean, false) AS self_approval,
    b #>> '{decision,note}' AS decision_note,
    b #>> '{requested_by,id}' AS requested_by,
    b #>> '{requested_by,kind}' AS requested_by_kind,
    b #>> '{requested_by,person}' AS requested_by_person,
    b ->> 'error' AS error,
    (b ->> 'created_at')::timestamptz AS created_at,
    (b ->> 'updated_at')::timestamptz AS updated_at,
    b #>> '{requested_by,user}' AS requested_by_user,
    b #>> '{decision,by,user}' AS decided_by_user
FROM request CROSS JOIN LATERAL asgard_json(body) AS b;

-- Resources. Their inputs and outputs stay out: the views are for counting, not for credentials.
CREATE OR REPLACE VIEW v_resources AS SELECT
    id AS resource_id,
    b ->> 'project' AS project_id,
    b ->> 'service' AS service,
    b ->> 'name' AS name,
    b ->> 'status' AS status,
    b #>> '{target,cloud}' AS cloud,
    b #>> '{target,account}' AS account,
    b #>> '{target,region}' AS region,
    ((b ->> 'committed')::numeric / 1000000)::numeric(18, 6) AS monthly_usd,
    coalesce((b ->> 'dry_run')::boolean, false) AS dry_run,
    b ->> 'attention' AS attention,
    b ->> 'request' AS last_request_id,
    (b ->> 'created_at')::timestamptz AS created_at,
    b #>> '{created_by,person}' AS created_by_person,
    (b ->> 'provisioned_at')::timestamptz AS provisioned_at,
    (b ->> 'refreshed_at')::timestamptz AS refreshed_at,
    (b ->> 'updated_at')::timestamptz AS updated_at
FROM resource CROSS JOIN LATERAL asgard_json(body) AS b;

-- Runs.
CREATE OR REPLACE VIEW v_runs AS SELECT
    id AS run_id,
    b ->> 'project' AS project_id,
    b ->> 'resource' AS resource_id,
    b ->> 'request' AS request_id,
    b ->> 'op' AS operation,
    b ->> 'status' AS status,
    b ->> 'runner' AS runner,
    b ->> 'engine' AS engine,
    (b ->> 'attempts')::bigint AS attempts,
    (b #>> '{summary,create}')::bigint AS planned_creates,
    (b #>> '{summary,update}')::bigint AS planned_updates,
    (b #>> '{summary,replace}')::bigint AS planned_replaces,
    (b #>> '{summary,delete}')::bigint AS planned_deletes,
    b ->> 'error' AS error,
    b #>> '{actor,person}' AS actor_person,
    b ->> 'trace' AS trace_id,
    (b ->> 'created_at')::timestamptz AS created_at,
    (b ->> 'started_at')::timestamptz AS started_at,
    (b ->> 'finished_at')::timestamptz AS finished_at
FROM run CROSS JOIN LATERAL asgard_json(body) AS b;

-- Secrets: names and ages. The values are encrypted elsewhere and appear in no view.
CREATE OR REPLACE VIEW v_secrets AS SELECT
    id AS secret_id,
    b ->> 'project' AS project_id,
    b ->> 'resource' AS resource_id,
    b ->> 'name' AS name,
    b ->> 'output' AS output,
    (b ->> 'version')::bigint AS secret_version,
    (b ->> 'created_at')::timestamptz AS created_at,
    (b ->> 'rotated_at')::timestamptz AS rotated_at
FROM secret CROSS JOIN LATERAL asgard_json(body) AS b;

-- The audit log.
CREATE OR REPLACE VIEW v_audit_events AS SELECT
    id AS event_id,
    (b ->> 'at')::timestamptz AS at,
    b ->> 'project' AS project_id,
    b ->> 'action' AS action,
    b ->> 'object' AS object,
    b #>> '{actor,kind}' AS actor_kind,
    b #>> '{actor,id}' AS actor_id,
    b #>> '{actor,person}' AS actor_person,
    b ->> 'trace' AS trace_id,
    b -> 'details' AS details,
    (b ->> 'block')::bigint AS sealed_block,
    b #>> '{actor,user}' AS actor_user
FROM audit_event CROSS JOIN LATERAL asgard_json(body) AS b;
