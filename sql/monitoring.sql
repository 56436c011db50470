--
-- Monitoring: backup_status, backup_health, backup_storage, backup_metrics()
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
CREATE EXTENSION pg_backupctl;
CREATE ROLE regress_backup_nobody;
CREATE ROLE regress_backup_monitor IN ROLE pg_monitor;

--
-- Columns
--
SELECT attrelid::regclass AS object, attname, format_type(atttypid, atttypmod) AS type, attnotnull
FROM pg_attribute
WHERE attrelid IN ('backup_status'::regclass, 'backup_health'::regclass, 'backup_storage'::regclass,
	'backup_schedule'::regclass, 'backup_threshold'::regclass, 'backup_price'::regclass) AND attnum > 0
ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT check_name, warning, critical, unit, changed FROM backup_threshold ORDER BY check_name COLLATE "C";
SELECT storage_class, price_per_gib_month, currency, as_of, source, changed FROM backup_price ORDER BY storage_class COLLATE "C";

--
-- No backup yet
--
\pset null -
SELECT repository, tier, last_success, size, trend, duration, completed, failed, next_run, wal FROM backup_status;
SELECT status, check_name, repository, value, threshold, advice FROM backup_health
WHERE check_name NOT IN ('space', 'repository', 'clock_skew');
SELECT status, check_name, threshold, value ~ '^not (asked yet|known)$|^answered \d+ \w+ ago$|^none$' AS value
FROM backup_health WHERE check_name IN ('repository', 'clock_skew');
SELECT status, check_name, threshold, value ~ '^enough, \d+ [kMGT]B free$' AS value FROM backup_health WHERE check_name = 'space';
SELECT * FROM backup_storage;
-- what the thresholds know is what is looked at
SELECT check_name FROM backup_threshold WHERE check_name <> 'last_backup_schedule'
EXCEPT SELECT check_name FROM backup_health WHERE threshold IS NOT NULL;
-- the form of the metrics
SELECT regexp_replace(line, ' [0-9.]+$', ' N') AS line
FROM string_to_table(backup_metrics(), E'\n') WITH ORDINALITY t (line, n) ORDER BY n;

--
-- After a backup
--
SELECT backup_now(tier => 'daily');
SELECT repository, tier, last_success ~ '^\d+ seconds? ago$' AS last_success, size ~ '^\d+ [kM]B$' AS size, trend,
	duration < interval '1 minute' AS duration, completed, failed, next_run, wal
FROM backup_status;
SELECT s.last_id, s.last_label = c.label AS label, s.size_bytes = c.backup_size_bytes AS size,
	s.original_bytes = c.original_size_bytes AS original, s.last_success_at = c.finished_at AS finished,
	s.last_success_age > interval '0' AS age, s.trend_percent, s.running, s.cancelled, s.last_failure
FROM backup_status s JOIN backup_catalog c ON c.id = s.last_id;
SELECT status, check_name, repository, threshold FROM backup_health WHERE level > 0 OR check_name = 'last_backup';
SELECT repository, answered_at > now() - interval '1 minute' AS answered, failing_since, error, key_failed_at, key_error,
	abs(extract(epoch FROM clock_ahead)) < 1 AS clock, certificate_until, credentials_until
FROM backup_repository_state();
SELECT repository, tier, storage_class, backups, stored = pg_size_pretty(bytes) AS stored, monthly_cost FROM backup_storage;

--
-- Schedules and policies
--
SELECT schedule_backup('nightly', '0 1 * * *', tier => 'daily') > now() AS first;
SELECT schedule_backup('monthly', '0 2 1 * *', tier => 'monthly') > now() AS first;
SELECT (backup_set_policy('classic')).keep_daily;
SELECT repository, tier, completed, next_run ~ '^in \d+ (second|minute|hour|day)s?$' AS next_run, next_run_at IS NOT NULL AS at FROM backup_status;
SELECT status, check_name, value FROM backup_health WHERE check_name IN ('schedule', 'policy') ORDER BY check_name;
SELECT status, threshold FROM backup_health WHERE check_name = 'last_backup';
-- rolled back: it does not run
BEGIN;
SELECT schedule_backup('minutely', '* * * * *') > now() AS first;
SELECT threshold, unit, critical FROM backup_health WHERE check_name = 'last_backup';
ROLLBACK;
SELECT unschedule_backup('monthly'), unschedule_backup('nightly');

--
-- Failures.  The rows are made up: what can be done to a backup is tested elsewhere.
--
INSERT INTO backup_catalog (backup_type, label, repository, backup_location, status, backup_date, finished_at, error, tier)
SELECT 'full', 'x' || n, 'main', 'file:///x', 'failed', now(), now(), E'the "disk" is\nfull', 'daily' FROM generate_series(1, 3) n;
INSERT INTO backup_copy (backup_id, repository, status) SELECT id, 'main', 'failed' FROM backup_catalog WHERE status = 'failed';
SELECT repository, tier, completed, failed, last_failure, last_failure_at IS NOT NULL AS at FROM backup_status;
SELECT status, value, threshold, advice FROM backup_health WHERE check_name = 'failed_backups';
UPDATE backup_threshold SET critical = NULL WHERE check_name = 'failed_backups';
SELECT status, threshold FROM backup_health WHERE check_name = 'failed_backups';
UPDATE backup_threshold SET warning = 4 WHERE check_name = 'failed_backups';
SELECT status, threshold FROM backup_health WHERE check_name = 'failed_backups';
UPDATE backup_copy SET verification = 'failed' WHERE status = 'completed';
SELECT status, value, advice FROM backup_health WHERE check_name = 'verification';
UPDATE backup_copy SET verification = 'passed' WHERE status = 'completed';

-- a repository that is not configured any more keeps its row
INSERT INTO backup_catalog (backup_type, label, repository, backup_location, status, backup_date, finished_at, backup_size_bytes, original_size_bytes, metadata)
VALUES ('full', 'y1', 'gone', 's3://bucket/x', 'completed', now() - interval '3 days 1 second', now() - interval '3 days', 100 * 1073741824.0, 200 * 1073741824.0, '{}'),
	('full', 'y2', 'gone', 's3://bucket/x', 'completed', now() - interval '2 days 90 seconds', now() - interval '2 days', 150 * 1073741824.0, 200 * 1073741824.0, '{"storage_class": "GLACIER"}'),
	('full', 'y3', 'gone', 's3://bucket/x', 'completed', now() - interval '1 day 1 hour', now() - interval '1 day', 50 * 1073741824.0, 200 * 1073741824.0, '{"storage_class": "NEW"}');
INSERT INTO backup_copy (backup_id, repository, status) SELECT id, 'gone', 'completed' FROM backup_catalog WHERE repository = 'gone';
SELECT repository, tier, last_success, size, trend, duration, completed, failed, next_run, wal FROM backup_status WHERE repository = 'gone';
SELECT repository, tier, storage_class, backups, stored, original, monthly_cost, currency, price_as_of FROM backup_storage WHERE repository = 'gone';
INSERT INTO backup_price (storage_class, price_per_gib_month, currency, as_of) VALUES ('NEW', 0.5, 'EUR', '2026-01-01');
UPDATE backup_price SET price_per_gib_month = 0.02 WHERE storage_class = 'STANDARD';
SELECT storage_class, monthly_cost, price_as_of FROM backup_storage WHERE repository = 'gone';
SELECT storage_class FROM backup_price WHERE changed ORDER BY 1;
\set VERBOSITY terse
INSERT INTO backup_price (storage_class, price_per_gib_month) VALUES ('x', -1);
\set VERBOSITY default

-- archived WAL, when it was measured
INSERT INTO backup_wal_usage (repository, objects, bytes) VALUES ('main', 70, 5 * 1073741824.0), ('gone', 7, 10 * 1073741824.0);
SELECT repository, kind, tier, storage_class, backups, objects, stored, monthly_cost, measured_at IS NOT NULL AS measured
FROM backup_storage WHERE kind = 'wal';
SELECT r, backup_repository_class(r) FROM unnest('{main,gone,m.in}'::text[]) r;

-- what a policy would cost
UPDATE backup_catalog SET backup_size_bytes = 10 * 1073741824.0 WHERE id = 1;
SELECT repository_name, rule, backups, stored, monthly_cost FROM backup_cost_forecast('classic');
SELECT repository_name, rule, backups, stored, monthly_cost, bytes, cost_per_month, currency
FROM backup_cost_forecast('classic', keep_daily => 14, keep_yearly => 0, keep_within => '36 hours', storage_class => 'GLACIER');
SELECT schedule_backup('often', 'every 6 hours') > now() AS first;
SELECT rule, backups, stored, monthly_cost FROM backup_cost_forecast(keep_within => '36 hours', storage_class => 'STANDARD_IA');
SELECT unschedule_backup('often');
SELECT rule, backups, stored, monthly_cost FROM backup_cost_forecast('none');
SELECT * FROM backup_cost_forecast('classic', repository => 'nowhere');
SELECT * FROM backup_cost_forecast('modern');

-- ages in words
SELECT i, backup_age_text(i::interval) FROM unnest('{-1 hour,0,1 s,59.4 s,1 min,119 min,2 h,47:59,2 days,400 days}'::text[]) i;

--
-- A plain role
--
SET SESSION AUTHORIZATION regress_backup_nobody;
SELECT * FROM backup_status;
SELECT * FROM backup_health;
SELECT * FROM backup_storage;
SELECT * FROM backup_threshold;
SELECT * FROM backup_price;
SELECT * FROM backup_wal_usage;
SELECT backup_repository_class('main');
SELECT backup_metrics();
SELECT * FROM backup_cost_forecast();
SELECT backup_clock_jump();
SELECT * FROM backup_repository_state();
SELECT backup_age_text('1 s');
SELECT backup_row_changed();
RESET SESSION AUTHORIZATION;

--
-- A member of pg_monitor reads, and changes nothing
--
SET SESSION AUTHORIZATION regress_backup_monitor;
SELECT count(*) FROM backup_status;
SELECT count(*) FROM backup_health;
SELECT count(*) FROM backup_storage;
SELECT count(*) FROM backup_threshold;
SELECT count(*) FROM backup_price;
SELECT count(*) FROM backup_cost_forecast('classic');
SELECT backup_metrics() LIKE E'# TYPE%\n# EOF\n' AS metrics;
SELECT backup_clock_jump();
SELECT count(*) FROM backup_repository_state();
SELECT count(*) FROM backup_wal_usage;
DELETE FROM backup_wal_usage;
UPDATE backup_threshold SET warning = 0;
INSERT INTO backup_price (storage_class, price_per_gib_month) VALUES ('x', 1);
DELETE FROM backup_event;
SELECT backup_now();
SELECT schedule_backup('x', '@daily');
RESET SESSION AUTHORIZATION;

--
-- The recipe of the README: an operator, who takes and schedules backups and sees all
--
DELETE FROM backup_catalog WHERE repository = 'gone';
CREATE ROLE regress_backup_operator IN ROLE pg_monitor;
GRANT EXECUTE ON FUNCTION backup_now, backup_cancel, backup_verify, backup_check,
	schedule_backup, unschedule_backup TO regress_backup_operator;
GRANT EXECUTE ON PROCEDURE backup_run TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_now() > 0 AS taken;
SELECT backup_verify();
CALL backup_run(tier => 'daily', id => NULL, wait => true, repository => 'nowhere');
SELECT schedule_backup('nightly', '0 1 * * *') > now() AS scheduled;
SELECT name, type, created_by FROM backup_schedule;
SELECT kind, actor, schedule FROM backup_event WHERE kind = 'schedule' ORDER BY id DESC LIMIT 1;
SELECT unschedule_backup('nightly');
SELECT count(*) > 10 AS checked FROM backup_check();
SELECT count(*) > 10 AS healthy FROM backup_health;
-- neither repositories nor keys, nor what is kept
ALTER SYSTEM SET pg_backupctl.repositories = 'mine=file:///tmp/mine';
SET pg_backupctl.encryption_key_file = '/tmp/key';
SELECT backup_rotate_key('/tmp/key');
SELECT backup_shred(1, 'because');
SELECT backup_take_over();
SELECT backup_set_policy('none');
SELECT * FROM backup_expire(dry_run => false);
UPDATE backup_threshold SET warning = NULL;
UPDATE backup_catalog SET held = true;
DELETE FROM backup_event;
INSERT INTO backup_schedule_entry (name, cron, time_zone) VALUES ('x', '@daily', 'UTC');
RESET SESSION AUTHORIZATION;

DROP EXTENSION pg_backupctl;
DROP ROLE regress_backup_nobody, regress_backup_monitor, regress_backup_operator;
