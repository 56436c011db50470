--
-- Verification of what is stored
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION pg_backupctl;

CREATE FUNCTION pg_temp.folder_of(backup bigint) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(rtrim(backup_location, '/'), '^file://', '') FROM backup_catalog WHERE id = backup
$$;
CREATE FUNCTION pg_temp.overwrite(path text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY (SELECT ''this was an object'') TO %L', path);
END
$$;
CREATE VIEW pg_temp.verification AS
SELECT id, verification_status, verification_date IS NOT NULL AS dated, restoration_tested,
	v ->> 'level' AS level, v ->> 'files' = metadata ->> 'files' AS all_files,
	(v ->> 'bytes')::bigint = original_size_bytes AS all_bytes, (v ->> 'seconds')::numeric >= 0 AS seconds,
	(v ->> 'failures')::int > 0 AS failures, jsonb_array_length(v -> 'findings') > 0 AS findings
FROM backup_catalog, LATERAL (SELECT metadata -> 'verification') m (v);

-- the first
SELECT backup_now();
SELECT * FROM pg_temp.verification;
SELECT clock_timestamp() AS before \gset
SELECT backup_verify();
\x on
SELECT * FROM pg_temp.verification;
\x off
SELECT verification_date BETWEEN :'before' AND clock_timestamp() AS date, metadata #> '{verification,findings}' AS findings,
	metadata #> '{verification,failures}' AS failures FROM backup_catalog;
SELECT backup_id, status, verification FROM backup_copy;
-- the verdict is noted beside the backup, too
SELECT count(*), bool_and(name ~ '^[0-9]{8}T[0-9]{9}Z-verify$') AS name FROM pg_ls_dir(pg_temp.folder_of(1) || '/notes') name WHERE name NOT LIKE '%-catalog';

-- again, by id
SELECT verification_date AS date1 FROM backup_catalog \gset
SELECT backup_verify(1, 'files');
SELECT verification_status, verification_date > :'date1' AS later FROM backup_catalog;
SELECT count(*) FROM pg_ls_dir(pg_temp.folder_of(1) || '/notes') name WHERE name NOT LIKE '%-catalog';

-- nothing of the backup itself is changed
SELECT status, error, start_lsn < stop_lsn AS lsns, compression_ratio > 1 AS ratio, metadata ->> 'compression' AS compression FROM backup_catalog;

-- without an id it is the latest (labels count seconds)
SELECT pg_sleep(1.01 - extract(epoch FROM clock_timestamp())::numeric % 1) \g /dev/null
SELECT backup_now(tier => 'the latest');
SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000);
SELECT backup_verify(NULL);
SELECT id, tier, verification_status FROM backup_catalog ORDER BY id;
SELECT backup_id, verification FROM backup_copy ORDER BY backup_id;

-- a backup of another tool cannot be read
DO $$
BEGIN
	PERFORM backup_verify(3);
EXCEPTION WHEN undefined_object OR object_not_in_prerequisite_state THEN
	RAISE INFO 'refused';
END
$$;
SELECT id, verification_status FROM backup_catalog WHERE id = 3;

-- nor one that is not completed
INSERT INTO backup_catalog (backup_type, label, repository, backup_location, status)
VALUES ('full', '20260101T000000Z-full-0001', 'main', 'file:///nowhere', 'failed'),
	('full', '20260101T000000Z-full-0002', 'main', 'file:///nowhere', 'cancelled');
SELECT backup_verify(4);
SELECT backup_verify(5);

-- one whose folder is not there is damaged; one whose repository is not defined cannot be judged
INSERT INTO backup_catalog (backup_type, label, repository, backup_location, status)
VALUES ('full', '20260101T000000Z-full-0003', 'main', 'file:///nowhere', 'completed'),
	('full', '20260101T000000Z-full-0004', 'elsewhere', 'file:///nowhere', 'completed');
SELECT backup_verify(6);
SELECT verification_status, jsonb_array_length(metadata #> '{verification,findings}') AS findings,
	metadata #>> '{verification,findings,0}' LIKE '%' || label || '/manifest%is not in repository%' AS named
FROM backup_catalog WHERE id = 6;
SELECT backup_verify(7);
SELECT verification_status, metadata FROM backup_catalog WHERE id = 7;

--
-- Damage is found, and the verdict replaces the former one
--
SELECT pg_temp.overwrite(pg_temp.folder_of(1) || '/data/' || min(name)) FROM pg_ls_dir(pg_temp.folder_of(1) || '/data') name;
SELECT backup_verify(1);
\x on
SELECT * FROM pg_temp.verification WHERE id = 1;
\x off
SELECT status, verification FROM backup_copy WHERE backup_id = 1;
-- the first finding names the object
SELECT metadata #>> '{verification,findings,0}' LIKE '%' || label || '/data/%' AS named FROM backup_catalog WHERE id = 1;
-- another one is as good as before
SELECT backup_verify(2);

-- a manifest that cannot be read
SELECT pg_temp.overwrite(pg_temp.folder_of(2) || '/manifest');
SELECT backup_verify(2);
SELECT verification_status, jsonb_array_length(metadata #> '{verification,findings}') AS findings,
	metadata #>> '{verification,findings,0}' LIKE '%' || label || '/manifest%' AS named
FROM backup_catalog WHERE id = 2;
SELECT status, verification FROM backup_copy WHERE backup_id = 2;

-- neither hinders the next backup
SELECT backup_now();
SELECT backup_verify(8);
SELECT id, status, verification_status FROM backup_catalog ORDER BY id;
DROP VIEW pg_temp.verification;
DROP EXTENSION pg_backupctl;
