-- The rows of a service that has been at work for a month; `filling.py` says what they are like.

CREATE FUNCTION pg_temp.sorted_id(prefix text, ms bigint, number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT prefix || '_' || string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 5 * place & 31)::int + 1, 1), ''
    ORDER BY place DESC) || lpad(to_hex(number), 16, '0') FROM generate_series(0, 9) place $$;

CREATE FUNCTION pg_temp.project_id(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN number = 0 THEN 'prj_default' ELSE 'prj_' || lpad(to_hex(number), 26, '0') END $$;

INSERT INTO organizations (id, name, created_at, audit_seq, audit_hash, audit_seal)
  SELECT 'org_' || lpad(to_hex(i), 26, '0'), 'organisation ' || i, :now, 0, '', '' FROM generate_series(1, 2) i;

INSERT INTO projects (id, organization_id, name, created_at, max_jobs_running)
  SELECT pg_temp.project_id(i), CASE WHEN i % 3 = 0 THEN 'org_default' ELSE 'org_' || lpad(to_hex(i % 3), 26, '0') END,
    'project ' || i, :now, CASE WHEN i % 4 = 1 THEN 3 END
  FROM generate_series(1, :projects - 1) i;

INSERT INTO blobs (sha256, size_bytes, created_at) VALUES (repeat('0', 64), 4, :now);

INSERT INTO models (id, project_id, name, sha256, size_bytes, created_at, state)
  SELECT pg_temp.sorted_id('mod', :begin_ms + i, i), pg_temp.project_id(i % :projects), 'network-' || i || '.onnx',
    repeat('0', 64), 4, :now, 'ready'
  FROM generate_series(0, 500 * :projects - 1) i;

INSERT INTO datasets (id, project_id, name, sha256, size_bytes, created_at, state)
  SELECT pg_temp.sorted_id('dat', :begin_ms + i, i), pg_temp.project_id(i % :projects), 'images-' || i || '.zip',
    repeat('0', 64), 4, :now, 'ready'
  FROM generate_series(0, 50 * :projects - 1) i;

INSERT INTO jobs (id, project_id, model_id, recipe, labels, device, kind, priority, state, outcome, version, last_seq,
    fraction, stages, forecast, price_seconds, price_late_seconds, eta_samples, attempt, crash_count, interrupt_count, fault_count, cancel_requested,
    pause_requested, submitted_at, queued_at, running_at, finished_at)
  SELECT pg_temp.sorted_id('job', at_ms, i), pg_temp.project_id(project),
    pg_temp.sorted_id('mod', :begin_ms + (i % 500) * :projects + project, (i % 500) * :projects + project),
    CAST(:recipe AS json), json_build_object('team', 't' || i % 10, 'run', 'r' || i % 5000),
    CASE WHEN i % 5 = 0 THEN 'gpu' ELSE 'cpu' END, 'cpu one auto drawn', i % 3, state,
    CASE WHEN state = 'succeeded' THEN 'target_met' END, 12, 10, CASE WHEN is_over THEN 1 ELSE 0 END,
    CAST(:stages AS json), CAST(:forecast AS json), CAST(:price_seconds AS double precision),
    CAST(:price_late_seconds AS double precision), CAST(:samples AS json),
    CASE WHEN is_over OR state = 'running' THEN 2 ELSE 0 END, 0, 0, 0, false, false, at, at,
    CASE WHEN is_over OR state = 'running' THEN at + interval '1 minute' END,
    CASE WHEN is_over THEN at + interval '10 minutes' END
  FROM (
    SELECT i, :begin_ms + i * :step_ms AS at_ms, to_timestamp((:begin_ms + i * :step_ms) / 1000.0) AS at,
      i > 20 AND i <= :jobs - 5040 AS is_over,
      CASE WHEN i % 10 < 6 THEN 0 ELSE 1 + (i / 10 * 4 + i % 10 - 6) % (:projects - 1) END AS project,
      CASE
        WHEN i <= 20 THEN 'paused'
        WHEN i > :jobs - 5000 THEN CASE WHEN i % 10 = 9 THEN 'submitted' ELSE 'queued' END
        WHEN i > :jobs - 5010 THEN 'validating'
        WHEN i > :jobs - 5040 THEN 'running'
        WHEN i * 7919 % 100 < 75 THEN 'succeeded'
        WHEN i * 7919 % 100 < 85 THEN 'failed'
        WHEN i * 7919 % 100 < 95 THEN 'cancelled'
        WHEN i * 7919 % 100 < 98 THEN 'expired'
        ELSE 'rejected' END AS state
    FROM generate_series(CAST(1 AS bigint), :jobs) i) AS made;

UPDATE jobs SET last_seq = :longest WHERE id = (SELECT min(id) FROM jobs WHERE state = 'running' AND project_id = 'prj_default');

INSERT INTO job_labels (job_id, name, value, project_id)
  SELECT id, label.key, label.value, project_id FROM jobs, json_each_text(labels) AS label;

INSERT INTO attempts (job_id, attempt, worker_id, started_at, ended_at, ending)
  SELECT id, number, 'wrk', submitted_at, finished_at, 'finished' FROM jobs, generate_series(1, attempt) number;

INSERT INTO artifacts (id, project_id, job_id, name, role, media_type, sha256, size_bytes, created_at)
  SELECT 'art_' || substr(id, 5, 24) || lpad(number::text, 2, '0'), project_id, id,
    (ARRAY['model.onnx', 'report.json'])[number], (ARRAY['model', 'report'])[number], 'application/json',
    repeat('0', 64), 4, finished_at
  FROM jobs, generate_series(1, 2) number WHERE state = 'succeeded';

INSERT INTO events (job_id, seq, at, type, data)
  SELECT id, number, submitted_at + number * interval '1 second', 'job.progress',
    json_build_object('stage', 'score', 'fraction', 0.1, 'message', 'unit 7 of 25', 'eta_seconds', 120.0)
  FROM jobs, generate_series(1, last_seq) number;

INSERT INTO workers (id, host, boot_id, pid, pid_started, devices, sandbox, job_id, started_at, seen_at)
  SELECT pg_temp.sorted_id('wrk', :begin_ms, i), 'host-' || i, 'boot', i, '1', '["cpu"]', 'bubblewrap',
    (SELECT id FROM jobs WHERE state = 'running' ORDER BY id OFFSET i LIMIT 1), :now, :now
  FROM generate_series(1, 20) i;

INSERT INTO turns (lane, project_id, served_at)
  SELECT 'cpu', id, :now - random() * interval '1 day' FROM projects;

INSERT INTO compute_usage (project_id, month, device, seconds, attempts)
  SELECT id, to_char(:now, 'YYYY-MM'), 'cpu', 1000, 10 FROM projects;

INSERT INTO webhooks (id, project_id, url, description, events, active, salt, pepper_id, created_at, updated_at)
  SELECT pg_temp.sorted_id('whk', :begin_ms, i), 'prj_default', 'https://example.com/' || i, '', '[]', true, 'salt',
    'pepper', :now, :now
  FROM generate_series(1, 10) i;

INSERT INTO webhook_deliveries (id, project_id, webhook_id, message_id, type, payload, state, attempt, tries, status,
    created_at, finished_at)
  SELECT pg_temp.sorted_id('dlv', :begin_ms + 10 * i, i), 'prj_default', pg_temp.sorted_id('whk', :begin_ms, 1 + i % 10),
    'msg', 'job.succeeded', '{}', 'delivered', 1, 1, 200, :now, :now
  FROM generate_series(1, :jobs) i;

INSERT INTO audit (organization_id, seq, at, project_id, actor, actor_name, action, target, details, previous_hash, hash)
  SELECT 'org_default', 1000 + i, :now, pg_temp.project_id(CASE WHEN i % 100 < 90 THEN 0 ELSE 3 END), 'key', 'key',
    'POST /v1/jobs', '/v1/jobs/job', '{}', repeat('0', 64), repeat('0', 64)
  FROM generate_series(1, :jobs) i;
