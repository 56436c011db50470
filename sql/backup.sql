--
-- Backups and what the catalog says about them
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;

-- up to a minute for the end of a backup; its row is written before the worker leaves
CREATE FUNCTION pg_temp.wait_for_backup(backup bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found_status text;
BEGIN
	FOR i IN 1 .. 1200 LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT status INTO found_status FROM backup_catalog WHERE id = backup;
		IF found_status <> 'running' AND NOT EXISTS (SELECT FROM backup_progress WHERE id = backup) THEN
			RETURN found_status;
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN 'still ' || found_status;
END
$$;

SELECT split_part(current_setting('pg_backupctl.repositories'), '=', 1) AS repository,
	split_part(current_setting('pg_backupctl.repositories'), '=', 2) AS url \gset
\echo :repository

--
-- All defaults
--
SELECT clock_timestamp() AS before, pg_current_wal_lsn() AS lsn_before \gset
SELECT backup_now();
\x on
SELECT id, backup_type, repository, status, encryption_status, verification_status, verification_date,
	restoration_tested, restoration_test_date, retention_date, tier, parent_id, held, error,
	metadata -> 'options' AS options, metadata ->> 'requested_by' = current_user AS requested_by_me
FROM backup_catalog;
SELECT label ~ '^[0-9]{8}T[0-9]{6}Z-full-[0-9a-f]{4}$' AS label,
	to_timestamp(left(label, 15) || '+00', 'YYYYMMDD"T"HH24MISSTZH')
		BETWEEN date_trunc('second', :'before'::timestamptz) AND backup_date AS label_time,
	starts_with(backup_location, :'url' || '/' || system_identifier || '/backups/' || label) AS location,
	backup_date BETWEEN :'before' AND finished_at AS began,
	finished_at BETWEEN backup_date AND clock_timestamp() AS finished,
	created_at BETWEEN :'before' AND clock_timestamp() AS created,
	compression_ratio > 1 AS ratio,
	compression_ratio = round(original_size_bytes::numeric / backup_size_bytes, 2) AS ratio_of_sizes,
	start_lsn >= :'lsn_before' AND start_lsn < stop_lsn AND stop_lsn <= pg_current_wal_lsn() AS lsns,
	timeline = (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
	system_identifier = (SELECT c.system_identifier FROM pg_control_system() c) AS system_identifier,
	starts_with(pg_version, split_part(current_setting('server_version'), ' ', 1)) AS pg_version
FROM backup_catalog;
-- all databases and the WAL, but not much more
SELECT original_size_bytes BETWEEN d.size AND 1.2 * d.size + 64 * 1024 * 1024 AS size,
	(metadata ->> 'files')::int BETWEEN 250 * d.count AND 500 * d.count + 100 AS files,
	(metadata ->> 'workers')::int >= 1 AS workers,
	(metadata ->> 'seconds')::numeric > 0 AS seconds,
	metadata ->> 'compression' AS compression,
	metadata ->> 'checksum_failures' AS checksum_failures,
	metadata ->> 'vanished_files' AS vanished,
	metadata ->> 'skipped_files' AS skipped,
	metadata -> 'damaged_files' AS damaged
FROM backup_catalog, (SELECT sum(pg_database_size(oid)) AS size, count(*) FROM pg_database) d;
\x off
SELECT backup_id, repository, status, verification FROM backup_copy;
SELECT array_agg(k ORDER BY k COLLATE "C") AS metadata FROM backup_catalog, jsonb_object_keys(metadata) k;

-- the repository has what the catalog promises
SELECT regexp_replace(rtrim(backup_location, '/'), '^file://', '') AS folder FROM backup_catalog \gset
SELECT name, (pg_stat_file(:'folder' || '/' || name)).size > 0 AS there FROM (VALUES ('begin'), ('manifest')) v (name);
SELECT sum((pg_stat_file(:'folder' || '/data/' || name)).size) BETWEEN 0.99 * backup_size_bytes AND 1.01 * backup_size_bytes AS packs
FROM backup_catalog, pg_ls_dir(:'folder' || '/data') name GROUP BY backup_size_bytes;

-- the server is as it was
SELECT count(*) FROM backup_progress WHERE job <> 'settle';
SELECT count(*) FROM pg_stat_progress_basebackup;
SELECT count(*) FROM pg_replication_slots;
SELECT (pg_stat_file('backup_label', true)).size IS NULL AS no_label_file;

--
-- Nulls are the defaults
--
SELECT backup_now(NULL, NULL, NULL, NULL, NULL, NULL);
SELECT id, backup_type, repository, status, retention_date, tier, metadata -> 'options' AS options
FROM backup_catalog WHERE id = 2;

--
-- Tier, retention, repository by name; a tier of the greatest length
--
SELECT backup_now(repository => :'repository', tier => 'daily', retention => '30 days');
SELECT tier, retention_date BETWEEN backup_date + interval '30 days' - interval '1 minute' AND backup_date + interval '30 days' AS retention,
	repository = :'repository' AS repository
FROM backup_catalog WHERE id = 3;
SELECT backup_now(tier => repeat('ä', 31) || '!', retention => '1 month -1 day');
SELECT tier, retention_date BETWEEN backup_date + interval '27 days' - interval '1 minute' AND backup_date + interval '30 days' AS retention
FROM backup_catalog WHERE id = 4;
-- an empty tier is none
SELECT backup_now(tier => '');
SELECT id, tier IS NULL AS none FROM backup_catalog WHERE id = 5;

--
-- Options
--
CHECKPOINT;
SELECT backup_now(options => '{"checkpoint": "spread"}');
SELECT backup_now(options => '{"checkpoint": "fast", "checksum_failure": "abort", "jobs": 2}');
SELECT backup_now(options => '{"checksum_failure": "warn", "jobs": "1"}');
SELECT id, status, metadata -> 'options' AS options, (metadata ->> 'workers')::int <= 2 AS workers
FROM backup_catalog WHERE id > 5 ORDER BY id;

-- each compression; every one can be read again
SELECT c AS compression, backup_now(options => jsonb_build_object('compression', c)) AS id
FROM unnest('{none,gzip,gzip:2,lz4,lz4:4,zstd,zstd:2}'::text[]) WITH ORDINALITY u (c, n) ORDER BY n;
SELECT id, status, metadata -> 'options' ->> 'compression' AS wanted, metadata ->> 'compression' AS used,
	compression_ratio > 1 AS smaller, backup_verify(id)
FROM backup_catalog WHERE id > 8 ORDER BY id;

--
-- wait => false: the row is there, the backup goes on by itself
--
SELECT backup_now(wait => false, tier => 'background') AS id \gset
SELECT status IN ('running', 'completed') AS status, tier FROM backup_catalog WHERE id = :id;
SELECT pg_temp.wait_for_backup(:id);
SELECT status, tier, error, compression_ratio > 1 AS ratio, start_lsn < stop_lsn AS lsns, finished_at > backup_date AS finished
FROM backup_catalog WHERE id = :id;
SELECT status, verification FROM backup_copy WHERE backup_id = :id;
SELECT backup_verify(:id);

--
-- The procedure
--
CALL backup_run();
CALL backup_run('full', :'repository', true, 'weekly', '1 year', '{"compression": "lz4"}');
CALL backup_run(id => 4711, tier => 'monthly');
CALL backup_run(wait => false, tier => 'yearly');
SELECT pg_temp.wait_for_backup(max(id)) FROM backup_catalog;
SELECT id, status, tier, metadata -> 'options' AS options, metadata ->> 'compression' AS compression
FROM backup_catalog WHERE id > :id ORDER BY id;
-- also from code that may commit
DO $$
DECLARE
	new_id bigint;
BEGIN
	CALL backup_run(id => new_id);
	RAISE WARNING 'backup %: %', new_id, (SELECT status FROM backup_catalog WHERE id = new_id);
END
$$;
-- but not where a block could be rolled back
DO $$
DECLARE
	new_id bigint;
BEGIN
	CALL backup_run(id => new_id);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'caught: %', sqlerrm;
END
$$;

-- labels differ, also within one second
SELECT count(*) = count(DISTINCT label) AS different FROM backup_catalog;
SELECT DISTINCT status FROM backup_catalog;
DROP EXTENSION pg_backupctl;
