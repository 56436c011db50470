--
-- Backups made by other tools
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;

SELECT clock_timestamp() AS before \gset
SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000000);
\x on
SELECT id, backup_type, label, repository, backup_location, status, backup_size_bytes, original_size_bytes, compression_ratio,
	encryption_status, verification_status, verification_date, restoration_tested, restoration_test_date, retention_date, tier,
	parent_id, timeline, start_lsn, stop_lsn, pg_version, system_identifier, held, error,
	metadata = jsonb_build_object('registered_by', session_user) AS metadata,
	backup_date BETWEEN :'before' AND clock_timestamp() AS backup_date,
	finished_at BETWEEN :'before' AND clock_timestamp() AS finished_at,
	created_at BETWEEN :'before' AND clock_timestamp() AS created_at
FROM backup_catalog;
\x off
SELECT count(*) FROM backup_copy;

-- any type and place; no size, no bytes; metadata of one's own
SELECT register_backup('full', 's3://bucket/a b?c', NULL);
SELECT register_backup('pgbackrest incr', E'tape 7\nshelf 3', 0, '{"tape": 7}');
SELECT register_backup(p_backup_location => 'x', p_backup_size_bytes => 9223372036854775807, p_backup_type => 'x', p_metadata => NULL);
SELECT id, backup_type, backup_location, backup_size_bytes, metadata - 'registered_by' AS metadata FROM backup_catalog ORDER BY id;
-- who it was cannot be told otherwise
SELECT register_backup('x', 'x', 1, '{"registered_by": "somebody else", "and": "more"}');
SELECT metadata ->> 'registered_by' = session_user AS me, metadata ->> 'and' AS "and" FROM backup_catalog WHERE id = 5;

-- one of ours, beside them
SELECT backup_now();

--
-- Notes of verifications
--
CREATE VIEW pg_temp.note AS
SELECT id, verification_status, verification_date IS NOT NULL AS dated, restoration_tested, restoration_test_date IS NOT NULL AS test_dated
FROM backup_catalog;
SELECT update_backup_verification(1, 'passed');
SELECT * FROM pg_temp.note WHERE id = 1;
SELECT verification_date BETWEEN :'before' AND clock_timestamp() AS date FROM backup_catalog WHERE id = 1;
SELECT update_backup_verification(1, 'passed', true);
SELECT * FROM pg_temp.note WHERE id = 1;
-- that it has once been restored stays true, with its date
SELECT restoration_test_date AS tested FROM backup_catalog WHERE id = 1 \gset
SELECT update_backup_verification(1, 'failed', false);
SELECT * FROM pg_temp.note WHERE id = 1;
SELECT restoration_test_date = :'tested' AS same FROM backup_catalog WHERE id = 1;
SELECT update_backup_verification(1, 'failed', NULL);
SELECT restoration_tested, restoration_test_date = :'tested' AS same FROM backup_catalog WHERE id = 1;
SELECT update_backup_verification(1, 'passed', true);
SELECT restoration_test_date > :'tested' AS later FROM backup_catalog WHERE id = 1;
-- taken back
SELECT update_backup_verification(1, 'not verified');
SELECT * FROM pg_temp.note WHERE id = 1;
SELECT update_backup_verification(p_verification_status => 'failed', p_backup_id => 2);
-- no other row is touched
SELECT * FROM pg_temp.note ORDER BY id;

-- our own are verified, not described
SELECT update_backup_verification(6, 'passed');
SELECT update_backup_verification(6, 'not verified', true);
SELECT * FROM pg_temp.note WHERE id = 6;
-- there is no such backup
SELECT update_backup_verification(4711, 'passed', true);

-- all this belongs to the transaction
BEGIN;
SELECT register_backup('pg_dump', '/mnt/dumps/tuesday.dump', 1);
SELECT update_backup_verification(2, 'passed', true);
ROLLBACK;
SELECT count(*) FROM backup_catalog;
SELECT * FROM pg_temp.note WHERE id = 2;

-- registered ones do not count as backups of the cluster
SELECT backup_verify();
SELECT id, verification_status FROM backup_catalog WHERE verification_status = 'passed';
SELECT backup_cancel(1);
DROP VIEW pg_temp.note;
DROP EXTENSION pg_backupctl;
