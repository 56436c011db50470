--
-- What the functions refuse, and how they say it
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;

--
-- backup_now
--
SELECT backup_now('incr');
SELECT backup_now('FULL');
SELECT backup_now('');
SELECT backup_now(repository => 'nowhere');
SELECT backup_now(repository => '');
SELECT backup_now(repository => 'Main');
SELECT backup_now(repository => repeat('x', 40));
SELECT backup_now(tier => repeat('x', 64));
SELECT backup_now(tier => repeat('ä', 32));
SELECT backup_now(retention => '-1 day');
SELECT backup_now(retention => '0');
SELECT backup_now(retention => '1 day -1 month');
SELECT backup_now(retention => '300000 years');

-- options
SELECT backup_now(options => '[]');
SELECT backup_now(options => 'null');
SELECT backup_now(options => '"spread"');
SELECT backup_now(options => '{"speed": 1}');
SELECT backup_now(options => '{"": 1}');
SELECT backup_now(options => '{"Checkpoint": "fast"}');
SELECT backup_now(options => '{"checkpoint": "fast", "jobs": 1, "type": "full"}');
SELECT backup_now(options => '{"checkpoint": "slow"}');
SELECT backup_now(options => '{"checkpoint": true}');
SELECT backup_now(options => '{"checksum_failure": "ignore"}');
SELECT backup_now(options => '{"jobs": 0}');
SELECT backup_now(options => '{"jobs": 33}');
SELECT backup_now(options => '{"jobs": -1}');
SELECT backup_now(options => '{"jobs": 1.5}');
SELECT backup_now(options => '{"jobs": 99999999999999999999}');
SELECT backup_now(options => '{"jobs": ""}');
SELECT backup_now(options => '{"jobs": "two"}');
SELECT backup_now(options => '{"wal": "none"}');
SELECT backup_now(options => '{"wal": true}');
SELECT backup_now(options => '{"wal": "archive", "archive_wait": 0}');
SELECT backup_now(options => '{"wal": "archive", "archive_wait": 86401}');
SELECT backup_now(options => '{"wal": "archive", "archive_wait": "5min"}');
-- nothing archives here
SELECT backup_now(options => '{"wal": "archive"}');
SELECT backup_now(options => '{"compression": "brotli"}');
SELECT backup_now(options => '{"compression": "ZSTD:1"}');
SELECT backup_now(options => '{"compression": ""}');
SELECT backup_now(options => '{"compression": "zstd:"}');
SELECT backup_now(options => '{"compression": "zstd:-1"}');
SELECT backup_now(options => '{"compression": "zstd:0"}');
SELECT backup_now(options => '{"compression": "zstd:20"}');
SELECT backup_now(options => '{"compression": "gzip:10"}');
SELECT backup_now(options => '{"compression": "lz4:13"}');
SELECT backup_now(options => '{"compression": "none:1"}');
SELECT backup_now(options => '{"compression": "a word that is longer than any method"}');
SELECT backup_now(options => '{"storage_class": "STANDARD"}');
SELECT backup_now(options => '{"storage_class": ["STANDARD"]}');
SELECT backup_now(options => jsonb_build_object('storage_class', repeat('X', 64)));
SELECT schedule_backup('x', '@daily', storage_class => 'GLACIER');
SELECT schedule_backup('x', '@daily', 'verify', storage_class => 'GLACIER');
SELECT backup_now(options => jsonb_build_object(repeat('x', 100), 1));

-- neither null nor a structure is a value
CREATE FUNCTION pg_temp.sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
SELECT o AS options, pg_temp.sqlstate_of(format('SELECT backup_now(options => %L)', o))
FROM (VALUES ('{"jobs": null}'), ('{"jobs": [2]}'), ('{"jobs": {"n": 2}}'), ('{"compression": null}')) v (o);

--
-- backup_run
--
CALL backup_run('incr');
CALL backup_run(repository => 'nowhere');
CALL backup_run(options => '{"speed": 1}');
BEGIN;
CALL backup_run();
ROLLBACK;
-- the transaction block is said first
BEGIN;
CALL backup_run('incr');
ROLLBACK;
CREATE FUNCTION pg_temp.run() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	CALL backup_run(id => id);
	RETURN id;
END
$$;
SELECT pg_temp.run();

-- nothing of all this has left a trace
SELECT count(*) FROM backup_catalog;
SELECT count(*) FROM backup_progress WHERE job <> 'settle';

--
-- backup_verify
--
SELECT backup_verify();
SELECT backup_verify(4711);
SELECT backup_verify(-1);
SELECT backup_verify(0);
SELECT backup_verify(level => 'restore');
SELECT backup_verify(level => 'deep');
SELECT backup_verify(level => '');
SELECT backup_verify(NULL, NULL);

--
-- backup_cancel
--
SELECT backup_cancel(NULL) IS NULL AS "null";
SELECT backup_cancel(4711), backup_cancel(0), backup_cancel(-1);

--
-- register_backup
--
SELECT register_backup(NULL, '/mnt/dump', 1);
SELECT register_backup('', '/mnt/dump', 1);
SELECT register_backup('pg_dump', NULL, 1);
SELECT register_backup('pg_dump', '', 1);
SELECT register_backup('pg_dump', '/mnt/dump', -1);
SELECT register_backup('pg_dump', '/mnt/dump', 1, '[]');
SELECT register_backup('pg_dump', '/mnt/dump', 1, 'null');
SELECT register_backup('pg_dump', '/mnt/dump', 1, '"text"');

--
-- update_backup_verification
--
SELECT update_backup_verification(4711, 'maybe');
SELECT update_backup_verification(4711, '');
SELECT update_backup_verification(4711, 'PASSED');
SELECT update_backup_verification(4711, 'passed');
SELECT update_backup_verification(NULL, 'passed');
SELECT count(*) FROM backup_catalog;

--
-- By kind of error
--
SELECT q AS statement, pg_temp.sqlstate_of('SELECT ' || q)
FROM (VALUES
	($$backup_now('incr')$$),
	($$backup_now('differential-of-last-week')$$),
	($$backup_now(repository => 'nowhere')$$),
	($$backup_now(tier => repeat('x', 64))$$),
	($$backup_now(retention => '-1 day')$$),
	($$backup_now(options => '[]')$$),
	($$backup_now(options => '{"speed": 1}')$$),
	($$backup_now(options => '{"jobs": 0}')$$),
	($$backup_now(options => '{"compression": "brotli"}')$$),
	($$backup_now(options => '{"compression": "zstd:20"}')$$),
	($$backup_verify(4711)$$),
	($$backup_verify(level => 'restore')$$),
	($$backup_verify(level => 'deep')$$),
	($$register_backup('', '/mnt/dump', 1)$$),
	($$register_backup('pg_dump', '/mnt/dump', -1)$$),
	($$update_backup_verification(4711, 'maybe')$$),
	($$update_backup_verification(4711, NULL)$$),
	($$pg_temp.run()$$)) v (q);

-- still no trace
SELECT count(*) FROM backup_catalog;
DROP EXTENSION pg_backupctl;
