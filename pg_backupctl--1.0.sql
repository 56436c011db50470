/* pg_backupctl--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_backupctl" to load this file. \quit

-- The catalog lives in one database of the cluster; this refuses every other.
CREATE FUNCTION @extschema@.backup_install_check() RETURNS void
	AS 'MODULE_PATHNAME', 'bkc_sql_install_check' LANGUAGE C;
SELECT @extschema@.backup_install_check();
DROP FUNCTION @extschema@.backup_install_check();

-- ---------------------------------------------------------------------------
-- tables
-- ---------------------------------------------------------------------------

CREATE TABLE @extschema@.backup_catalog (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	backup_type text NOT NULL,
	label text UNIQUE,
	repository text,
	backup_location text NOT NULL,
	status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'cancelled', 'missing')),
	backup_date timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	finished_at timestamptz,
	backup_size_bytes bigint CHECK (backup_size_bytes >= 0),
	original_size_bytes bigint CHECK (original_size_bytes >= 0),
	compression_ratio numeric GENERATED ALWAYS AS
		(pg_catalog.round(original_size_bytes::numeric
						  / NULLIF(backup_size_bytes, 0)::numeric, 2)) STORED,
	encryption_status text NOT NULL DEFAULT 'none',
	encryption_key_id text,
	verification_status text NOT NULL DEFAULT 'not verified'
		CHECK (verification_status IN ('not verified', 'passed', 'failed')),
	verification_date timestamptz,
	restoration_tested boolean NOT NULL DEFAULT false,
	restoration_test_date timestamptz,
	retention_date timestamptz,
	tier text,
	parent_id bigint REFERENCES @extschema@.backup_catalog (id),
	timeline bigint,
	start_lsn pg_lsn,
	stop_lsn pg_lsn,
	pg_version text,
	system_identifier bigint,
	held boolean NOT NULL DEFAULT false,
	error text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	metadata jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE @extschema@.backup_copy (
	backup_id bigint NOT NULL REFERENCES @extschema@.backup_catalog (id) ON DELETE CASCADE,
	repository text NOT NULL,
	status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'cancelled', 'expiring', 'missing')),
	verification text NOT NULL DEFAULT 'not verified'
		CHECK (verification IN ('not verified', 'passed', 'failed')),
	PRIMARY KEY (backup_id, repository)
);

-- Registered backups are known nowhere else, so a dump must carry them.  Our
-- own rows are rebuilt from the repositories.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_catalog', 'WHERE label IS NULL');
SELECT pg_catalog.pg_extension_config_dump(
	pg_catalog.pg_get_serial_sequence('@extschema@.backup_catalog', 'id')::regclass, '');

COMMENT ON TABLE @extschema@.backup_catalog IS 'all backups of this cluster; an index of the repositories, which are the truth';
COMMENT ON COLUMN @extschema@.backup_catalog.label IS 'name of the backup in its repository; null for backups of other tools';
COMMENT ON COLUMN @extschema@.backup_catalog.repository IS 'the first repository that got it; null for backups of other tools';
COMMENT ON COLUMN @extschema@.backup_catalog.backup_size_bytes IS 'stored bytes';
COMMENT ON COLUMN @extschema@.backup_catalog.original_size_bytes IS 'bytes before compression';
COMMENT ON COLUMN @extschema@.backup_catalog.encryption_status IS 'none, AES-256-GCM, or shredded: its key was destroyed';
COMMENT ON COLUMN @extschema@.backup_catalog.encryption_key_id IS 'the key that opens it, as "pg_backupctl keygen" has named it';
COMMENT ON COLUMN @extschema@.backup_catalog.verification_status IS 'not verified, passed or failed';
COMMENT ON COLUMN @extschema@.backup_catalog.metadata IS 'options, counts, damaged files, findings of the last verification';
COMMENT ON TABLE @extschema@.backup_copy IS 'one row for each repository that holds a backup';

-- ---------------------------------------------------------------------------
-- taking backups
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_now(
	type text DEFAULT 'full',
	repository text DEFAULT NULL,
	wait boolean DEFAULT true,
	tier text DEFAULT NULL,
	retention interval DEFAULT NULL,
	options jsonb DEFAULT '{}')
RETURNS bigint
	AS 'MODULE_PATHNAME', 'bkc_sql_backup_now'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_now(text, text, boolean, text, interval, jsonb)
	IS 'take a backup now; returns its id in backup_catalog';

-- No SET clause: a procedure with one cannot commit, and this one must not
-- hold a snapshot while it waits.
CREATE PROCEDURE @extschema@.backup_run(
	type text DEFAULT 'full',
	repository text DEFAULT NULL,
	wait boolean DEFAULT true,
	tier text DEFAULT NULL,
	retention interval DEFAULT NULL,
	options jsonb DEFAULT '{}',
	INOUT id bigint DEFAULT NULL)
	AS 'MODULE_PATHNAME', 'bkc_sql_backup_run'
	LANGUAGE C;

COMMENT ON PROCEDURE @extschema@.backup_run(text, text, boolean, text, interval, jsonb, bigint)
	IS 'take a backup now without holding a snapshot while it runs';

CREATE FUNCTION @extschema@.backup_cancel(id bigint)
RETURNS boolean
	AS 'MODULE_PATHNAME', 'bkc_sql_backup_cancel'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_cancel(bigint)
	IS 'end a running backup or verification; false when none of that id is running';

CREATE FUNCTION @extschema@.backup_verify(id bigint DEFAULT NULL, level text DEFAULT 'files')
RETURNS text
	AS 'MODULE_PATHNAME', 'bkc_sql_backup_verify'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_verify(bigint, text)
	IS 'read and check every object and file of a backup (default: the latest); returns passed or failed';

-- ---------------------------------------------------------------------------
-- backups made by other tools
-- ---------------------------------------------------------------------------

-- SECURITY DEFINER, so that a role can be allowed to register backups
-- without the right to write (and forge) the catalog itself.
CREATE FUNCTION @extschema@.register_backup(
	p_backup_type text,
	p_backup_location text,
	p_backup_size_bytes bigint,
	p_metadata jsonb DEFAULT '{}')
RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id bigint;
BEGIN
	IF p_backup_type IS NULL OR p_backup_type = '' THEN
		RAISE EXCEPTION 'backup type must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF p_backup_location IS NULL OR p_backup_location = '' THEN
		RAISE EXCEPTION 'backup location must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF p_backup_size_bytes < 0 THEN
		RAISE EXCEPTION 'backup size must not be negative'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF pg_catalog.jsonb_typeof(p_metadata) <> 'object' THEN
		RAISE EXCEPTION 'metadata must be a JSON object'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	INSERT INTO @extschema@.backup_catalog
		(backup_type, backup_location, backup_size_bytes, status, finished_at, metadata)
	VALUES (p_backup_type, p_backup_location, p_backup_size_bytes, 'completed',
			pg_catalog.clock_timestamp(),
			COALESCE(p_metadata, '{}'::jsonb)
			|| pg_catalog.jsonb_build_object('registered_by', SESSION_USER))
	RETURNING id INTO new_id;
	RETURN new_id;
END
$$;

COMMENT ON FUNCTION @extschema@.register_backup(text, text, bigint, jsonb)
	IS 'enter a backup made by another tool into the catalog; its location is never opened';

CREATE FUNCTION @extschema@.update_backup_verification(
	p_backup_id bigint,
	p_verification_status text,
	p_restoration_tested boolean DEFAULT false)
RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_label text;
BEGIN
	IF p_verification_status IS NULL THEN
		RAISE EXCEPTION 'verification status must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				  HINT = 'Use passed, failed or not verified.';
	END IF;
	IF p_verification_status NOT IN ('not verified', 'passed', 'failed') THEN
		RAISE EXCEPTION 'verification status "%" is not known', p_verification_status
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use passed, failed or not verified.';
	END IF;
	SELECT label INTO own_label FROM @extschema@.backup_catalog WHERE id = p_backup_id FOR UPDATE;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF own_label IS NOT NULL THEN
		RAISE EXCEPTION 'backup % was not made by another tool', p_backup_id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Only registered backups can be updated so; run backup_verify(' || p_backup_id || ').';
	END IF;
	UPDATE @extschema@.backup_catalog
	SET verification_status = p_verification_status,
		verification_date = CASE WHEN p_verification_status = 'not verified' THEN NULL
								 ELSE pg_catalog.clock_timestamp() END,
		restoration_tested = restoration_tested OR COALESCE(p_restoration_tested, false),
		restoration_test_date = CASE WHEN p_restoration_tested THEN pg_catalog.clock_timestamp()
									 ELSE restoration_test_date END
	WHERE id = p_backup_id;
	RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.update_backup_verification(bigint, text, boolean)
	IS 'note the verification of a registered backup; false when there is no such backup';

-- ---------------------------------------------------------------------------
-- progress
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_jobs(
	OUT id bigint, OUT job text, OUT label text, OUT repository text, OUT phase text,
	OUT started timestamptz, OUT copy_started timestamptz,
	OUT files_done bigint, OUT files_total bigint,
	OUT bytes_done bigint, OUT bytes_total bigint, OUT bytes_stored bigint,
	OUT workers integer, OUT pid integer)
RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'bkc_sql_jobs'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_jobs()
	IS 'running jobs as they stand in shared memory; see the view backup_progress';

CREATE VIEW @extschema@.backup_progress AS
SELECT j.id, j.job, j.label, j.repository, j.phase,
	CASE WHEN j.bytes_total > 0
		THEN LEAST(100, pg_catalog.round(j.bytes_done * 100.0 / j.bytes_total, 1)) END AS percent,
	pg_catalog.pg_size_pretty(j.bytes_done) AS done,
	pg_catalog.pg_size_pretty(j.bytes_total) AS total,
	j.files_done, j.files_total,
	pg_catalog.pg_size_pretty((j.bytes_done / r.seconds)::bigint) || '/s' AS rate,
	CASE WHEN j.bytes_done > 0 AND j.bytes_total > 0 THEN
		pg_catalog.make_interval(secs => pg_catalog.round(
			(GREATEST(j.bytes_total - j.bytes_done, 0) * r.seconds / j.bytes_done)::numeric)::float8)
	END AS time_left,
	pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - j.started) AS elapsed,
	j.workers, j.pid, j.started, j.bytes_done, j.bytes_total, j.bytes_stored,
	(j.bytes_done / r.seconds)::bigint AS bytes_per_second
FROM @extschema@.backup_jobs() j,
	LATERAL (SELECT GREATEST(EXTRACT(epoch FROM pg_catalog.clock_timestamp()
									 - COALESCE(j.copy_started, j.started))::float8, 0.001) AS seconds) r;

COMMENT ON VIEW @extschema@.backup_progress IS 'running backups and verifications';

-- ---------------------------------------------------------------------------
-- WAL
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_archiver_state(
	OUT repository text, OUT status text,
	OUT last_archived_file text, OUT last_archived_time timestamptz,
	OUT archived_to pg_lsn, OUT timeline bigint,
	OUT backlog_segments bigint, OUT backlog_bytes bigint, OUT waiting_since timestamptz,
	OUT failures bigint, OUT last_error text, OUT failed_file text,
	OUT failed_at timestamptz, OUT retry_at timestamptz,
	OUT rate_bytes bigint, OUT wal_rate_bytes bigint,
	OUT pg_wal_free_bytes bigint, OUT disk_full_seconds double precision,
	OUT possible_loss_bytes bigint, OUT safe_until timestamptz, OUT shipped_to pg_lsn,
	OUT files bigint, OUT archived_bytes bigint, OUT stored_bytes bigint,
	OUT chunks bigint, OUT chunk_bytes bigint, OUT streamer_error text)
RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'bkc_sql_archiver_state'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_archiver_state()
	IS 'WAL archiving as it stands in shared memory and pg_wal; see the view backup_archiver';

CREATE VIEW @extschema@.backup_archiver AS
SELECT a.repository, a.status, a.last_archived_file, a.last_archived_time,
	a.archived_to, a.timeline, a.backlog_segments,
	pg_catalog.pg_size_pretty(a.backlog_bytes) AS backlog,
	pg_catalog.date_trunc('second', GREATEST(n.now, a.waiting_since) - a.waiting_since) AS oldest_waiting,
	a.failures, a.last_error, a.failed_at, a.retry_at,
	pg_catalog.pg_size_pretty(a.rate_bytes) || '/s' AS rate,
	pg_catalog.make_interval(secs => pg_catalog.round(a.disk_full_seconds::numeric)::float8) AS disk_full_in,
	pg_catalog.pg_size_pretty(a.possible_loss_bytes) AS possible_loss,
	CASE WHEN a.possible_loss_bytes = 0 THEN interval '0'
		WHEN a.possible_loss_bytes > 0
		THEN pg_catalog.date_trunc('milliseconds', GREATEST(n.now, a.safe_until) - a.safe_until)
	END AS possible_loss_age,
	a.failed_file, a.streamer_error, a.backlog_bytes, a.rate_bytes, a.wal_rate_bytes,
	a.pg_wal_free_bytes, a.possible_loss_bytes, a.shipped_to, a.safe_until,
	a.files, a.archived_bytes, a.stored_bytes, a.chunks, a.chunk_bytes
FROM @extschema@.backup_archiver_state() a,
	LATERAL (SELECT pg_catalog.clock_timestamp() AS now) n;

COMMENT ON VIEW @extschema@.backup_archiver IS 'WAL archiving, one row for each repository; counts are since the server''s start';
COMMENT ON COLUMN @extschema@.backup_archiver.status IS 'archiving; behind: more than one segment waits; failing: tried again at retry_at; refused: another data directory owns the repository; hole: WAL of the old primary is missing, take a backup; off: pg_backupctl.enabled is off, WAL waits; standby: its primary archives; not configured: archive_mode or archive_library';
COMMENT ON COLUMN @extschema@.backup_archiver.last_archived_file IS 'stored most recently; files may be stored ahead of others, archived_to says how far all are';
COMMENT ON COLUMN @extschema@.backup_archiver.archived_to IS 'all WAL before it, since the server''s start, is in the repository as whole segments';
COMMENT ON COLUMN @extschema@.backup_archiver.backlog_segments IS 'whole segments that wait in pg_wal for this repository';
COMMENT ON COLUMN @extschema@.backup_archiver.last_error IS 'stays after it has passed; failed_at says when it was';
COMMENT ON COLUMN @extschema@.backup_archiver.disk_full_in IS 'when pg_wal''s file system will be full as things go; null when it is not getting there';
COMMENT ON COLUMN @extschema@.backup_archiver.possible_loss IS 'WAL that would be lost with this server; null as long as it is not known, and while there is a hole';
COMMENT ON COLUMN @extschema@.backup_archiver.possible_loss_age IS 'what was committed longer ago would not be lost';

CREATE FUNCTION @extschema@.backup_recovery_windows(
	OUT repository text, OUT timeline bigint,
	OUT earliest_time timestamptz, OUT latest_time timestamptz,
	OUT earliest_lsn pg_lsn, OUT latest_lsn pg_lsn,
	OUT backups bigint, OUT first_backup text, OUT last_backup text)
RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'bkc_sql_recovery_windows'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_recovery_windows()
	IS 'what can be restored, asked from the repositories; see the view backup_recovery_window';

CREATE VIEW @extschema@.backup_recovery_window AS
SELECT w.repository, w.timeline, w.earliest_time, w.latest_time, w.earliest_lsn, w.latest_lsn,
	w.backups, w.first_backup, w.last_backup
FROM @extschema@.backup_recovery_windows() w;

COMMENT ON VIEW @extschema@.backup_recovery_window IS 'times that can be restored, for each repository and timeline; asks the repositories, which takes seconds; a gap in the WAL ends a window';

CREATE FUNCTION @extschema@.backup_take_over(repository text DEFAULT NULL)
RETURNS boolean
	AS 'MODULE_PATHNAME', 'bkc_sql_take_over'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_take_over(text)
	IS 'make this data directory the one that writes to a repository (default: to all); superuser only';

CREATE FUNCTION @extschema@.backup_wal_conflict_resolve(file text, reason text)
RETURNS integer
	AS 'MODULE_PATHNAME', 'bkc_sql_wal_conflict_resolve'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_wal_conflict_resolve(text, text)
	IS 'let this server''s content of a WAL file win where a repository holds another; returns in how many; superuser only';

-- ---------------------------------------------------------------------------
-- keys
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_rotate_key(
	new_key_file text,
	repository text DEFAULT NULL,
	remove_old boolean DEFAULT false)
RETURNS TABLE (repository text, key_id text, data_keys bigint, added bigint, removed bigint)
	AS 'MODULE_PATHNAME', 'bkc_sql_rotate_key'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_rotate_key(text, text, boolean)
	IS 'let a new key open everything that is sealed, proven for each data key; with remove_old the old keys do not any more; superuser only';

CREATE FUNCTION @extschema@.backup_shred_keys(label text, repository text, reason text)
RETURNS text
	AS 'MODULE_PATHNAME', 'bkc_sql_shred_keys'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_shred_keys(text, text, text)
	IS 'destroy the data key of a backup in one repository; returns what forbids it for now, an object lock; part of backup_shred(); superuser only';

CREATE FUNCTION @extschema@.backup_shred(id bigint, reason text)
RETURNS integer
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	backup @extschema@.backup_catalog;
	others text;
	place text;
	locked text;
	waiting jsonb := '{}';
	destroyed integer := 0;
BEGIN
	IF backup_shred.reason IS NULL OR pg_catalog.btrim(backup_shred.reason) = '' THEN
		RAISE EXCEPTION 'a reason must be given'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'It is kept in the repository and in the server''s log.';
	END IF;
	SELECT * INTO backup FROM @extschema@.backup_catalog c WHERE c.id = backup_shred.id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no backup %', backup_shred.id
			USING ERRCODE = 'undefined_object';
	END IF;
	IF backup.label IS NULL OR backup.status <> 'completed' OR backup.encryption_status = 'none' THEN
		RAISE EXCEPTION 'backup % has no key that could be destroyed', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = CASE WHEN backup.label IS NULL THEN 'It was made by another tool.'
								WHEN backup.status <> 'completed' THEN 'Its status is ' || backup.status || '.'
								ELSE 'It is not sealed.' END;
	END IF;
	IF backup.held THEN
		RAISE EXCEPTION 'backup % is held', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	SELECT pg_catalog.string_agg(c.label, ', ' ORDER BY c.label) INTO others
	FROM @extschema@.backup_catalog c
	WHERE c.parent_id = backup.id AND c.status IN ('running', 'completed')
		AND c.encryption_status <> 'shredded';
	IF others IS NOT NULL THEN
		RAISE EXCEPTION 'other backups depend on backup %', backup.id
			USING ERRCODE = 'dependent_objects_still_exist',
				  DETAIL = 'They are: ' || others || '.';
	END IF;

	FOR place IN
		SELECT c.repository FROM @extschema@.backup_copy c
		WHERE c.backup_id = backup.id AND c.status = 'completed' ORDER BY c.repository
	LOOP
		locked := @extschema@.backup_shred_keys(backup.label, place, backup_shred.reason);
		IF locked IS NULL THEN
			destroyed := destroyed + 1;
		ELSE
			waiting := waiting || pg_catalog.jsonb_build_object(place, locked);
		END IF;
	END LOOP;
	IF destroyed = 0 AND waiting = '{}' THEN
		RAISE EXCEPTION 'no repository is known to hold backup %', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	-- no error: what is noted here must stay
	IF waiting <> '{}' THEN
		UPDATE @extschema@.backup_catalog c
		SET metadata = c.metadata || pg_catalog.jsonb_build_object('shred_pending',
				pg_catalog.jsonb_build_object('at', pg_catalog.clock_timestamp(), 'by', CURRENT_USER,
											  'reason', backup_shred.reason, 'locked', waiting))
		WHERE c.id = backup.id;
		RAISE WARNING 'backup % is not shredded yet, because a lock forbids it', backup.id
			USING DETAIL = (SELECT pg_catalog.string_agg('Repository "' || w.key || '": ' || w.value || '.', ' ' ORDER BY w.key)
							FROM pg_catalog.jsonb_each_text(waiting) w),
				  HINT = 'It can still be restored. Call the function again after that time.';
		RETURN destroyed;
	END IF;
	UPDATE @extschema@.backup_catalog c
	SET encryption_status = 'shredded', encryption_key_id = NULL,
		metadata = (c.metadata - 'shred_pending') || pg_catalog.jsonb_build_object('shredded',
			pg_catalog.jsonb_build_object('at', pg_catalog.clock_timestamp(),
										  'by', CURRENT_USER, 'reason', backup_shred.reason))
	WHERE c.id = backup.id;

	-- whoever restores one of them gets the same rows, as of its time
	SELECT pg_catalog.string_agg(label, ', ' ORDER BY label) INTO others
	FROM (SELECT c.label FROM @extschema@.backup_catalog c
		  WHERE c.status = 'completed' AND c.label IS NOT NULL AND c.encryption_status <> 'shredded'
		  ORDER BY pg_catalog.abs(EXTRACT(epoch FROM c.finished_at - backup.finished_at)) LIMIT 10) o;
	IF others IS NOT NULL THEN
		RAISE NOTICE 'other backups hold the same data as of their times'
			USING DETAIL = 'The nearest are: ' || others || '. With WAL those before it lead to the time of this one, too.';
	END IF;
	RETURN destroyed;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_shred(bigint, text)
	IS 'destroy the keys of a sealed backup, so that nobody can ever read it; returns in how many repositories; superuser only';

-- ---------------------------------------------------------------------------
-- events
-- ---------------------------------------------------------------------------

-- Who did what, when, from where, and how it ended.  Rows are added, never changed.
CREATE TABLE @extschema@.backup_event (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	kind text NOT NULL,
	severity text NOT NULL DEFAULT 'info' CHECK (severity IN ('info', 'warning', 'critical')),
	result text NOT NULL DEFAULT 'ok' CHECK (result IN ('ok', 'failed', 'cancelled')),
	actor text NOT NULL DEFAULT SESSION_USER,
	client text,
	repository text,
	backup_id bigint,
	label text,
	schedule text,
	message text NOT NULL,
	detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON @extschema@.backup_event (at);

COMMENT ON TABLE @extschema@.backup_event IS 'who did what, when, from where, and how it ended; rows are only ever added, until expiry';
COMMENT ON COLUMN @extschema@.backup_event.kind IS 'backup, verify, expire, wal-check, schedule, policy, hold, release, key, shred, sync, adopt, take-over, notify';
COMMENT ON COLUMN @extschema@.backup_event.actor IS 'role that was logged in, or "schedule" or "server"';
COMMENT ON COLUMN @extschema@.backup_event.client IS 'application and address of the session';

-- Called by the functions below with their owner's rights.
CREATE FUNCTION @extschema@.backup_event_add(
	kind text,
	message text,
	repository text DEFAULT NULL,
	backup_id bigint DEFAULT NULL,
	label text DEFAULT NULL,
	schedule text DEFAULT NULL,
	severity text DEFAULT 'info',
	result text DEFAULT 'ok',
	detail jsonb DEFAULT '{}')
RETURNS bigint
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO @extschema@.backup_event
		(kind, message, repository, backup_id, label, schedule, severity, result, detail, client)
	SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
		pg_catalog.concat_ws(' from ', NULLIF(pg_catalog.current_setting('application_name'), ''),
							 COALESCE(pg_catalog.host(pg_catalog.inet_client_addr()), 'local'))
	RETURNING id
$$;

COMMENT ON FUNCTION @extschema@.backup_event_add(text, text, text, bigint, text, text, text, text, jsonb)
	IS 'add a row to backup_event; for the functions of this extension';

-- ---------------------------------------------------------------------------
-- holds, and the catalog as the repositories have it
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_hold_put(
	label text, repository text, held boolean, at timestamptz, reason text, by text)
RETURNS boolean
	AS 'MODULE_PATHNAME', 'bkc_sql_hold_put'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_hold_put(text, text, boolean, timestamptz, text, text)
	IS 'note a hold or its end in one repository; false when the repository has no legal holds of its own; part of backup_hold()';

CREATE FUNCTION @extschema@.backup_hold_change(id bigint, held boolean, reason text)
RETURNS integer
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	backup @extschema@.backup_catalog;
	at timestamptz;
	place text;
	places integer := 0;
	without text[] := '{}';
BEGIN
	SELECT * INTO backup FROM @extschema@.backup_catalog c WHERE c.id = backup_hold_change.id FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no backup %', backup_hold_change.id
			USING ERRCODE = 'undefined_object';
	END IF;
	IF backup.label IS NULL THEN
		RAISE EXCEPTION 'backup % was made by another tool', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Only backups in a repository can be held.';
	END IF;
	IF backup_hold_change.held AND backup.status <> 'completed' THEN
		RAISE EXCEPTION 'backup % cannot be held', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = 'Its status is ' || backup.status || '.';
	END IF;
	IF NOT backup_hold_change.held AND NOT backup.held THEN
		RAISE EXCEPTION 'backup % is not held', backup.id
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	at := pg_catalog.clock_timestamp();
	FOR place IN
		SELECT c.repository FROM @extschema@.backup_copy c
		WHERE c.backup_id = backup.id AND c.status IN ('completed', 'expiring') ORDER BY c.repository
	LOOP
		IF NOT @extschema@.backup_hold_put(backup.label, place, backup_hold_change.held, at,
										   COALESCE(backup_hold_change.reason, ''), SESSION_USER::text) THEN
			without := without || place;
		END IF;
		places := places + 1;
	END LOOP;

	-- an expiry was interrupted before it had begun to remove that one
	UPDATE @extschema@.backup_copy c SET status = 'completed'
	WHERE c.backup_id = backup.id AND c.status = 'expiring';
	UPDATE @extschema@.backup_catalog c
	SET held = backup_hold_change.held,
		metadata = c.metadata - ARRAY['hold_reason', 'hold_by']
			|| pg_catalog.jsonb_build_object('hold_at',
				pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
			|| CASE WHEN backup_hold_change.held THEN
				pg_catalog.jsonb_build_object('hold_reason', backup_hold_change.reason, 'hold_by', SESSION_USER)
				ELSE '{}' END
	WHERE c.id = backup.id;
	PERFORM @extschema@.backup_event_add(CASE WHEN backup_hold_change.held THEN 'hold' ELSE 'release' END,
		pg_catalog.format('backup %s %s%s', backup.label,
						  CASE WHEN backup_hold_change.held THEN 'is held' ELSE 'is not held any more' END,
						  COALESCE(': ' || NULLIF(backup_hold_change.reason, ''), '')),
		backup.repository, backup.id, backup.label,
		detail => pg_catalog.jsonb_build_object('reason', backup_hold_change.reason, 'repositories', places));
	IF backup_hold_change.held AND without <> '{}' THEN
		RAISE NOTICE 'repository % has no legal holds of its own', pg_catalog.array_to_string(without, ', ')
			USING DETAIL = 'Retention of pg_backupctl keeps the backup; other programs could remove it.';
	END IF;
	RETURN places;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_hold_change(bigint, boolean, text)
	IS 'hold or release a backup; part of backup_hold() and backup_release()';

CREATE FUNCTION @extschema@.backup_hold(id bigint, reason text)
RETURNS integer
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF backup_hold.reason IS NULL OR pg_catalog.btrim(backup_hold.reason) = '' THEN
		RAISE EXCEPTION 'a reason must be given'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'It is kept in the repository, and retention shows it.';
	END IF;
	RETURN @extschema@.backup_hold_change(backup_hold.id, true, backup_hold.reason);
END
$$;

COMMENT ON FUNCTION @extschema@.backup_hold(bigint, text)
	IS 'keep a backup whatever retention says, until it is released; returns in how many repositories';

CREATE FUNCTION @extschema@.backup_release(id bigint, reason text DEFAULT NULL)
RETURNS integer
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.backup_hold_change(backup_release.id, false, backup_release.reason);
END
$$;

COMMENT ON FUNCTION @extschema@.backup_release(bigint, text)
	IS 'end a hold; returns in how many repositories';

CREATE FUNCTION @extschema@.backup_catalog_sync(repository text DEFAULT NULL)
RETURNS TABLE (repository text, added bigint, updated bigint, missing bigint, foreign_clusters bigint)
	AS 'MODULE_PATHNAME', 'bkc_sql_catalog_sync'
	LANGUAGE C VOLATILE SECURITY DEFINER PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_catalog_sync(text)
	IS 'bring the catalog in line with the repositories (default: with all); no row is removed';

-- ---------------------------------------------------------------------------
-- schedules
-- ---------------------------------------------------------------------------

CREATE TABLE @extschema@.backup_schedule_entry (
	name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$'),
	cron text NOT NULL,
	type text NOT NULL DEFAULT 'full' CHECK (type IN ('full', 'expire', 'verify', 'wal-check')),
	repository text,
	tier text,
	retention interval CHECK (retention > interval '0'),
	storage_class text,
	options jsonb NOT NULL DEFAULT '{}',
	time_zone text NOT NULL,
	enabled boolean NOT NULL DEFAULT true,
	catch_up interval NOT NULL DEFAULT interval '1 day' CHECK (catch_up >= interval '0'),
	jitter interval NOT NULL DEFAULT interval '0' CHECK (jitter >= interval '0'),
	when_busy text NOT NULL DEFAULT 'wait' CHECK (when_busy IN ('wait', 'skip')),
	retries integer NOT NULL DEFAULT 3 CHECK (retries BETWEEN 0 AND 100),
	created_by text NOT NULL DEFAULT SESSION_USER,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),

	-- what it has done; written by the server
	next_run timestamptz,
	starts_at timestamptz,
	last_run timestamptz,
	last_started timestamptz,
	last_finished timestamptz,
	last_result text CHECK (last_result IN ('running', 'completed', 'failed', 'cancelled', 'skipped', 'missed', 'waiting')),
	last_error text,
	last_id bigint,
	consecutive_failures integer NOT NULL DEFAULT 0,
	attempts integer NOT NULL DEFAULT 0,
	retry_at timestamptz
);

-- Their rows are the user's work and belong into a dump.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_schedule_entry', '');

COMMENT ON TABLE @extschema@.backup_schedule_entry IS 'schedules; see schedule_backup() and the view backup_schedule';

CREATE FUNCTION @extschema@.backup_schedule_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'bkc_sql_schedule_changed'
	LANGUAGE C;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON @extschema@.backup_schedule_entry
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.backup_schedule_changed();

CREATE FUNCTION @extschema@.backup_cron_next(
	cron text,
	count integer DEFAULT 1,
	after timestamptz DEFAULT NULL,
	time_zone text DEFAULT NULL)
RETURNS SETOF timestamptz
	AS 'MODULE_PATHNAME', 'bkc_sql_cron_next'
	LANGUAGE C STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_cron_next(text, integer, timestamptz, text)
	IS 'the next times at which a cron expression is due (default: after now, in the session''s time zone)';

CREATE FUNCTION @extschema@.schedule_backup(
	name text,
	cron text,
	type text DEFAULT 'full',
	repository text DEFAULT NULL,
	tier text DEFAULT NULL,
	retention interval DEFAULT NULL,
	storage_class text DEFAULT NULL,
	options jsonb DEFAULT '{}',
	time_zone text DEFAULT NULL,
	enabled boolean DEFAULT true,
	catch_up interval DEFAULT '1 day',
	jitter interval DEFAULT '0',
	when_busy text DEFAULT 'wait',
	retries integer DEFAULT 3)
RETURNS timestamptz
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	zone text := COALESCE(schedule_backup.time_zone, pg_catalog.current_setting('TimeZone'));
	first timestamptz;
BEGIN
	IF schedule_backup.name IS NULL OR schedule_backup.name !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$' THEN
		RAISE EXCEPTION 'schedule name "%" is not valid', schedule_backup.name
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use at most 63 letters, digits, "_", "." and "-", as in nightly or weekly-full.';
	END IF;

	-- raises what is wrong with them
	SELECT n INTO first FROM @extschema@.backup_cron_next(schedule_backup.cron, 1, NULL, zone) n;
	PERFORM @extschema@.backup_job_check(COALESCE(schedule_backup.type, 'full'),
		schedule_backup.repository, schedule_backup.tier, schedule_backup.storage_class,
		COALESCE(schedule_backup.options, '{}'));
	INSERT INTO @extschema@.backup_schedule_entry AS e (name, cron, type, repository, tier, retention,
		storage_class, options, time_zone, enabled, catch_up, jitter, when_busy, retries)
	VALUES (schedule_backup.name, schedule_backup.cron, COALESCE(schedule_backup.type, 'full'),
		schedule_backup.repository, schedule_backup.tier, schedule_backup.retention,
		schedule_backup.storage_class, COALESCE(schedule_backup.options, '{}'), zone, COALESCE(schedule_backup.enabled, true),
		COALESCE(schedule_backup.catch_up, interval '1 day'),
		COALESCE(schedule_backup.jitter, interval '0'),
		COALESCE(schedule_backup.when_busy, 'wait'), COALESCE(schedule_backup.retries, 3))
	ON CONFLICT (name) DO UPDATE SET cron = EXCLUDED.cron, type = EXCLUDED.type,
		repository = EXCLUDED.repository, tier = EXCLUDED.tier, retention = EXCLUDED.retention,
		storage_class = EXCLUDED.storage_class, options = EXCLUDED.options, time_zone = EXCLUDED.time_zone, enabled = EXCLUDED.enabled,
		catch_up = EXCLUDED.catch_up, jitter = EXCLUDED.jitter, when_busy = EXCLUDED.when_busy,
		retries = EXCLUDED.retries, next_run = NULL, starts_at = NULL, retry_at = NULL, attempts = 0;
	PERFORM @extschema@.backup_event_add('schedule',
		pg_catalog.format('schedule %s set: %s, type %s', schedule_backup.name, schedule_backup.cron,
						  COALESCE(schedule_backup.type, 'full')),
		schedule_backup.repository, schedule => schedule_backup.name,
		detail => (SELECT pg_catalog.to_jsonb(e) - ARRAY['next_run', 'starts_at', 'last_run', 'last_started',
						'last_finished', 'last_result', 'last_error', 'last_id', 'consecutive_failures',
						'attempts', 'retry_at']
				   FROM @extschema@.backup_schedule_entry e WHERE e.name = schedule_backup.name));
	RETURN first;
END
$$;

COMMENT ON FUNCTION @extschema@.schedule_backup(text, text, text, text, text, interval, text, jsonb, text, boolean, interval, interval, text, integer)
	IS 'make or replace a schedule; returns when it runs first';

CREATE FUNCTION @extschema@.unschedule_backup(name text)
RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM @extschema@.backup_schedule_entry e WHERE e.name = unschedule_backup.name;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM @extschema@.backup_event_add('schedule',
		pg_catalog.format('schedule %s removed', unschedule_backup.name),
		schedule => unschedule_backup.name);
	RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.unschedule_backup(text)
	IS 'remove a schedule; false when there is none of that name; what is running goes on';

CREATE FUNCTION @extschema@.backup_job_check(type text, repository text, tier text, storage_class text,
	options jsonb)
RETURNS void
	AS 'MODULE_PATHNAME', 'bkc_sql_job_check'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_job_check(text, text, text, text, jsonb)
	IS 'raise what is wrong with the arguments of a job; part of schedule_backup()';

CREATE VIEW @extschema@.backup_schedule AS
SELECT e.name, e.cron, e.time_zone, e.type, e.repository,
	CASE WHEN e.last_result = 'running' THEN 'running'
		WHEN pg_catalog.pg_is_in_recovery() THEN 'waiting: this server is a standby'
		WHEN pg_catalog.current_setting('pg_backupctl.enabled') = 'off'
		THEN 'waiting: pg_backupctl.enabled is off'
		WHEN NOT e.enabled THEN 'disabled'
		WHEN e.retry_at IS NOT NULL THEN 'failed, to be tried again'
		WHEN COALESCE(e.starts_at, e.next_run) <= pg_catalog.clock_timestamp() THEN 'due'
		ELSE 'planned' END AS state,
	e.next_run, e.last_run, e.last_result,
	pg_catalog.date_trunc('second', e.last_finished - e.last_started) AS last_duration,
	e.consecutive_failures, e.last_error, e.retry_at, e.last_id, e.tier, e.retention, e.storage_class, e.options,
	e.enabled, e.catch_up, e.jitter, e.when_busy, e.retries, e.starts_at, e.last_started, e.last_finished,
	e.created_by, e.created_at
FROM @extschema@.backup_schedule_entry e;

COMMENT ON VIEW @extschema@.backup_schedule IS 'schedules, when they run next and how they ran last';
COMMENT ON COLUMN @extschema@.backup_schedule.next_run IS 'the time of the cron expression; starts_at adds the jitter';
COMMENT ON COLUMN @extschema@.backup_schedule.last_run IS 'the time of the cron expression for which it ran last; last_started says when';

-- ---------------------------------------------------------------------------
-- retention
-- ---------------------------------------------------------------------------

CREATE TABLE @extschema@.backup_policy (
	repository text PRIMARY KEY,
	keep_last integer NOT NULL DEFAULT 0 CHECK (keep_last BETWEEN 0 AND 100000),
	keep_daily integer NOT NULL DEFAULT 0 CHECK (keep_daily BETWEEN 0 AND 100000),
	keep_weekly integer NOT NULL DEFAULT 0 CHECK (keep_weekly BETWEEN 0 AND 100000),
	keep_monthly integer NOT NULL DEFAULT 0 CHECK (keep_monthly BETWEEN 0 AND 100000),
	keep_yearly integer NOT NULL DEFAULT 0 CHECK (keep_yearly BETWEEN 0 AND 100000),
	keep_within interval CHECK (keep_within > interval '0'),
	min_full integer NOT NULL DEFAULT 1 CHECK (min_full BETWEEN 1 AND 100000),
	pitr_window interval CHECK (pitr_window >= interval '0'),
	time_zone text NOT NULL,
	set_by text NOT NULL DEFAULT SESSION_USER,
	set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_policy', '');

COMMENT ON TABLE @extschema@.backup_policy IS 'what retention keeps, by repository; * is for those without a row of their own; see backup_set_policy()';
COMMENT ON COLUMN @extschema@.backup_policy.keep_daily IS 'so many days that have a good backup, of each the newest one; likewise the others';
COMMENT ON COLUMN @extschema@.backup_policy.min_full IS 'so many of the newest good full backups stay whatever else is said';
COMMENT ON COLUMN @extschema@.backup_policy.pitr_window IS 'every point of that time until now can be restored; null: WAL stays from the oldest kept backup on';
COMMENT ON COLUMN @extschema@.backup_policy.time_zone IS 'in which days, weeks, months and years begin';

CREATE FUNCTION @extschema@.backup_set_policy(
	plan text DEFAULT NULL,
	keep_last integer DEFAULT NULL,
	keep_daily integer DEFAULT NULL,
	keep_weekly integer DEFAULT NULL,
	keep_monthly integer DEFAULT NULL,
	keep_yearly integer DEFAULT NULL,
	keep_within interval DEFAULT NULL,
	min_full integer DEFAULT NULL,
	pitr_window interval DEFAULT NULL,
	repository text DEFAULT NULL,
	time_zone text DEFAULT NULL)
RETURNS @extschema@.backup_policy
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	p @extschema@.backup_policy;
BEGIN
	IF backup_set_policy.plan IS NOT NULL AND backup_set_policy.plan NOT IN ('classic', 'none') THEN
		RAISE EXCEPTION 'retention plan "%" is not known', backup_set_policy.plan
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Plans are: classic (7 daily, 4 weekly, 12 monthly, 7 yearly), none (everything stays). Or name the rules: keep_daily => 14.';
	END IF;
	IF backup_set_policy.repository IS NOT NULL THEN
		PERFORM @extschema@.backup_job_check('expire', backup_set_policy.repository, NULL, NULL, '{}');
	END IF;
	p.repository := COALESCE(backup_set_policy.repository, '*');
	p.keep_last := COALESCE(backup_set_policy.keep_last, 0);
	p.keep_daily := COALESCE(backup_set_policy.keep_daily, CASE WHEN backup_set_policy.plan = 'classic' THEN 7 ELSE 0 END);
	p.keep_weekly := COALESCE(backup_set_policy.keep_weekly, CASE WHEN backup_set_policy.plan = 'classic' THEN 4 ELSE 0 END);
	p.keep_monthly := COALESCE(backup_set_policy.keep_monthly, CASE WHEN backup_set_policy.plan = 'classic' THEN 12 ELSE 0 END);
	p.keep_yearly := COALESCE(backup_set_policy.keep_yearly, CASE WHEN backup_set_policy.plan = 'classic' THEN 7 ELSE 0 END);
	p.keep_within := backup_set_policy.keep_within;
	p.min_full := COALESCE(backup_set_policy.min_full, 1);
	p.pitr_window := backup_set_policy.pitr_window;
	p.time_zone := COALESCE(backup_set_policy.time_zone, pg_catalog.current_setting('TimeZone'));
	p.set_by := SESSION_USER;
	p.set_at := pg_catalog.clock_timestamp();
	PERFORM pg_catalog.clock_timestamp() AT TIME ZONE p.time_zone;
	DELETE FROM @extschema@.backup_policy d WHERE d.repository = p.repository;
	INSERT INTO @extschema@.backup_policy SELECT p.*;
	PERFORM @extschema@.backup_event_add('policy',
		'retention of ' || CASE p.repository WHEN '*' THEN 'all repositories' ELSE p.repository END || ' set',
		NULLIF(p.repository, '*'), detail => pg_catalog.to_jsonb(p));
	RETURN p;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_set_policy(text, integer, integer, integer, integer, integer, interval, integer, interval, text, text)
	IS 'say what retention keeps in one repository (default: in all that have no policy of their own)';

-- SECURITY DEFINER, so that a role can be allowed to run retention without rights on the tables.
CREATE FUNCTION @extschema@.backup_expire(
	dry_run boolean DEFAULT true,
	repository text DEFAULT NULL)
RETURNS TABLE (repository text, kind text, name text, action text, reason text, id bigint, bytes bigint)
	AS 'MODULE_PATHNAME', 'bkc_sql_expire'
	LANGUAGE C VOLATILE SECURITY DEFINER PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_expire(boolean, text)
	IS 'what retention keeps and removes, with the reasons; with dry_run => false it removes';

CREATE FUNCTION @extschema@.backup_clock_is_right()
RETURNS boolean
	AS 'MODULE_PATHNAME', 'bkc_sql_clock_is_right'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_clock_is_right()
	IS 'let retention work again after the clock has jumped; false when it had not';

-- ---------------------------------------------------------------------------
-- the set-up
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_check(
	repository text DEFAULT NULL)
RETURNS TABLE (repository text, check_name text, status text, finding text, advice text)
	AS 'MODULE_PATHNAME', 'bkc_sql_check'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_check(text)
	IS 'try the whole set-up (default: with all repositories) and explain each finding: ok, warning or failed';

-- ---------------------------------------------------------------------------
-- rights: nothing for PUBLIC, reading for pg_monitor
-- ---------------------------------------------------------------------------

REVOKE ALL ON TABLE @extschema@.backup_catalog, @extschema@.backup_copy,
	@extschema@.backup_progress, @extschema@.backup_archiver,
	@extschema@.backup_recovery_window, @extschema@.backup_event,
	@extschema@.backup_schedule_entry, @extschema@.backup_schedule,
	@extschema@.backup_policy FROM PUBLIC;
REVOKE ALL ON FUNCTION
	@extschema@.backup_now(text, text, boolean, text, interval, jsonb),
	@extschema@.backup_cancel(bigint),
	@extschema@.backup_verify(bigint, text),
	@extschema@.register_backup(text, text, bigint, jsonb),
	@extschema@.update_backup_verification(bigint, text, boolean),
	@extschema@.backup_jobs(),
	@extschema@.backup_archiver_state(),
	@extschema@.backup_recovery_windows(),
	@extschema@.backup_take_over(text),
	@extschema@.backup_wal_conflict_resolve(text, text),
	@extschema@.backup_rotate_key(text, text, boolean),
	@extschema@.backup_shred_keys(text, text, text),
	@extschema@.backup_shred(bigint, text),
	@extschema@.backup_check(text),
	@extschema@.backup_event_add(text, text, text, bigint, text, text, text, text, jsonb),
	@extschema@.backup_hold_put(text, text, boolean, timestamptz, text, text),
	@extschema@.backup_hold_change(bigint, boolean, text),
	@extschema@.backup_hold(bigint, text),
	@extschema@.backup_release(bigint, text),
	@extschema@.backup_catalog_sync(text),
	@extschema@.backup_schedule_changed(),
	@extschema@.backup_cron_next(text, integer, timestamptz, text),
	@extschema@.schedule_backup(text, text, text, text, text, interval, text, jsonb, text, boolean, interval, interval, text, integer),
	@extschema@.unschedule_backup(text),
	@extschema@.backup_job_check(text, text, text, text, jsonb),
	@extschema@.backup_set_policy(text, integer, integer, integer, integer, integer, interval, integer, interval, text, text),
	@extschema@.backup_expire(boolean, text),
	@extschema@.backup_clock_is_right()
	FROM PUBLIC;
REVOKE ALL ON PROCEDURE
	@extschema@.backup_run(text, text, boolean, text, interval, jsonb, bigint) FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.backup_catalog, @extschema@.backup_copy,
	@extschema@.backup_progress, @extschema@.backup_archiver,
	@extschema@.backup_recovery_window, @extschema@.backup_event,
	@extschema@.backup_schedule, @extschema@.backup_policy TO pg_monitor;
GRANT EXECUTE ON FUNCTION @extschema@.backup_jobs(),
	@extschema@.backup_archiver_state(),
	@extschema@.backup_recovery_windows(),
	@extschema@.backup_cron_next(text, integer, timestamptz, text) TO pg_monitor;
