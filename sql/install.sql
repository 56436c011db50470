--
-- Creation of the extension, its objects, their comments and rights
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- only in the database that pg_backupctl.database names
SHOW pg_backupctl.database;
\c postgres
CREATE EXTENSION pg_backupctl;
SELECT count(*) FROM pg_extension WHERE extname = 'pg_backupctl';
SELECT count(*) FROM pg_proc WHERE proname LIKE '%backup_install_check%';
\c contrib_regression
SET client_min_messages = warning;

-- in a schema of the user's choice, whatever its name
CREATE EXTENSION pg_backupctl SCHEMA nowhere;
CREATE SCHEMA "Backups & more";
CREATE EXTENSION pg_backupctl SCHEMA "Backups & more";
SELECT extversion, extrelocatable, extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_backupctl';
CREATE EXTENSION pg_backupctl;
ALTER EXTENSION pg_backupctl SET SCHEMA public;
SELECT "Backups & more".register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000);
SELECT id, backup_type, status FROM "Backups & more".backup_catalog;
-- a worker finds it there, without help by anybody's search_path
SELECT "Backups & more".backup_now();
SELECT "Backups & more".backup_verify(2);
CALL "Backups & more".backup_run();
SELECT id, backup_type, status, verification_status FROM "Backups & more".backup_catalog ORDER BY id;
SELECT count(*) FROM "Backups & more".backup_progress WHERE job <> 'settle';
DROP SCHEMA "Backups & more";
DROP EXTENSION pg_backupctl;
DROP SCHEMA "Backups & more";

-- nothing is left, and it can be created again
SELECT count(*) FROM pg_class WHERE relname LIKE 'backup\_%';
SELECT count(*) FROM pg_proc WHERE proname ~ '^(backup_|register_backup|update_backup_)' AND prolang <> 12;
CREATE EXTENSION pg_backupctl;
SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_backupctl';
SELECT count(*) FROM backup_catalog;

-- a worker does not see what is not committed
DROP EXTENSION pg_backupctl;
BEGIN;
CREATE EXTENSION pg_backupctl;
SELECT backup_now();
ROLLBACK;
CREATE EXTENSION pg_backupctl;

--
-- Members
--
CREATE TEMP VIEW member AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_backupctl'
	CROSS JOIN pg_identify_object(d.classid, d.objid, 0) i
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND i.type NOT IN ('type', 'composite type');

SELECT type, identity FROM member ORDER BY type, identity COLLATE "C";

-- all have a comment; the sequence belongs to a column
SELECT type, identity, obj_description(objid, classid::regclass::name) AS comment
FROM member WHERE type <> 'sequence' ORDER BY type, identity COLLATE "C";
SELECT identity FROM member
WHERE type <> 'sequence' AND coalesce(obj_description(objid, classid::regclass::name), '') = '';

-- PUBLIC may do nothing
SELECT m.identity, a.privilege_type
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
	CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE a.grantee = 0;
SELECT m.identity, a.privilege_type
FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
	CROSS JOIN aclexplode(coalesce(c.relacl,
		acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
WHERE a.grantee = 0;
SELECT m.identity, c.attname, c.attacl
FROM member m JOIN pg_attribute c ON m.classid = 'pg_class'::regclass AND c.attrelid = m.objid
WHERE c.attacl IS NOT NULL;

-- what others than the owner may do: pg_monitor reads
SELECT m.identity, a.grantee::regrole, a.privilege_type, a.is_grantable
FROM member m
	LEFT JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
	LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
	CROSS JOIN aclexplode(coalesce(p.proacl, c.relacl)) a
WHERE a.grantee <> coalesce(p.proowner, c.relowner)
ORDER BY m.identity COLLATE "C", a.privilege_type;

-- functions: search_path is pinned in all but the procedure, which could not commit with it
SELECT m.identity, p.prokind, p.provolatile, p.proparallel, p.proisstrict, p.prosecdef, p.proconfig
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
ORDER BY m.identity COLLATE "C";
\x on
SELECT p.oid::regproc AS function, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
ORDER BY m.identity COLLATE "C";
\x off

--
-- Columns
--
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity, attgenerated
FROM pg_attribute WHERE attrelid = 'backup_catalog'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull
FROM pg_attribute WHERE attrelid = 'backup_copy'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod) AS type
FROM pg_attribute WHERE attrelid = 'backup_progress'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod) AS type
FROM pg_attribute WHERE attrelid = 'backup_archiver'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod) AS type
FROM pg_attribute WHERE attrelid = 'backup_recovery_window'::regclass AND attnum > 0 ORDER BY attnum;

-- constraints
SELECT conrelid::regclass AS "table", conname, contype, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE conrelid IN ('backup_catalog'::regclass, 'backup_copy'::regclass)
ORDER BY conrelid::regclass::text COLLATE "C", conname;
\set VERBOSITY terse
INSERT INTO backup_catalog (id, backup_type, backup_location, status) VALUES (99, 'full', 'x', 'completed');
INSERT INTO backup_catalog (backup_type, backup_location, status) VALUES ('full', 'x', 'done');
INSERT INTO backup_catalog (backup_type, backup_location, status, verification_status) VALUES ('full', 'x', 'completed', 'maybe');
INSERT INTO backup_catalog (backup_type, backup_location, status, backup_size_bytes) VALUES ('full', 'x', 'completed', -1);
INSERT INTO backup_catalog (backup_type, backup_location, status, original_size_bytes) VALUES ('full', 'x', 'completed', -1);
INSERT INTO backup_catalog (backup_type, backup_location, status, parent_id) VALUES ('full', 'x', 'completed', 4711);
INSERT INTO backup_copy (backup_id, repository, status) VALUES (4711, 'main', 'completed');
\set VERBOSITY default

-- the ratio is computed, also of nothing
INSERT INTO backup_catalog (backup_type, backup_location, status, backup_size_bytes, original_size_bytes)
VALUES ('full', 'x', 'completed', 300, 1000), ('full', 'x', 'completed', 0, 1000), ('full', 'x', 'completed', NULL, 1000),
	('full', 'x', 'completed', 4611686018427387904, 9223372036854775807)
RETURNING compression_ratio, encryption_status, verification_status, restoration_tested, held, metadata;

-- copies go with their backup
INSERT INTO backup_copy (backup_id, repository, status) SELECT min(id), 'main', 'completed' FROM backup_catalog;
DELETE FROM backup_catalog;
SELECT count(*) FROM backup_copy;

--
-- A copy of the database has the objects, but is not the place of the catalog
--
\c postgres
CREATE DATABASE regress_backup_copy TEMPLATE contrib_regression;
\c regress_backup_copy
SELECT backup_now();
CALL backup_run();
SELECT backup_verify();
SELECT backup_cancel(1);
SELECT count(*) FROM backup_progress WHERE job <> 'settle';
\c contrib_regression
DROP DATABASE regress_backup_copy;

DROP EXTENSION pg_backupctl;
