--
-- A backup while it runs: what is seen, what is refused, how it is ended
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;
SELECT backup_now();

-- so slow that it would take many minutes; the session takes the change between two statements
ALTER SYSTEM SET pg_backupctl.max_rate = '4kB';
SELECT pg_reload_conf();
\set ECHO none
SELECT 'DO $d$ BEGIN IF current_setting(''pg_backupctl.max_rate'') <> ''4kB'' THEN PERFORM pg_sleep(0.05); END IF; END $d$'
FROM generate_series(1, 1200) \gexec
\set ECHO all
SHOW pg_backupctl.max_rate;

-- up to a minute for a condition
CREATE FUNCTION pg_temp.wait_until(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	met boolean;
BEGIN
	FOR i IN 1 .. 1200 LOOP
		PERFORM pg_stat_clear_snapshot();
		EXECUTE 'SELECT ' || condition INTO met;
		IF met THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN false;
END
$$;

SELECT backup_now(wait => false, tier => 'slow', options => '{"jobs": 2}') AS id \gset
SELECT :id AS id;
SELECT id, status, finished_at, backup_size_bytes, compression_ratio, start_lsn, stop_lsn, error, tier FROM backup_catalog WHERE id = :id;
SELECT * FROM backup_copy WHERE backup_id = :id;
SELECT pg_temp.wait_until($$EXISTS (SELECT FROM backup_progress WHERE phase = 'copying files' AND workers > 0)$$);

-- in the repository as well
CREATE TEMP VIEW folder AS
SELECT id, regexp_replace(rtrim(backup_location, '/'), '^file://', '') AS folder FROM backup_catalog WHERE label IS NOT NULL;
SELECT id, (pg_stat_file(folder || '/begin', true)).size > 0 AS begin, (pg_stat_file(folder || '/manifest', true)).size > 0 AS manifest
FROM folder ORDER BY id;

--
-- Seen by all means
--
\x on
SELECT p.id, p.job, p.label = c.label AS label, p.repository, p.phase,
	p.percent >= 0 AND p.percent < 100 AS percent, p.done IS NOT NULL AS done, p.total = pg_size_pretty(p.bytes_total) AS total,
	p.files_done < p.files_total AS files, p.files_total > 500 AS files_total,
	p.rate LIKE '%/s' AS rate, p.time_left IS NULL OR p.time_left >= '0' AS time_left, p.elapsed >= '0' AS elapsed,
	p.workers BETWEEN 1 AND 2 AS workers, p.pid = a.pid AS pid, p.started <= clock_timestamp() AS started,
	p.bytes_done < p.bytes_total AS bytes, p.bytes_stored >= 0 AS stored, p.bytes_per_second >= 0 AS bytes_per_second
FROM backup_progress p JOIN backup_catalog c ON c.id = p.id
	LEFT JOIN pg_stat_activity a ON a.backend_type = 'pg_backupctl backup'
WHERE p.job = 'backup';
SELECT j.id, j.job, j.label = p.label AS label, j.repository, j.phase, j.copy_started >= j.started AS started, j.pid = p.pid AS pid
FROM backup_jobs() j JOIN backup_progress p ON p.id = j.id;
SELECT s.phase, s.backup_total = p.bytes_total AS total, s.backup_streamed <= p.bytes_total AS streamed, s.tablespaces_total
FROM pg_stat_progress_basebackup s JOIN backup_progress p ON p.pid = s.pid;
\x off
SELECT backend_type, datname, backend_xid IS NULL AS no_transaction, backend_xmin IS NULL AS no_snapshot, xact_start
FROM pg_stat_activity WHERE backend_type = 'pg_backupctl backup';
SELECT a.query = 'backup ' || p.label || ': ' || p.phase AS query, a.state
FROM pg_stat_activity a JOIN backup_progress p ON p.pid = a.pid;
-- the WAL is kept
SELECT count(*) AS slots, bool_and(temporary) AS temporary, bool_and(active_pid = p.pid) AS mine
FROM pg_replication_slots s JOIN backup_progress p ON s.active_pid = p.pid;
SELECT (pg_stat_file('backup_label', true)).size IS NULL AS no_label_file;

--
-- Refused meanwhile
--
CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	detail := regexp_replace(regexp_replace(detail, '[0-9]{8}T[0-9]{6}Z-full-[0-9a-f]{4}', '<label>'), '[0-9]+ %', 'N %');
	RETURN NEXT;
END
$$;
\x on
SELECT * FROM pg_temp.refused('SELECT backup_now()');
SELECT * FROM pg_temp.refused('SELECT backup_now(wait => false)');
\x off
-- the procedure alike, but not in a function
\set VERBOSITY terse
CALL backup_run();
\set VERBOSITY default
SELECT count(*) FROM backup_catalog;
-- it can be neither verified nor described yet
SELECT code FROM pg_temp.refused(format('SELECT backup_verify(%s)', :id));
SELECT code FROM pg_temp.refused(format('SELECT update_backup_verification(%s, ''passed'')', :id));

--
-- Not hindered: verifying another one, registering, DDL, dropping a database
--
SELECT backup_verify(1);
SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000);
CREATE DATABASE regress_backup_other;
DROP DATABASE regress_backup_other;
CREATE TABLE regress_backup_table AS SELECT generate_series(1, 1000) AS n;
DROP TABLE regress_backup_table;
CHECKPOINT;

--
-- Ended
--
SELECT backup_cancel(1), backup_cancel(3), backup_cancel(0);
SELECT status FROM backup_catalog WHERE id = :id;
SELECT backup_cancel(:id);
SELECT pg_temp.wait_until($$NOT EXISTS (SELECT FROM backup_progress WHERE job = 'backup')$$);
SELECT id, status, finished_at >= backup_date AS finished, backup_size_bytes, compression_ratio, stop_lsn, error IS NOT NULL AS error, tier
FROM backup_catalog WHERE id = :id;
SELECT * FROM backup_copy WHERE backup_id = :id;
SELECT backup_cancel(:id);
SELECT pg_temp.wait_until($$NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg\_backupctl%' AND backend_type NOT IN ('pg_backupctl launcher', 'pg_backupctl settle', 'pg_backupctl WAL streamer', 'pg_backupctl WAL helper'))$$) AS processes,
	pg_temp.wait_until('NOT EXISTS (SELECT FROM pg_replication_slots)') AS slots,
	pg_temp.wait_until('NOT EXISTS (SELECT FROM pg_stat_progress_basebackup)') AS progress;

-- what it had stored goes away by itself; the complete one stays
SELECT id, pg_temp.wait_until(format('(pg_stat_file(%L, true)).size IS NULL', folder || '/begin')) AS gone
FROM folder WHERE id = :id;
SELECT id, (pg_stat_file(folder || '/begin', true)).size > 0 AS begin, (pg_stat_file(folder || '/manifest', true)).size > 0 AS manifest,
	(SELECT count(*) FROM pg_ls_dir(folder || '/data', true, false)) > 0 AS packs
FROM folder ORDER BY id;
DROP VIEW folder;

--
-- At once the next one, at full speed
--
ALTER SYSTEM RESET pg_backupctl.max_rate;
SELECT pg_reload_conf();
\set ECHO none
SELECT 'DO $d$ BEGIN IF current_setting(''pg_backupctl.max_rate'') <> ''0'' THEN PERFORM pg_sleep(0.05); END IF; END $d$'
FROM generate_series(1, 1200) \gexec
\set ECHO all
SHOW pg_backupctl.max_rate;
SELECT backup_now() AS id \gset
SELECT backup_verify(:id);
SELECT id, status, verification_status FROM backup_catalog ORDER BY id;
DROP EXTENSION pg_backupctl;
