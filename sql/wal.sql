--
-- Views and functions about WAL, on a server that archives none
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;

--
-- backup_archiver
--
SELECT repository, status, last_archived_file, last_archived_time, archived_to, timeline,
	backlog_segments, backlog, oldest_waiting, failures, last_error, failed_at, retry_at, disk_full_in
FROM backup_archiver;
SELECT backlog_bytes, files, archived_bytes, stored_bytes, chunks, chunk_bytes, failed_file, pg_wal_free_bytes > 0 AS has_space,
	wal_rate_bytes >= 0 AS has_rate
FROM backup_archiver;
-- all columns that people may ask about
SELECT a.attname, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a WHERE a.attrelid = 'backup_archiver'::regclass AND col_description(a.attrelid, a.attnum) IS NOT NULL
ORDER BY a.attnum;

--
-- backup_recovery_window; other tests have left things in the repository
--
SET client_min_messages = error;
SELECT backup_now();
SELECT w.repository, w.timeline, w.backups, w.last_backup = c.label AS last,
	w.earliest_time = w.latest_time AS one_moment, w.earliest_time = c.finished_at AS of_the_backup,
	w.earliest_lsn = c.stop_lsn AS from_its_stop, w.latest_lsn >= w.earliest_lsn AS forward
FROM backup_recovery_window w JOIN backup_catalog c ON w.first_backup = c.label;
SELECT count(*) FROM backup_recovery_window WHERE repository = 'other';
-- in a transaction like any other view
BEGIN READ ONLY;
SELECT count(*) > 0 AS some FROM backup_recovery_window;
SAVEPOINT a;
SELECT count(*) FROM backup_archiver;
ROLLBACK;

--
-- backup_check
--
SELECT repository, check_name, status, advice IS NOT NULL AS has_advice FROM backup_check()
WHERE check_name NOT IN ('workers', 'space');
SELECT repository, check_name, status FROM backup_check('main')
WHERE repository IS NOT NULL AND check_name <> 'space';
SELECT check_name, finding, advice FROM backup_check()
WHERE status <> 'ok' AND check_name NOT IN ('workers', 'space');
SELECT * FROM backup_check('nowhere');
SELECT * FROM backup_check('');

--
-- backup_take_over
--
SELECT backup_take_over('nowhere');
SELECT backup_take_over('');
SELECT backup_take_over();
SELECT backup_take_over('main');
SELECT check_name, status FROM backup_check() WHERE check_name = 'owner';

--
-- backup_wal_conflict_resolve
--
SELECT backup_wal_conflict_resolve(NULL, 'because');
SELECT backup_wal_conflict_resolve('000000010000000000000001', NULL);
SELECT backup_wal_conflict_resolve('000000010000000000000001', '');
SELECT backup_wal_conflict_resolve('000000010000000000000001', E' \t\n');
SELECT backup_wal_conflict_resolve('000000010000000000000001', repeat('x', 256));
SELECT backup_wal_conflict_resolve('', 'because');
SELECT backup_wal_conflict_resolve('../postgresql.conf', 'because');
SELECT backup_wal_conflict_resolve('00000001000000000000000g', 'because');
SELECT backup_wal_conflict_resolve('000000010000000000000001.partial', 'because');
SELECT backup_wal_conflict_resolve('000000010000000000000001', 'because');
SELECT backup_wal_conflict_resolve('00000002.history', 'because');
SELECT backup_wal_conflict_resolve('000000010000000000000001.00000028.backup', 'because');

DROP EXTENSION pg_backupctl;
