--
-- Settings and what their checks say
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_backupctl;

-- all of them (the default of jobs depends on the machine)
SELECT name, CASE WHEN name = 'pg_backupctl.jobs' THEN '1 to 4' ELSE boot_val END AS "default", unit, min_val, max_val, vartype, context
FROM pg_settings WHERE name LIKE 'pg\_backupctl.%' AND name <> 'pg_backupctl.fault' ORDER BY name COLLATE "C";
SELECT boot_val::int BETWEEN 1 AND 4 AS jobs FROM pg_settings WHERE name = 'pg_backupctl.jobs';
SELECT name, short_desc, extra_desc
FROM pg_settings WHERE name LIKE 'pg\_backupctl.%' AND name <> 'pg_backupctl.fault' ORDER BY name COLLATE "C";
SHOW pg_backupctl.enabled;
SHOW pg_backupctl.compression;
SHOW pg_backupctl.max_rate;

-- none is a matter of the session; a typing error is one
SET pg_backupctl.repositories = 'main=file:///var/backups/pg';
SET pg_backupctl.enabled = off;
SET pg_backupctl.jobs = 2;
SET pg_backupctl.compression = 'lz4';
SET pg_backupctl.max_rate = '1MB';
SET pg_backupctl.database = 'postgres';
SET pg_backupctl.repository = 'main=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repository = 'main=file:///var/backups/pg';
ALTER DATABASE contrib_regression SET pg_backupctl.compression = 'lz4';

--
-- Repositories: names
--
ALTER SYSTEM SET pg_backupctl.repositories = 'file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = '=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'Main=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = '1st=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'my repo=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'a_name_of_more_than_31_characters=file:///var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///a, main=file:///b';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///a,, other=file:///b';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///a,';
ALTER SYSTEM SET pg_backupctl.repositories = ',';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///a,b';

--
-- Repositories: URLs
--
ALTER SYSTEM SET pg_backupctl.repositories = 'main=';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=/var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=backups';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=ftp://host/folder';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=s3://bucket/folder?region=eu-central-1';
ALTER SYSTEM RESET pg_backupctl.repositories;
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:/var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file://var/backups/pg';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/my backups';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/%zz';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/%0a';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var#1';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file://user:secret@host/var';
ALTER SYSTEM SET pg_backupctl.repositories = 'first=file:///a, second=gopher://b';

-- parameters
\set VERBOSITY terse
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compresion=lz4';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?region=eu-central-1';
\set VERBOSITY default
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compression';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?=lz4';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compression=lz4&compression=zstd';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compression=brotli';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compression=zstd:20';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?compression=';
ALTER SYSTEM SET pg_backupctl.repositories = 'first=file:///a?compression=lz4, second=file:///b?compression=none:3';

-- keys
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?encryption=maybe';
ALTER SYSTEM SET pg_backupctl.repositories = 'main=file:///var/backups/pg?key_file=etc/key';
ALTER SYSTEM SET pg_backupctl.encryption = 'maybe';
ALTER SYSTEM SET pg_backupctl.encryption_key_file = 'etc/key';
ALTER SYSTEM SET pg_backupctl.encryption_key_file = '/etc/key,';
ALTER SYSTEM SET pg_backupctl.encryption_key_file = '/etc/key, key';

--
-- Compression and numbers
--
ALTER SYSTEM SET pg_backupctl.compression = 'brotli';
ALTER SYSTEM SET pg_backupctl.compression = '';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:fast';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:0';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:20';
ALTER SYSTEM SET pg_backupctl.compression = 'gzip:10';
ALTER SYSTEM SET pg_backupctl.compression = 'lz4:13';
ALTER SYSTEM SET pg_backupctl.compression = 'none:1';
ALTER SYSTEM SET pg_backupctl.jobs = 0;
ALTER SYSTEM SET pg_backupctl.jobs = 33;
ALTER SYSTEM SET pg_backupctl.max_rate = -1;
ALTER SYSTEM SET pg_backupctl.max_rate = '1 parsec';
ALTER SYSTEM SET pg_backupctl.enabled = 'perhaps';

-- nothing of all this was written
SELECT name, setting FROM pg_file_settings WHERE name LIKE 'pg\_backupctl.%' AND sourcefile LIKE '%auto.conf';

--
-- What is right is taken: white space, all methods, an empty list
--
ALTER SYSTEM SET pg_backupctl.compression = 'none';
ALTER SYSTEM SET pg_backupctl.compression = 'gzip:9';
ALTER SYSTEM SET pg_backupctl.compression = 'lz4:12';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:19';
ALTER SYSTEM SET pg_backupctl.repositories = '';
ALTER SYSTEM SET pg_backupctl.repositories = ' a = file:///var/a , b=FILE:///var/b%2Cc?compression=none,c-1_x=file://localhost/c ';
SELECT name, setting FROM pg_file_settings
WHERE name LIKE 'pg\_backupctl.%' AND sourcefile LIKE '%auto.conf' ORDER BY name COLLATE "C";
ALTER SYSTEM RESET pg_backupctl.compression;
ALTER SYSTEM RESET pg_backupctl.repositories;

--
-- At work.  A session reads the file between two statements, so up to a minute
-- of statements is prepared, which do nothing once the change is seen.
--
SELECT format('DO $d$ BEGIN IF current_setting(%L) <> %%L THEN PERFORM pg_sleep(0.05); END IF; END $d$', 'pg_backupctl.compression') AS wait \gset
SELECT split_part(current_setting('pg_backupctl.repositories'), '=', 2) AS url \gset

-- a second repository with a compression of its own
SELECT 'main=' || :'url' || ', second=' || :'url' || '-second?compression=lz4:3' AS repositories \gset
ALTER SYSTEM SET pg_backupctl.repositories = :'repositories';
ALTER SYSTEM SET pg_backupctl.compression = 'gzip:2';
SELECT pg_reload_conf();
\set ECHO none
SELECT format(:'wait', 'gzip:2') FROM generate_series(1, 1200) \gexec
\set ECHO all
SHOW pg_backupctl.compression;
SELECT backup_now();
SELECT backup_now(repository => 'second');
SELECT backup_now(repository => 'second', options => '{"compression": "none"}');
SELECT backup_now(repository => 'third');
SELECT id, repository, metadata ->> 'compression' AS compression,
	starts_with(backup_location, :'url' || CASE repository WHEN 'second' THEN '-second' ELSE '' END || '/') AS location,
	backup_verify(id)
FROM backup_catalog ORDER BY id;
SELECT backup_id, repository, status, verification FROM backup_copy ORDER BY backup_id;

-- switched off: no backup, but verification
ALTER SYSTEM SET pg_backupctl.enabled = off;
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:2';
SELECT pg_reload_conf();
\set ECHO none
SELECT format(:'wait', 'zstd:2') FROM generate_series(1, 1200) \gexec
\set ECHO all
SHOW pg_backupctl.enabled;
SELECT backup_now();
CALL backup_run();
SELECT backup_verify(1);
ALTER SYSTEM RESET pg_backupctl.enabled;

-- repositories that cannot be used
ALTER SYSTEM SET pg_backupctl.repositories = 'file=file:///dev/null/repository, absent=file:///pg_backupctl-regress/absent';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:3';
SELECT pg_reload_conf();
\set ECHO none
SELECT format(:'wait', 'zstd:3') FROM generate_series(1, 1200) \gexec
\set ECHO all
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT;
	RETURN sqlstate || ' ' || m;
END
$$;
SELECT pg_temp.refused('SELECT backup_now()') LIKE '55000 repository "file" cannot be used: %/dev/null%not a folder%' AS file;
SELECT pg_temp.refused($$SELECT backup_now(repository => 'absent')$$) LIKE '42501 repository "absent" cannot be used: %/pg_backupctl-regress%: Permission denied' AS absent;
-- the one with the backups is not there any more
SELECT pg_temp.refused('SELECT backup_verify(1)');

-- no repository
ALTER SYSTEM SET pg_backupctl.repositories = '';
ALTER SYSTEM SET pg_backupctl.compression = 'zstd:4';
SELECT pg_reload_conf();
\set ECHO none
SELECT format(:'wait', 'zstd:4') FROM generate_series(1, 1200) \gexec
\set ECHO all
SELECT backup_now();
SELECT backup_now(repository => 'main');
SELECT pg_temp.refused('SELECT backup_verify(1)');

-- nothing that was refused left a row
SELECT count(*) FROM backup_catalog;

-- as it was
ALTER SYSTEM RESET pg_backupctl.repositories;
ALTER SYSTEM RESET pg_backupctl.compression;
SELECT name, setting FROM pg_file_settings WHERE name LIKE 'pg\_backupctl.%' AND sourcefile LIKE '%auto.conf';
SELECT pg_reload_conf();
\set ECHO none
SELECT format(:'wait', 'zstd:1') FROM generate_series(1, 1200) \gexec
\set ECHO all
SELECT backup_now();
SELECT id, repository, metadata ->> 'compression' AS compression FROM backup_catalog ORDER BY id;
DROP EXTENSION pg_backupctl;
