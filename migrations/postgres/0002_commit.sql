-- One atomic batch in one round trip.
--
-- The steps come as arrays of one length, sorted by item, so that two batches take their locks in the same order. `place` is
-- a step's position in the batch as it was built. Every item that a batch names is locked before it is judged: a row by
-- FOR SHARE or by the write itself, an absent key or name by the insert that would make it. The batch's own block is undone
-- when a step stood in the way, and the answer names the first such step: (null, null) means committed, now or earlier.
CREATE FUNCTION asgard_commit(
    commit_id text, committed_at text,
    places integer[], acts text[], kinds text[], names text[], owners text[], seens text[],
    schemas integer[], bodies text[], expiries text[], deltas bigint[], floors bigint[], ceilings bigint[],
    OUT place integer, OUT reason text
)
    LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
    counted numeric;
    why text;
BEGIN
    INSERT INTO commits (id, at) VALUES (commit_id, committed_at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(acts) LOOP
        why := NULL;
        CASE acts[i]
        WHEN 'insert' THEN
            EXECUTE format('INSERT INTO %I (id, version, schema, body, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING', kinds[i])
                USING names[i], commit_id, schemas[i], bodies[i], expiries[i];
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched = 0 THEN why := 'exists'; END IF;
        WHEN 'replace' THEN
            EXECUTE format('UPDATE %I SET version = $3, schema = $4, body = $5, expires_at = $6 WHERE id = $1 AND version = $2', kinds[i])
                USING names[i], seens[i], commit_id, schemas[i], bodies[i], expiries[i];
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched = 0 THEN why := 'changed'; END IF;
        WHEN 'remove' THEN
            EXECUTE format('DELETE FROM %I WHERE id = $1 AND version = $2', kinds[i]) USING names[i], seens[i];
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched = 0 THEN why := 'changed'; END IF;
        WHEN 'require' THEN
            EXECUTE format('SELECT 1 FROM %I WHERE id = $1 AND version = $2 FOR SHARE', kinds[i]) USING names[i], seens[i];
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched = 0 THEN why := 'changed'; END IF;
        WHEN 'absent' THEN
            -- A row that this transaction makes and removes again keeps the key locked until the end.
            EXECUTE format('INSERT INTO %I (id, version, schema, body) VALUES ($1, $2, 0, ''{}'') ON CONFLICT DO NOTHING', kinds[i])
                USING names[i], commit_id;
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched = 0 THEN
                why := 'exists';
            ELSE
                EXECUTE format('DELETE FROM %I WHERE id = $1', kinds[i]) USING names[i];
            END IF;
        WHEN 'claim' THEN
            INSERT INTO claims (name, owner) VALUES (names[i], owners[i]) ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN why := 'taken'; END IF;
        WHEN 'release' THEN
            DELETE FROM claims c WHERE c.name = names[i] AND c.owner = owners[i];
            IF NOT FOUND THEN why := 'not_held'; END IF;
        WHEN 'count' THEN
            INSERT INTO counters AS c (name, value, expires_at) VALUES (names[i], deltas[i], expiries[i])
                ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value, expires_at = excluded.expires_at
                RETURNING c.value INTO counted;
            IF counted > coalesce(ceilings[i], 9223372036854775807) THEN
                why := 'ceiling';
            ELSIF counted < coalesce(floors[i], -9223372036854775808) THEN
                why := 'floor';
            END IF;
        END CASE;
        IF why IS NOT NULL AND (place IS NULL OR places[i] < place) THEN
            place := places[i];
            reason := why;
        END IF;
    END LOOP;
    IF place IS NOT NULL THEN
        RAISE SQLSTATE 'AG001';
    END IF;
EXCEPTION WHEN SQLSTATE 'AG001' THEN
    -- Everything above is undone; place and reason are kept.
END
$$;
