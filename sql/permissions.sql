--
-- Who may do what
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_backup_nobody;
CREATE ROLE regress_backup_monitor IN ROLE pg_monitor;
CREATE ROLE regress_backup_operator;
CREATE ROLE regress_backup_registrar;
CREATE ROLE regress_backup_creator;
GRANT CREATE ON DATABASE contrib_regression TO regress_backup_creator;
GRANT CREATE ON SCHEMA public TO regress_backup_creator;

-- only a superuser creates the extension
SET SESSION AUTHORIZATION regress_backup_creator;
CREATE EXTENSION pg_backupctl;
RESET SESSION AUTHORIZATION;
CREATE EXTENSION pg_backupctl;
GRANT EXECUTE ON FUNCTION backup_now TO regress_backup_operator;
GRANT EXECUTE ON FUNCTION register_backup TO regress_backup_registrar;
SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000);

-- all at a glance
CREATE VIEW pg_temp.rights AS
SELECT r.rolname, r.oid AS role, o.oid AS object, o.name, o.privilege,
	CASE WHEN o.privilege = 'EXECUTE' THEN has_function_privilege(r.oid, o.oid, o.privilege)
		WHEN o.privilege = 'USAGE' THEN has_sequence_privilege(r.oid, o.oid, o.privilege)
		ELSE has_table_privilege(r.oid, o.oid, o.privilege) END AS allowed
FROM pg_roles r, (
	SELECT p.oid, p.proname, 'EXECUTE' FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_backupctl')
	UNION ALL
	SELECT c.oid, c.relname, privilege FROM pg_depend d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid,
		unnest(CASE c.relkind WHEN 'S' THEN '{USAGE}' ELSE '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}' END::text[]) privilege
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_backupctl')) o (oid, name, privilege)
WHERE r.rolname LIKE 'regress\_backup\_%';
SELECT count(*) > 20 AS looked FROM pg_temp.rights WHERE rolname = 'regress_backup_nobody';
SELECT rolname, name, privilege FROM pg_temp.rights WHERE allowed
ORDER BY rolname COLLATE "C", name COLLATE "C", privilege;
DROP VIEW pg_temp.rights;

--
-- A plain role
--
SET SESSION AUTHORIZATION regress_backup_nobody;
SELECT backup_now();
CALL backup_run();
SELECT backup_cancel(1);
SELECT backup_verify();
SELECT register_backup('x', 'x', 1);
SELECT update_backup_verification(1, 'passed');
SELECT * FROM backup_jobs();
SELECT * FROM backup_job_counts();
SELECT * FROM backup_progress;
SELECT * FROM backup_archiver_state();
SELECT * FROM backup_archiver;
SELECT * FROM backup_recovery_windows();
SELECT * FROM backup_recovery_window;
SELECT backup_take_over();
SELECT backup_wal_conflict_resolve('000000010000000000000001', 'because');
SELECT * FROM backup_check();
SELECT * FROM backup_catalog;
SELECT * FROM backup_copy;
SELECT nextval('backup_catalog_id_seq');
ALTER SYSTEM SET pg_backupctl.repositories = 'mine=file:///tmp/mine';
SET pg_backupctl.repositories = 'mine=file:///tmp/mine';
DROP EXTENSION pg_backupctl;
RESET SESSION AUTHORIZATION;

--
-- A member of pg_monitor reads
--
SET SESSION AUTHORIZATION regress_backup_monitor;
SELECT id, backup_type, status FROM backup_catalog;
SELECT count(*) FROM backup_copy;
SELECT count(*) FROM backup_progress WHERE job <> 'settle';
SELECT count(*) FROM backup_jobs() WHERE job NOT IN ('settle', 'schedule', 'notify');
SELECT count(*) > 20 AS counts FROM backup_job_counts();
SELECT repository, status FROM backup_archiver;
SELECT repository, status FROM backup_archiver_state();
SELECT count(*) >= 0 AS may FROM backup_recovery_window;
SELECT count(*) >= 0 AS may FROM backup_recovery_windows();
SELECT backup_take_over();
SELECT backup_wal_conflict_resolve('000000010000000000000001', 'because');
SELECT * FROM backup_check();
SELECT backup_now();
CALL backup_run();
SELECT backup_cancel(1);
SELECT backup_verify();
SELECT register_backup('x', 'x', 1);
SELECT update_backup_verification(1, 'passed');
DELETE FROM backup_catalog;
-- a lock would hold up the worker that writes the row
BEGIN;
LOCK TABLE backup_catalog IN SHARE MODE;
ROLLBACK;
RESET SESSION AUTHORIZATION;

--
-- A role that may take backups
--
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_now();
SELECT backup_now(wait => false, repository => 'nowhere');
CALL backup_run();
SELECT backup_cancel(1);
SELECT backup_verify();
SELECT * FROM backup_catalog;
SELECT * FROM backup_progress;
INSERT INTO backup_catalog (backup_type, backup_location, status) VALUES ('full', 'x', 'completed');
UPDATE backup_catalog SET verification_status = 'passed';
DELETE FROM backup_copy;
RESET SESSION AUTHORIZATION;
SELECT id, status, metadata ->> 'requested_by' AS requested_by FROM backup_catalog WHERE id = 2;
-- the role counts, not the login
SET ROLE regress_backup_operator;
SELECT backup_now();
RESET ROLE;
SELECT id, status, metadata ->> 'requested_by' AS requested_by FROM backup_catalog WHERE id = 3;

-- each function by itself
REVOKE EXECUTE ON FUNCTION backup_now FROM regress_backup_operator;
GRANT EXECUTE ON PROCEDURE backup_run TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_now();
CALL backup_run();
RESET SESSION AUTHORIZATION;
REVOKE EXECUTE ON PROCEDURE backup_run FROM regress_backup_operator;
GRANT EXECUTE ON FUNCTION backup_verify, backup_cancel TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
CALL backup_run();
SELECT backup_verify(4);
SELECT backup_cancel(4);
RESET SESSION AUTHORIZATION;
SELECT id, status, verification_status, metadata ->> 'requested_by' AS requested_by FROM backup_catalog WHERE id = 4;

-- some need more than the right to call them
GRANT EXECUTE ON FUNCTION backup_take_over, backup_wal_conflict_resolve, backup_check TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_take_over();
SELECT backup_take_over('main');
SELECT backup_wal_conflict_resolve('000000010000000000000001', 'because');
SELECT count(*) > 10 AS checked FROM backup_check();
RESET SESSION AUTHORIZATION;

--
-- A role that may register backups cannot forge anything else
--
SET SESSION AUTHORIZATION regress_backup_registrar;
SELECT register_backup('pg_dump', '/mnt/dumps/tuesday.dump', 2000, '{"registered_by": "postgres"}');
SELECT * FROM backup_catalog;
INSERT INTO backup_catalog (backup_type, backup_location, status, label) VALUES ('full', 'x', 'completed', '20260101T000000Z-full-0001');
INSERT INTO backup_copy VALUES (1, 'main', 'completed', 'passed');
UPDATE backup_catalog SET status = 'failed' WHERE id = 1;
DELETE FROM backup_catalog;
TRUNCATE backup_catalog CASCADE;
SELECT nextval('backup_catalog_id_seq');
SELECT update_backup_verification(5, 'passed');
SELECT backup_now();
SELECT backup_verify(5);
RESET SESSION AUTHORIZATION;
SELECT id, backup_type, label, repository, status, verification_status, metadata FROM backup_catalog WHERE id = 5;
SELECT count(*) FROM backup_catalog;

-- what is nearer in search_path does not get in between
GRANT CREATE ON SCHEMA public TO regress_backup_registrar;
GRANT CREATE, TEMPORARY ON DATABASE contrib_regression TO regress_backup_registrar;
GRANT EXECUTE ON FUNCTION update_backup_verification TO regress_backup_registrar;
SET SESSION AUTHORIZATION regress_backup_registrar;
CREATE SCHEMA regress_backup_trap;
CREATE FUNCTION regress_backup_trap.caught(jsonb, jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'caught as %', current_user;
END
$$;
CREATE FUNCTION regress_backup_trap.caught(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'caught as %', current_user;
END
$$;
CREATE FUNCTION regress_backup_trap.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'caught as %', current_user;
END
$$;
CREATE OPERATOR regress_backup_trap.|| (FUNCTION = regress_backup_trap.caught, LEFTARG = jsonb, RIGHTARG = jsonb);
CREATE OPERATOR regress_backup_trap.< (FUNCTION = regress_backup_trap.caught, LEFTARG = bigint, RIGHTARG = integer);
CREATE TEMP TABLE backup_catalog (id bigint, backup_type text, backup_location text, backup_size_bytes bigint, status text,
	finished_at timestamptz, metadata jsonb, label text);
CREATE TEMP VIEW pg_class AS SELECT 1 AS trap;
SET search_path = pg_temp, regress_backup_trap, pg_catalog, public;
SELECT register_backup('pg_dump', '/mnt/dumps/wednesday.dump', 3000, '{"a": 1}');
SELECT update_backup_verification(6, 'passed', true);
SELECT count(*) FROM backup_catalog;
RESET search_path;
RESET SESSION AUTHORIZATION;
SELECT id, backup_type, backup_size_bytes, verification_status, restoration_tested, metadata FROM public.backup_catalog WHERE id = 6;

-- nobody's trigger runs with the rights of the worker
CREATE FUNCTION pg_temp.trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'trigger on % of %', tg_op, tg_table_name;
END
$$;
CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON public.backup_catalog FOR EACH ROW EXECUTE FUNCTION pg_temp.trap();
SELECT backup_now();
SELECT backup_verify(7);
SELECT register_backup('x', 'x', 1);
SELECT id, status, verification_status FROM public.backup_catalog WHERE id >= 7;
DROP TRIGGER trap ON public.backup_catalog;

DROP SCHEMA regress_backup_trap CASCADE;
DISCARD TEMP;
DROP EXTENSION pg_backupctl;
REVOKE ALL ON DATABASE contrib_regression FROM regress_backup_creator, regress_backup_registrar;
REVOKE ALL ON SCHEMA public FROM regress_backup_creator, regress_backup_registrar;
DROP ROLE regress_backup_nobody, regress_backup_monitor, regress_backup_operator, regress_backup_registrar, regress_backup_creator;
