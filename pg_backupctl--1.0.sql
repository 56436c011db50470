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
	PERFORM @extschema@.backup_event_add('register',
		pg_catalog.format('%s backup %s', p_backup_type, p_backup_location), backup_id => new_id);
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
	PERFORM @extschema@.backup_event_add('verify',
		pg_catalog.format('registered backup: %s%s', p_verification_status,
						  CASE WHEN p_restoration_tested THEN ', restored' END), backup_id => p_backup_id,
		severity => CASE WHEN p_verification_status = 'failed' THEN 'critical' ELSE 'info' END,
		result => CASE WHEN p_verification_status = 'failed' THEN 'failed' ELSE 'ok' END);
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

CREATE FUNCTION @extschema@.backup_job_counts(OUT job text, OUT result text, OUT jobs bigint)
RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'bkc_sql_job_counts'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_job_counts()
	IS 'how many jobs have ended since the start of the server, by kind and result; those that the server does by itself, too';

CREATE VIEW @extschema@.backup_progress AS
SELECT j.id, j.job, j.repository, j.phase,
	CASE WHEN j.bytes_total > 0
		THEN LEAST(100, pg_catalog.round(j.bytes_done * 100.0 / j.bytes_total, 1)) END AS percent,
	pg_catalog.pg_size_pretty(j.bytes_done) AS done,
	pg_catalog.pg_size_pretty(j.bytes_total) AS total,
	pg_catalog.pg_size_pretty((j.bytes_done / r.seconds)::bigint) || '/s' AS rate,
	CASE WHEN j.bytes_done > 0 AND j.bytes_total > 0 THEN
		pg_catalog.make_interval(secs => pg_catalog.round(
			(GREATEST(j.bytes_total - j.bytes_done, 0) * r.seconds / j.bytes_done)::numeric)::float8)
	END AS time_left,
	pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - j.started) AS elapsed,
	j.workers, j.label, j.files_done, j.files_total, j.pid, j.started, j.bytes_done, j.bytes_total, j.bytes_stored,
	(j.bytes_done / r.seconds)::bigint AS bytes_per_second
FROM @extschema@.backup_jobs() j,
	LATERAL (SELECT GREATEST(EXTRACT(epoch FROM pg_catalog.clock_timestamp()
									 - COALESCE(j.copy_started, j.started))::float8, 0.001) AS seconds) r
WHERE j.job NOT IN ('settle', 'schedule', 'notify');

COMMENT ON VIEW @extschema@.backup_progress IS 'running jobs; what the server does by itself in between is shown by backup_jobs() only';

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

CREATE FUNCTION @extschema@.backup_repository_state(
	OUT repository text, OUT answered_at timestamptz, OUT failed_at timestamptz,
	OUT failing_since timestamptz, OUT error text,
	OUT key_failed_at timestamptz, OUT key_error text,
	OUT clock_ahead interval, OUT certificate_until timestamptz,
	OUT credentials_until timestamptz)
RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'bkc_sql_repository_state'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_repository_state()
	IS 'what was last seen of each repository, by whoever has asked it since the server''s start; part of backup_health';

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

CREATE FUNCTION @extschema@.backup_shred_keys(label text, repository text, reason text, system_identifier bigint)
RETURNS text
	AS 'MODULE_PATHNAME', 'bkc_sql_shred_keys'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_shred_keys(text, text, text, bigint)
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
		locked := @extschema@.backup_shred_keys(backup.label, place, backup_shred.reason,
			COALESCE(backup.system_identifier, (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)));
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
		PERFORM @extschema@.backup_event_add('shred',
			pg_catalog.format('backup %s is to be shredded, and locked: %s', backup.label, backup_shred.reason),
			backup.repository, backup.id, backup.label, severity => 'warning', result => 'failed', detail => waiting);
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
	PERFORM @extschema@.backup_event_add('shred',
		pg_catalog.format('backup %s is shredded: %s', backup.label, backup_shred.reason),
		backup.repository, backup.id, backup.label);

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
CREATE INDEX ON @extschema@.backup_event (kind, id);

COMMENT ON TABLE @extschema@.backup_event IS 'who did what, when, from where, and how it ended; rows are only added, and removed after pg_backupctl.event_retention';
COMMENT ON COLUMN @extschema@.backup_event.kind IS 'backup, verify, register, expire, wal-check, schedule, policy, hold, release, key, shred, sync, adopt, take-over, wal-conflict, clock, setting, health, notify';
COMMENT ON COLUMN @extschema@.backup_event.actor IS 'role that was logged in, or "schedule" or "server"';
COMMENT ON COLUMN @extschema@.backup_event.client IS 'application and address of the session';

CREATE FUNCTION @extschema@.backup_event_added() RETURNS trigger
	AS 'MODULE_PATHNAME', 'bkc_sql_event_added'
	LANGUAGE C;
CREATE TRIGGER added AFTER INSERT ON @extschema@.backup_event
	FOR EACH ROW EXECUTE FUNCTION @extschema@.backup_event_added();

COMMENT ON FUNCTION @extschema@.backup_event_added()
	IS 'NOTIFY pg_backupctl and a look at the targets; trigger of backup_event';

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

-- What is different from the last event of this kind: settings, and the data directory.
CREATE FUNCTION @extschema@.backup_setting_changes(
	data_directory text, timeline bigint,
	OUT kind text, OUT severity text, OUT message text, OUT detail jsonb)
RETURNS SETOF record
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	WITH now AS (
		-- commands may have secrets in them, and events go out: whether they have changed is enough
		SELECT pg_catalog.jsonb_object_agg(s.name, CASE
			WHEN s.setting <> '' AND s.name IN ('pg_backupctl.encryption_key_command', 'archive_command')
			THEN 'SHA-256 ' || "left"(encode(sha256(convert_to(s.setting, getdatabaseencoding())), 'hex'), 16)
			ELSE s.setting END) AS settings FROM pg_catalog.pg_settings s
		WHERE (pg_catalog.starts_with(s.name, 'pg_backupctl.')
				AND s.name NOT IN ('pg_backupctl.fault', 'pg_backupctl.test_clock'))
			OR s.name IN ('archive_mode', 'archive_library', 'archive_command', 'wal_level')
	), last AS (
		SELECT e.detail FROM @extschema@.backup_event e WHERE e.kind = 'setting' ORDER BY e.id DESC LIMIT 1
	), changed AS (
		SELECT COALESCE(n.key, o.key) AS name, o.value AS old, n.value AS new
		FROM (SELECT v.* FROM now, pg_catalog.jsonb_each_text(now.settings) v) n
		FULL JOIN (SELECT v.* FROM last, pg_catalog.jsonb_each_text(last.detail -> 'settings') v) o
			ON o.key = n.key
		WHERE n.value IS DISTINCT FROM o.value
	), found AS (
		SELECT NOT EXISTS (SELECT FROM last) AS is_first,
			EXISTS (SELECT FROM last WHERE last.detail ->> 'data_directory' <> $1) AS has_moved,
			EXISTS (SELECT FROM changed c
				WHERE (c.name = 'pg_backupctl.enabled' AND c.new = 'off')
					OR (c.name = 'archive_library' AND c.old = 'pg_backupctl')) AS is_off,
			(SELECT pg_catalog.string_agg(pg_catalog.format('%s was "%s", is "%s"', c.name, c.old, c.new), '; '
				ORDER BY c.name) FROM changed c) AS changes
	)
	SELECT 'setting', CASE WHEN NOT f.is_first AND (f.is_off OR f.has_moved) THEN 'warning' ELSE 'info' END,
		CASE WHEN f.is_first THEN 'first look at the settings'
			ELSE pg_catalog.concat_ws('; ',
				CASE WHEN f.has_moved THEN 'another data directory than before: it was restored, copied, or is a promoted standby; its timeline is ' || $2 END,
				f.changes) END,
		pg_catalog.jsonb_build_object('settings', now.settings, 'data_directory', $1, 'timeline', $2)
	FROM found f, now
	WHERE f.is_first OR f.has_moved OR f.changes IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.backup_setting_changes(text, bigint)
	IS 'the next event of kind "setting", if something changed; for the scheduler';

-- ---------------------------------------------------------------------------
-- holds, and the catalog as the repositories have it
-- ---------------------------------------------------------------------------

CREATE FUNCTION @extschema@.backup_hold_put(
	label text, repository text, held boolean, at timestamptz, reason text, by text, system_identifier bigint)
RETURNS boolean
	AS 'MODULE_PATHNAME', 'bkc_sql_hold_put'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_hold_put(text, text, boolean, timestamptz, text, text, bigint)
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
										   COALESCE(backup_hold_change.reason, ''), SESSION_USER::text,
										   COALESCE(backup.system_identifier,
													(SELECT s.system_identifier FROM pg_catalog.pg_control_system() s))) THEN
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

CREATE FUNCTION @extschema@.backup_adopt_claim(system_identifier bigint, repository text, force boolean)
RETURNS TABLE (repository text, adopted boolean)
	AS 'MODULE_PATHNAME', 'bkc_sql_adopt_claim'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_adopt_claim(bigint, text, boolean)
	IS 'claim a predecessor; adopted is false where that was done before; part of backup_adopt(); superuser only';

CREATE FUNCTION @extschema@.backup_adopt(
	system_identifier bigint,
	repository text DEFAULT NULL,
	force boolean DEFAULT false)
RETURNS integer
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	place record;
	places integer := 0;
BEGIN
	FOR place IN
		SELECT a.repository, a.adopted
		FROM @extschema@.backup_adopt_claim(backup_adopt.system_identifier, backup_adopt.repository, backup_adopt.force) a
	LOOP
		places := places + 1;
		PERFORM @extschema@.backup_event_add('adopt',
			pg_catalog.format('cluster %s is %s', backup_adopt.system_identifier,
				CASE WHEN place.adopted THEN 'a predecessor of this one from now on'
					 ELSE 'a predecessor of this one already' END),
			place.repository,
			detail => pg_catalog.jsonb_build_object('system_identifier', backup_adopt.system_identifier::text,
				'force', COALESCE(backup_adopt.force, false)));

		-- what stands in the repository stays, so its event must, too
		BEGIN
			PERFORM * FROM @extschema@.backup_catalog_sync(place.repository);
		EXCEPTION WHEN OTHERS THEN
			RAISE WARNING 'the backups of cluster % are not in the catalog yet: %', backup_adopt.system_identifier, SQLERRM
				USING HINT = 'SELECT * FROM backup_catalog_sync() takes them over.  Until then retention removes nothing.';
		END;
	END LOOP;
	RETURN places;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_adopt(bigint, text, boolean)
	IS 'name a predecessor, the cluster before pg_upgrade, whose backups then fall under retention; returns in how many repositories; superuser only';

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
COMMENT ON FUNCTION @extschema@.backup_schedule_changed()
	IS 'trigger of backup_schedule_entry: the server looks anew what is due';
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
	IF schedule_backup.type = 'expire' AND NOT pg_catalog.has_function_privilege(SESSION_USER,
			'@extschema@.backup_expire(boolean, text)', 'EXECUTE') THEN
		RAISE EXCEPTION 'permission denied to schedule expiry'
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'It needs the right to execute backup_expire().';
	END IF;
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
		retries = EXCLUDED.retries, next_run = NULL, starts_at = NULL, retry_at = NULL, attempts = 0,
		created_by = SESSION_USER;
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
SELECT e.name, e.cron, e.type,
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
	e.consecutive_failures, e.last_error, e.retry_at, e.last_id, e.time_zone, e.repository, e.tier, e.retention, e.storage_class, e.options,
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
-- alarms
-- ---------------------------------------------------------------------------

-- Where events go.  For superusers only: who names a file or a URL could
-- otherwise read the one and reach the other.
CREATE TABLE @extschema@.backup_target (
	name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$'),
	kind text NOT NULL CHECK (kind IN ('webhook', 'slack', 'email', 'cloudwatch')),
	url text,
	secret_file text,
	settings jsonb NOT NULL DEFAULT '{}' CHECK (pg_catalog.jsonb_typeof(settings) = 'object'),
	min_severity text NOT NULL DEFAULT 'warning' CHECK (min_severity IN ('info', 'warning', 'critical')),
	kinds text[],
	repeat_interval interval NOT NULL DEFAULT interval '6 hours' CHECK (repeat_interval >= interval '0'),
	enabled boolean NOT NULL DEFAULT true,
	set_by text NOT NULL DEFAULT SESSION_USER,
	set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),

	-- how far it is; written by the server
	last_event bigint NOT NULL DEFAULT 0,
	missing bigint[] NOT NULL DEFAULT '{}',
	last_sent timestamptz,
	last_error text,
	failures integer NOT NULL DEFAULT 0,
	retry_at timestamptz
);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_target', '');

-- What a target was told is wrong, and has not been told to be well again.
CREATE TABLE @extschema@.backup_target_sent (
	target text NOT NULL REFERENCES @extschema@.backup_target (name) ON DELETE CASCADE,
	kind text NOT NULL,
	subject text NOT NULL,
	result text NOT NULL,
	severity text NOT NULL,
	sent_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (target, kind, subject)
);

COMMENT ON TABLE @extschema@.backup_target IS 'where events are sent; see backup_notify_target()';
COMMENT ON COLUMN @extschema@.backup_target.secret_file IS 'file that only the server''s user reads: a bearer token, the password of a mail server, or the URL of a webhook that is secret itself';
COMMENT ON COLUMN @extschema@.backup_target.last_event IS 'all events up to this one are done with, those in missing excepted';
COMMENT ON COLUMN @extschema@.backup_target.missing IS 'ids below last_event that were not there; their transactions may still commit';
COMMENT ON COLUMN @extschema@.backup_target.failures IS 'attempts that have failed since the last success; the next one, and the next metrics, are at retry_at';
COMMENT ON TABLE @extschema@.backup_target_sent IS 'failures that a target was told of, until it is told that they are over';

CREATE FUNCTION @extschema@.backup_target_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'bkc_sql_target_changed'
	LANGUAGE C;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON @extschema@.backup_target
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.backup_target_changed();

COMMENT ON FUNCTION @extschema@.backup_target_changed()
	IS 'a look at the targets; trigger of backup_target';

CREATE FUNCTION @extschema@.backup_notify_check(
	kind text, url text, secret_file text, ca_file text, mail_from text, mail_to text,
	mail_user text, tls text, timeout text, region text, send_interval text)
RETURNS void
	AS 'MODULE_PATHNAME', 'bkc_sql_notify_check'
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_notify_check(text, text, text, text, text, text, text, text, text, text, text)
	IS 'raise what is wrong with a target; part of backup_notify_target(); superuser only';

CREATE FUNCTION @extschema@.backup_notify_target(
	name text,
	kind text,
	url text DEFAULT NULL,
	secret_file text DEFAULT NULL,
	settings jsonb DEFAULT '{}',
	min_severity text DEFAULT 'warning',
	kinds text[] DEFAULT NULL,
	repeat_interval interval DEFAULT '6 hours',
	enabled boolean DEFAULT true)
RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s jsonb := COALESCE(backup_notify_target.settings, '{}');
	unknown text;
BEGIN
	IF backup_notify_target.name IS NULL OR backup_notify_target.name !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$' THEN
		RAISE EXCEPTION 'target name "%" is not valid', backup_notify_target.name
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use at most 63 letters, digits, "_", "." and "-", as in ops-mail.';
	END IF;
	IF pg_catalog.jsonb_typeof(s) <> 'object' THEN
		RAISE EXCEPTION 'settings must be a JSON object'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT k INTO unknown FROM pg_catalog.jsonb_object_keys(s) k
	WHERE k NOT IN ('ca_file', 'from', 'to', 'user', 'tls', 'timeout', 'region', 'interval') ORDER BY k LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'unknown setting "%" of a target', unknown
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Settings are: ca_file, from, to, user, tls, timeout, region, interval. Secrets belong into secret_file.';
	END IF;

	-- raises what is wrong, also that the caller is no superuser
	PERFORM @extschema@.backup_notify_check(backup_notify_target.kind, backup_notify_target.url,
		backup_notify_target.secret_file, s ->> 'ca_file', s ->> 'from', s ->> 'to', s ->> 'user',
		s ->> 'tls', s ->> 'timeout', s ->> 'region', s ->> 'interval');
	INSERT INTO @extschema@.backup_target AS t (name, kind, url, secret_file, settings, min_severity,
		kinds, repeat_interval, enabled, last_event)
	VALUES (backup_notify_target.name, backup_notify_target.kind, backup_notify_target.url,
		backup_notify_target.secret_file, s, COALESCE(backup_notify_target.min_severity, 'warning'),
		backup_notify_target.kinds, COALESCE(backup_notify_target.repeat_interval, interval '6 hours'),
		COALESCE(backup_notify_target.enabled, true),
		COALESCE((SELECT pg_catalog.max(e.id) FROM @extschema@.backup_event e), 0))
	ON CONFLICT (name) DO UPDATE SET kind = EXCLUDED.kind, url = EXCLUDED.url,
		secret_file = EXCLUDED.secret_file, settings = EXCLUDED.settings,
		min_severity = EXCLUDED.min_severity, kinds = EXCLUDED.kinds,
		repeat_interval = EXCLUDED.repeat_interval, enabled = EXCLUDED.enabled,
		set_by = SESSION_USER, set_at = pg_catalog.clock_timestamp(),
		last_event = CASE WHEN t.enabled THEN t.last_event ELSE EXCLUDED.last_event END,
		failures = 0, last_error = NULL, retry_at = NULL;

	-- not its URL: that may be a secret, and more roles read the events
	PERFORM @extschema@.backup_event_add('notify',
		pg_catalog.format('target %s of kind %s set', backup_notify_target.name, backup_notify_target.kind),
		detail => pg_catalog.jsonb_build_object('target', backup_notify_target.name,
			'kind', backup_notify_target.kind, 'min_severity', backup_notify_target.min_severity,
			'enabled', backup_notify_target.enabled));
END
$$;

COMMENT ON FUNCTION @extschema@.backup_notify_target(text, text, text, text, jsonb, text, text[], interval, boolean)
	IS 'make or replace a target to which events are sent: a webhook, Slack, or e-mail; superuser only';

CREATE FUNCTION @extschema@.backup_notify_remove(name text)
RETURNS boolean
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF pg_catalog.current_setting('is_superuser') <> 'on' THEN
		RAISE EXCEPTION 'only superusers can remove notification targets'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	DELETE FROM @extschema@.backup_target t WHERE t.name = backup_notify_remove.name;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM @extschema@.backup_event_add('notify',
		pg_catalog.format('target %s removed', backup_notify_remove.name));
	RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_notify_remove(text)
	IS 'remove a target; false when there is none of that name; superuser only';

CREATE FUNCTION @extschema@.backup_notify_test(target text)
RETURNS void
	AS 'MODULE_PATHNAME', 'bkc_sql_notify_test'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_notify_test(text)
	IS 'send a test message to a target now, and raise what goes wrong; superuser only';

-- ---------------------------------------------------------------------------
-- the set-up
-- ---------------------------------------------------------------------------

-- SECURITY DEFINER: it reads the policy.
CREATE FUNCTION @extschema@.backup_check(
	repository text DEFAULT NULL)
RETURNS TABLE (repository text, check_name text, status text, finding text, advice text)
	AS 'MODULE_PATHNAME', 'bkc_sql_check'
	LANGUAGE C VOLATILE SECURITY DEFINER PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_check(text)
	IS 'try the whole set-up (default: with all repositories) and explain each finding: ok, warning or failed';

-- ---------------------------------------------------------------------------
-- monitoring
--
-- These views must be quick and never hang: they read the catalog, shared
-- memory and pg_wal, and ask no repository.  What has to be asked is up to
-- backup_check() and the jobs verify and wal-check, whose results are here.
-- ---------------------------------------------------------------------------

CREATE TABLE @extschema@.backup_threshold (
	check_name text PRIMARY KEY,
	warning numeric,
	critical numeric,
	unit text NOT NULL,
	description text NOT NULL DEFAULT '',
	changed boolean NOT NULL DEFAULT false
);

CREATE TABLE @extschema@.backup_price (
	storage_class text PRIMARY KEY,
	price_per_gib_month numeric NOT NULL CHECK (price_per_gib_month >= 0),
	currency text NOT NULL DEFAULT 'USD',
	as_of date NOT NULL DEFAULT pg_catalog.now(),
	source text NOT NULL DEFAULT '',
	changed boolean NOT NULL DEFAULT false
);

INSERT INTO @extschema@.backup_threshold (check_name, warning, critical, unit, description) VALUES
	('archive_lag', 512, 4096, 'MB', 'WAL that waits in pg_wal for a repository'),
	('archiving', 1, 15, 'minutes', 'a repository has taken no WAL for so long'),
	('backup_duration', 2, 5, 'times', 'last duration against the median of the ten before'),
	('backup_size', 1.5, 4, 'times', 'last size against the median of the ten before, larger or smaller'),
	('certificate', 21, 7, 'days', 'the certificate of the repository''s server ends within that time'),
	('clock_skew', 30, 300, 'seconds', 'the repository''s clock is ahead of this server''s or behind'),
	('credentials', 60, 5, 'minutes', 'credentials that could not be renewed end within that time'),
	('failed_backups', 1, 3, 'in a row', 'backups that have failed since the last good one'),
	('last_backup', 26, 50, 'hours', 'age of the last good backup, where no schedule says how often'),
	('last_backup_schedule', 1.25, 2.25, 'intervals', 'the same where there is a schedule, in intervals of it'),
	('possible_loss', 300, 3600, 'seconds', 'what was committed so long ago is in no repository yet'),
	('repository', 1, 15, 'minutes', 'a repository has not answered, or refused us, for so long'),
	('schedule_failures', 1, 3, 'in a row', 'runs of a schedule that have failed'),
	('schedule_late', 60, 1440, 'minutes', 'a schedule is due for so long and does not run'),
	('space', 24, 4, 'hours', 'pg_wal''s file system will be full within that time'),
	('verification', 30, 90, 'days', 'last verification, or the first backup when there was none');

INSERT INTO @extschema@.backup_price (storage_class, price_per_gib_month, as_of, source)
SELECT c, p, '2025-01-01', 'AWS price list, S3 in us-east-1, first 50 TB a month, storage only'
FROM (VALUES ('STANDARD', 0.023), ('INTELLIGENT_TIERING', 0.023), ('STANDARD_IA', 0.0125),
	('ONEZONE_IA', 0.01), ('GLACIER_IR', 0.004), ('GLACIER', 0.0036),
	('DEEP_ARCHIVE', 0.00099)) v (c, p);

-- Defaults come with the extension, what was changed comes out of a dump: a
-- row takes the place of the one that CREATE EXTENSION has made.
CREATE FUNCTION @extschema@.backup_row_changed() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.changed := true;
	IF TG_OP = 'INSERT' AND TG_TABLE_NAME = 'backup_threshold' THEN
		DELETE FROM @extschema@.backup_threshold t
		WHERE t.check_name = NEW.check_name AND NOT t.changed;
	ELSIF TG_OP = 'INSERT' THEN
		DELETE FROM @extschema@.backup_price p
		WHERE p.storage_class = NEW.storage_class AND NOT p.changed;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER changed BEFORE INSERT OR UPDATE ON @extschema@.backup_threshold
	FOR EACH ROW EXECUTE FUNCTION @extschema@.backup_row_changed();
CREATE TRIGGER changed BEFORE INSERT OR UPDATE ON @extschema@.backup_price
	FOR EACH ROW EXECUTE FUNCTION @extschema@.backup_row_changed();

SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_threshold', 'WHERE changed');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.backup_price', 'WHERE changed');

COMMENT ON TABLE @extschema@.backup_threshold IS 'from which value on a check of backup_health is a warning or critical; null: never; to be changed by UPDATE';
COMMENT ON COLUMN @extschema@.backup_threshold.changed IS 'no default any more, so a dump carries it';
COMMENT ON TABLE @extschema@.backup_price IS 'what storage costs, for backup_storage; to be changed by UPDATE and INSERT';
COMMENT ON COLUMN @extschema@.backup_price.storage_class IS 'as S3 names it; "file" for folders';
COMMENT ON FUNCTION @extschema@.backup_row_changed()
	IS 'trigger of backup_threshold and backup_price: mark what differs from the defaults';

CREATE FUNCTION @extschema@.backup_clock_jump()
RETURNS interval
	AS 'MODULE_PATHNAME', 'bkc_sql_clock_jump'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.backup_clock_jump()
	IS 'by how much the clock has jumped; null when it has not; see backup_clock_is_right()';

CREATE FUNCTION @extschema@.backup_age_text(age interval)
RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n || ' ' || unit || CASE WHEN n = 1 THEN '' ELSE 's' END
	FROM (SELECT GREATEST(EXTRACT(epoch FROM age), 0)::bigint AS s) e,
		LATERAL (SELECT CASE WHEN s < 60 THEN s WHEN s < 7200 THEN s / 60
					WHEN s < 172800 THEN s / 3600 ELSE s / 86400 END AS n,
			CASE WHEN s < 60 THEN 'second' WHEN s < 7200 THEN 'minute'
				WHEN s < 172800 THEN 'hour' ELSE 'day' END AS unit) w
$$;

COMMENT ON FUNCTION @extschema@.backup_age_text(interval)
	IS 'an interval as people say it: 9 minutes';

-- What a dump has brought may be an expression or a zone that this server does not know: that is a
-- finding of backup_check(), and must not take the views with it.
CREATE FUNCTION @extschema@.backup_schedule_runs(cron text, n integer, time_zone text)
RETURNS SETOF timestamptz
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT * FROM @extschema@.backup_cron_next(cron, n, NULL, time_zone);
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_schedule_runs(text, integer, text)
	IS 'backup_cron_next(), and nothing for what cannot be understood; part of views';

CREATE VIEW @extschema@.backup_status AS
WITH repo AS MATERIALIZED (
	SELECT a.repository, a.status, a.ordinality AS number
	FROM @extschema@.backup_archiver_state() WITH ORDINALITY a
), backup AS MATERIALIZED (
	SELECT y.repository, NULLIF(c.tier, '') AS tier, y.status, c.id, c.label, c.finished_at, c.error,
		c.backup_size_bytes, c.original_size_bytes, c.finished_at - c.backup_date AS duration,
		pg_catalog.row_number() OVER (PARTITION BY y.repository, NULLIF(c.tier, ''), y.status
									  ORDER BY c.finished_at DESC NULLS LAST, c.id DESC) AS age
	FROM @extschema@.backup_copy y JOIN @extschema@.backup_catalog c ON c.id = y.backup_id
	-- those of a predecessor do not restore this cluster
	WHERE COALESCE(c.system_identifier = (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s), true)
), schedule AS MATERIALIZED (
	SELECT COALESCE(e.repository, (SELECT r.repository FROM repo r WHERE r.number = 1)) AS repository,
		NULLIF(e.tier, '') AS tier,
		pg_catalog.min(COALESCE(e.retry_at, e.starts_at, e.next_run, n.next_run)) AS next_run
	FROM @extschema@.backup_schedule_entry e
		-- one that is new has not been planned yet
		LEFT JOIN LATERAL @extschema@.backup_schedule_runs(e.cron, 1, e.time_zone) n (next_run) ON e.next_run IS NULL
	WHERE e.enabled AND e.type NOT IN ('expire', 'verify', 'wal-check')
	GROUP BY 1, 2
), used AS (
	SELECT b.repository, b.tier FROM backup b
	UNION SELECT s.repository, s.tier FROM schedule s WHERE s.repository IS NOT NULL
), place AS (
	SELECT u.repository, u.tier FROM used u
	UNION ALL SELECT r.repository, NULL FROM repo r
	WHERE NOT EXISTS (SELECT FROM used u WHERE u.repository = r.repository)
)
SELECT p.repository, p.tier,
	COALESCE(@extschema@.backup_age_text(n.now - l.finished_at) || ' ago', 'never') AS last_success,
	pg_catalog.pg_size_pretty(l.backup_size_bytes) AS size,
	CASE WHEN t.percent >= 0.5 THEN '+' ELSE '' END || pg_catalog.round(t.percent) || ' %' AS trend,
	pg_catalog.date_trunc('second', l.duration) AS duration,
	k.completed, k.failed,
	CASE WHEN s.next_run <= n.now THEN 'now'
		ELSE 'in ' || @extschema@.backup_age_text(s.next_run - n.now) END AS next_run,
	r.status AS wal,
	l.finished_at AS last_success_at, n.now - l.finished_at AS last_success_age,
	l.id AS last_id, l.label AS last_label, l.backup_size_bytes AS size_bytes,
	l.original_size_bytes AS original_bytes, t.percent AS trend_percent,
	pg_catalog.round(EXTRACT(epoch FROM l.duration), 3) AS duration_seconds,
	k.running, k.cancelled, f.finished_at AS last_failure_at, f.error AS last_failure,
	s.next_run AS next_run_at
FROM place p
	CROSS JOIN LATERAL (SELECT pg_catalog.clock_timestamp() AS now) n
	LEFT JOIN repo r ON r.repository = p.repository
	LEFT JOIN schedule s ON s.repository = p.repository AND s.tier IS NOT DISTINCT FROM p.tier
	LEFT JOIN backup l ON l.repository = p.repository AND l.tier IS NOT DISTINCT FROM p.tier
		AND l.status = 'completed' AND l.age = 1
	LEFT JOIN backup f ON f.repository = p.repository AND f.tier IS NOT DISTINCT FROM p.tier
		AND f.status = 'failed' AND f.age = 1
	CROSS JOIN LATERAL (
		SELECT pg_catalog.count(*) FILTER (WHERE b.status = 'completed') AS completed,
			pg_catalog.count(*) FILTER (WHERE b.status = 'failed') AS failed,
			pg_catalog.count(*) FILTER (WHERE b.status = 'running') AS running,
			pg_catalog.count(*) FILTER (WHERE b.status = 'cancelled') AS cancelled
		FROM backup b WHERE b.repository = p.repository AND b.tier IS NOT DISTINCT FROM p.tier) k
	CROSS JOIN LATERAL (
		SELECT pg_catalog.round(100 * (l.backup_size_bytes / NULLIF(pg_catalog.avg(b.backup_size_bytes), 0) - 1), 1) AS percent
		FROM backup b WHERE b.repository = p.repository AND b.tier IS NOT DISTINCT FROM p.tier
			AND b.status = 'completed' AND b.age BETWEEN 2 AND 8) t
ORDER BY r.number, p.repository, p.tier;

COMMENT ON VIEW @extschema@.backup_status IS 'how backups stand, one row for each repository and tier; raw numbers behind the columns for people';
COMMENT ON COLUMN @extschema@.backup_status.trend IS 'last size against the mean of up to seven before';
COMMENT ON COLUMN @extschema@.backup_status.wal IS 'status in backup_archiver; null: the repository is not configured any more';

CREATE VIEW @extschema@.backup_health AS
WITH repo AS MATERIALIZED (
	SELECT a.repository, a.status, a.backlog_bytes, a.waiting_since, a.failed_at, a.safe_until,
		a.pg_wal_free_bytes AS free_bytes, a.disk_full_seconds AS full_seconds,
		a.possible_loss_bytes AS loss_bytes, a.ordinality AS number, pg_catalog.clock_timestamp() AS now
	FROM @extschema@.backup_archiver_state() WITH ORDINALITY a
), backup AS MATERIALIZED (
	SELECT y.repository, y.status, y.verification, c.id, c.finished_at, c.verification_date, c.error,
		c.backup_type, c.backup_size_bytes AS size, EXTRACT(epoch FROM c.finished_at - c.backup_date) AS seconds,
		pg_catalog.row_number() OVER (PARTITION BY y.repository, y.status, c.backup_type
									  ORDER BY c.finished_at DESC NULLS LAST, c.id DESC) AS age
	FROM @extschema@.backup_copy y JOIN @extschema@.backup_catalog c ON c.id = y.backup_id
	-- those of a predecessor do not restore this cluster
	WHERE COALESCE(c.system_identifier = (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s), true)
), last AS MATERIALIZED (
	-- the last good full backup of each repository, and what is usual there
	SELECT r.repository, r.now, b.id, b.finished_at, b.size, b.seconds, b.verification,
		u.median_size, u.median_seconds, v.verified, v.first, v.bad, f.failed, f.error
	FROM repo r
		LEFT JOIN backup b ON b.repository = r.repository AND b.status = 'completed'
			AND b.backup_type = 'full' AND b.age = 1
		CROSS JOIN LATERAL (
			SELECT CASE WHEN pg_catalog.count(*) >= 3 THEN pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY o.size) END AS median_size,
				CASE WHEN pg_catalog.count(*) >= 3 THEN pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY o.seconds) END AS median_seconds
			FROM backup o WHERE o.repository = r.repository AND o.status = 'completed'
				AND o.backup_type = 'full' AND o.age BETWEEN 2 AND 11) u
		CROSS JOIN LATERAL (
			SELECT pg_catalog.max(o.verification_date) AS verified, pg_catalog.min(o.finished_at) AS first,
				pg_catalog.count(*) FILTER (WHERE o.verification = 'failed') AS bad
			FROM backup o WHERE o.repository = r.repository AND o.status = 'completed') v
		CROSS JOIN LATERAL (
			SELECT pg_catalog.count(*) AS failed,
				(pg_catalog.array_agg(o.error ORDER BY o.finished_at DESC, o.id DESC))[1] AS error
			FROM backup o WHERE o.repository = r.repository AND o.status = 'failed'
				AND (b.id IS NULL OR o.finished_at > b.finished_at)) f
), schedule AS MATERIALIZED (
	-- the longest pause that a schedule plans, of all schedules of a repository the shortest
	SELECT COALESCE(e.repository, (SELECT r.repository FROM repo r WHERE r.number = 1)) AS repository,
		pg_catalog.min(i.hours) AS hours
	FROM @extschema@.backup_schedule_entry e,
		LATERAL (SELECT pg_catalog.max(EXTRACT(epoch FROM g.run - g.before)) / 3600 AS hours
			FROM (SELECT n AS run, pg_catalog.lag(n) OVER (ORDER BY n) AS before
				FROM @extschema@.backup_schedule_runs(e.cron, 8, e.time_zone) n) g) i
	WHERE e.enabled AND e.type = 'full'
	GROUP BY 1
), seen AS MATERIALIZED (
	SELECT s.*, pg_catalog.clock_timestamp() AS now FROM @extschema@.backup_repository_state() s
), finding (number, check_name, repository, least, value, raw, below, warning, critical, unit, advice) AS (
	-- least: 0 ok, 1 warning, 2 critical, whatever the thresholds say
	SELECT 1, 'enabled', NULL::text, CASE e.value WHEN 'off' THEN 1 ELSE 0 END, e.value,
		NULL::numeric, false, NULL::numeric, NULL::numeric, NULL::text,
		'set pg_backupctl.enabled = on and reload, unless this is a clone'
	FROM (SELECT pg_catalog.current_setting('pg_backupctl.enabled') AS value) e
	UNION ALL
	SELECT 2, 'repositories', NULL, CASE WHEN c.n = 0 THEN 2 ELSE 0 END, c.n::text, c.n, false, NULL, NULL, NULL,
		'set pg_backupctl.repositories'
	FROM (SELECT pg_catalog.count(*) AS n FROM repo) c
	UNION ALL
	SELECT 3, 'clock', NULL, CASE WHEN j.jump IS NULL THEN 0 ELSE 2 END,
		COALESCE('jumped by ' || j.jump, 'steady'), COALESCE(EXTRACT(epoch FROM j.jump), 0), false, NULL, NULL, NULL,
		'correct the clock, then SELECT backup_clock_is_right()'
	FROM (SELECT @extschema@.backup_clock_jump() AS jump) j
	UNION ALL
	SELECT 4, 'schedule_failures', NULL, 0, COALESCE(w.name || ': ', '') || COALESCE(w.consecutive_failures, 0),
		COALESCE(w.consecutive_failures, 0), false, t.warning, t.critical, t.unit,
		'see last_error in backup_schedule'
	FROM (VALUES (1)) one
		LEFT JOIN LATERAL (SELECT e.name, e.consecutive_failures FROM @extschema@.backup_schedule_entry e
			WHERE e.enabled AND e.consecutive_failures > 0
			ORDER BY e.consecutive_failures DESC, e.name LIMIT 1) w ON true
		LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'schedule_failures'
	UNION ALL
	SELECT 5, 'schedule_late', NULL, 0,
		COALESCE(w.name || ': ' || @extschema@.backup_age_text(w.late), 'none'),
		COALESCE(pg_catalog.round(EXTRACT(epoch FROM w.late) / 60), 0), false, t.warning, t.critical, t.unit,
		'see state and last_error in backup_schedule'
	FROM (VALUES (1)) one
		LEFT JOIN LATERAL (SELECT e.name, pg_catalog.clock_timestamp() - COALESCE(e.retry_at, e.starts_at, e.next_run) AS late
			FROM @extschema@.backup_schedule_entry e
			WHERE e.enabled AND e.last_result IS DISTINCT FROM 'running' AND NOT pg_catalog.pg_is_in_recovery()
				AND COALESCE(e.retry_at, e.starts_at, e.next_run) < pg_catalog.clock_timestamp()
			ORDER BY 2 DESC, e.name LIMIT 1) w ON true
		LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'schedule_late'
	UNION ALL
	SELECT 10, 'last_backup', l.repository, CASE WHEN l.id IS NULL THEN 2 ELSE 0 END,
		COALESCE(@extschema@.backup_age_text(l.now - l.finished_at) || ' ago', 'never'),
		pg_catalog.round(EXTRACT(epoch FROM l.now - l.finished_at) / 3600, 4), false,
		COALESCE(pg_catalog.round(s.hours * i.warning, 4), t.warning),
		COALESCE(pg_catalog.round(s.hours * i.critical, 4), t.critical), 'hours',
		'take one: CALL backup_run(repository => ' || pg_catalog.quote_literal(l.repository) || ')'
	FROM last l
		LEFT JOIN schedule s ON s.repository = l.repository
		LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'last_backup'
		LEFT JOIN @extschema@.backup_threshold i ON i.check_name = 'last_backup_schedule'
	UNION ALL
	SELECT 11, 'failed_backups', l.repository, 0, l.failed::text, l.failed, false, t.warning, t.critical, t.unit,
		pg_catalog.concat_ws(': ', 'see error in backup_catalog',
			pg_catalog."left"(pg_catalog.replace(l.error, E'\n', ' '), 100))
	FROM last l LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'failed_backups'
	UNION ALL
	SELECT 12, 'backup_size', l.repository, 0,
		COALESCE(pg_catalog.pg_size_pretty(l.size) || COALESCE(', usually ' || pg_catalog.pg_size_pretty(l.median_size::bigint), ''), 'none'),
		pg_catalog.round(GREATEST(l.size / NULLIF(l.median_size, 0), l.median_size / NULLIF(l.size, 0))::numeric, 2),
		false, t.warning, t.critical, t.unit, 'find out what has grown or is missing'
	FROM last l LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'backup_size'
	UNION ALL
	-- a few seconds more are nothing
	SELECT 13, 'backup_duration', l.repository, 0,
		COALESCE(@extschema@.backup_age_text(pg_catalog.make_interval(secs => l.seconds::float8))
			|| COALESCE(', usually ' || @extschema@.backup_age_text(pg_catalog.make_interval(secs => l.median_seconds)), ''), 'none'),
		CASE WHEN l.seconds - l.median_seconds < 60 THEN LEAST(1, d.times) ELSE d.times END,
		false, t.warning, t.critical, t.unit, 'look at load, disk and network; pg_backupctl.jobs, max_rate'
	FROM last l
		CROSS JOIN LATERAL (SELECT pg_catalog.round((l.seconds / NULLIF(l.median_seconds, 0))::numeric, 2) AS times) d
		LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'backup_duration'
	UNION ALL
	SELECT 14, 'verification', l.repository,
		CASE WHEN l.verification = 'failed' THEN 2 WHEN l.bad > 0 THEN 1 ELSE 0 END,
		CASE WHEN l.bad > 0 THEN l.bad || CASE l.bad WHEN 1 THEN ' backup' ELSE ' backups' END || ' failed it'
			WHEN l.verified IS NOT NULL THEN @extschema@.backup_age_text(l.now - l.verified) || ' ago'
			WHEN l.first IS NULL THEN 'no backup' ELSE 'never' END,
		pg_catalog.round(EXTRACT(epoch FROM l.now - COALESCE(l.verified, l.first)) / 86400, 2),
		false, t.warning, t.critical, t.unit,
		CASE WHEN l.bad > 0 THEN 'take a new backup; see metadata->''verification'' in backup_catalog'
			ELSE 'SELECT backup_verify(), or schedule it: type verify' END
	FROM last l LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'verification'
	UNION ALL
	SELECT 15, 'schedule', r.repository, CASE WHEN s.repository IS NULL THEN 1 ELSE 0 END,
		COALESCE('every ' || @extschema@.backup_age_text(pg_catalog.make_interval(secs => (s.hours * 3600)::float8)),
			CASE WHEN s.repository IS NULL THEN 'none' ELSE 'once' END),
		pg_catalog.round(s.hours, 2), false, NULL, NULL, NULL, 'SELECT schedule_backup(''nightly'', ''0 1 * * *'')'
	FROM repo r LEFT JOIN schedule s ON s.repository = r.repository
	UNION ALL
	SELECT 16, 'policy', r.repository, CASE WHEN p.n = 0 THEN 1 ELSE 0 END,
		CASE WHEN p.n = 0 THEN 'none' ELSE 'set' END, p.n, false, NULL, NULL, NULL,
		'SELECT backup_set_policy(''classic''), and schedule type expire'
	FROM repo r CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS n FROM @extschema@.backup_policy p
		WHERE p.repository IN (r.repository, '*')) p
	UNION ALL
	SELECT 17, 'repository', s.repository, 0,
		CASE WHEN s.failing_since IS NOT NULL THEN 'no answer for ' || @extschema@.backup_age_text(s.now - s.failing_since)
				|| ', asked ' || @extschema@.backup_age_text(s.now - s.failed_at) || ' ago: ' || pg_catalog."left"(pg_catalog.replace(s.error, E'\n', ' '), 60)
			ELSE COALESCE('answered ' || @extschema@.backup_age_text(s.now - s.answered_at) || ' ago', 'not asked yet') END,
		CASE WHEN s.failing_since IS NULL THEN 0 ELSE pg_catalog.round(EXTRACT(epoch FROM s.now - s.failing_since) / 60, 2) END,
		false, t.warning, t.critical, t.unit, 'SELECT * FROM backup_check(' || pg_catalog.quote_literal(s.repository) || ')'
	FROM seen s LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'repository'
	UNION ALL
	SELECT 18, 'key', s.repository, CASE WHEN s.key_failed_at IS NULL THEN 0 ELSE 2 END,
		COALESCE('missing: ' || pg_catalog."left"(pg_catalog.replace(s.key_error, E'\n', ' '), 60), 'none is missing'),
		NULL, false, NULL, NULL, NULL, 'give it back: without it nothing is written, and nothing restored'
	FROM seen s
	UNION ALL
	SELECT 19, 'clock_skew', s.repository, 0,
		CASE WHEN s.clock_ahead IS NULL THEN 'not known'
			WHEN EXTRACT(epoch FROM s.clock_ahead) >= 1 THEN @extschema@.backup_age_text(s.clock_ahead) || ' ahead'
			WHEN EXTRACT(epoch FROM s.clock_ahead) <= -1 THEN @extschema@.backup_age_text(-s.clock_ahead) || ' behind'
			ELSE 'none' END,
		pg_catalog.round(pg_catalog.abs(EXTRACT(epoch FROM s.clock_ahead)), 1), false, t.warning, t.critical, t.unit,
		'set the wrong clock, best by NTP'
	FROM seen s LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'clock_skew'
	UNION ALL
	SELECT 20, 'archiving', r.repository,
		CASE WHEN r.status IN ('refused', 'hole') THEN 2 WHEN r.status IN ('failing', 'not configured') THEN 1 ELSE 0 END,
		r.status,
		CASE WHEN r.status = 'failing' THEN pg_catalog.round(EXTRACT(epoch FROM r.now - COALESCE(r.waiting_since, r.failed_at)) / 60, 2)
			ELSE 0 END,
		false, t.warning, t.critical, t.unit,
		CASE r.status WHEN 'hole' THEN 'take a backup: SELECT backup_now()'
			WHEN 'not configured' THEN 'set archive_mode = on, archive_library = pg_backupctl'
			ELSE 'see last_error in backup_archiver' END
	FROM repo r LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'archiving'
	UNION ALL
	SELECT 21, 'archive_lag', r.repository, 0,
		CASE WHEN r.status IN ('not configured', 'standby') THEN r.status ELSE pg_catalog.pg_size_pretty(r.backlog_bytes) END,
		CASE WHEN r.status IN ('not configured', 'standby') THEN NULL
			ELSE pg_catalog.round(r.backlog_bytes / 1048576.0, 2) END,
		false, t.warning, t.critical, t.unit, 'more pg_backupctl.wal_workers, or a faster repository'
	FROM repo r LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'archive_lag'
	UNION ALL
	SELECT 22, 'possible_loss', r.repository,
		CASE WHEN r.loss_bytes IS NULL AND r.status NOT IN ('not configured', 'standby') THEN 1 ELSE 0 END,
		CASE WHEN r.status IN ('not configured', 'standby') THEN r.status
			WHEN r.loss_bytes IS NULL THEN 'not known' ELSE pg_catalog.pg_size_pretty(r.loss_bytes) END,
		CASE WHEN r.status IN ('not configured', 'standby') THEN NULL WHEN r.loss_bytes = 0 THEN 0
			ELSE pg_catalog.round(EXTRACT(epoch FROM GREATEST(r.now, r.safe_until) - r.safe_until), 1) END,
		false, t.warning, t.critical, t.unit, 'see last_error and streamer_error in backup_archiver'
	FROM repo r LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'possible_loss'
	UNION ALL
	SELECT 23, 'space', r.repository, 0,
		CASE WHEN r.full_seconds IS NULL THEN 'enough, ' || pg_catalog.pg_size_pretty(r.free_bytes) || ' free'
			ELSE 'pg_wal full in ' || @extschema@.backup_age_text(pg_catalog.make_interval(secs => r.full_seconds)) END,
		pg_catalog.round(r.full_seconds::numeric / 3600, 2), true, t.warning, t.critical, t.unit,
		'let WAL go away: see status in backup_archiver; or more disk'
	FROM repo r LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'space'
	UNION ALL
	SELECT 24, 'wal_gap', r.repository,
		CASE e.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END,
		CASE WHEN e.at IS NULL THEN 'never looked for'
			ELSE CASE e.severity WHEN 'critical' THEN 'found ' WHEN 'warning' THEN 'could not look ' ELSE 'none ' END
				|| @extschema@.backup_age_text(r.now - e.at) || ' ago' END,
		NULL, false, NULL, NULL, NULL,
		CASE e.severity WHEN 'critical' THEN 'take a backup: SELECT backup_now(); backup_check() names the gap'
			ELSE 'see the message in backup_event' END
	FROM repo r LEFT JOIN LATERAL (SELECT e.at, e.severity FROM @extschema@.backup_event e
		WHERE e.kind = 'wal-check' AND e.result <> 'cancelled' AND COALESCE(e.repository, r.repository) = r.repository
		ORDER BY e.at DESC LIMIT 1) e ON true
	UNION ALL
	SELECT 25, 'certificate', s.repository, 0,
		CASE WHEN s.certificate_until IS NULL THEN 'no TLS seen'
			WHEN s.certificate_until <= s.now THEN 'expired'
			ELSE 'valid for ' || @extschema@.backup_age_text(s.certificate_until - s.now) END,
		pg_catalog.round(EXTRACT(epoch FROM s.certificate_until - s.now) / 86400, 2), true, t.warning, t.critical, t.unit,
		'have the certificate of the repository''s server renewed'
	FROM seen s LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'certificate'
	UNION ALL
	SELECT 26, 'credentials', s.repository, 0,
		CASE WHEN s.credentials_until IS NULL THEN 'fine'
			WHEN s.credentials_until <= s.now THEN 'expired'
			ELSE 'not renewed, valid for ' || @extschema@.backup_age_text(s.credentials_until - s.now) END,
		pg_catalog.round(EXTRACT(epoch FROM s.credentials_until - s.now) / 60, 2), true, t.warning, t.critical, t.unit,
		'the server log says why they could not be renewed'
	FROM seen s LEFT JOIN @extschema@.backup_threshold t ON t.check_name = 'credentials'
), rated AS (
	SELECT f.*, GREATEST(f.least,
		CASE WHEN f.raw IS NULL THEN 0
			WHEN f.below AND f.raw <= f.critical OR NOT f.below AND f.raw >= f.critical THEN 2
			WHEN f.below AND f.raw <= f.warning OR NOT f.below AND f.raw >= f.warning THEN 1
			ELSE 0 END) AS level
	FROM finding f
)
SELECT CASE f.level WHEN 0 THEN 'ok' WHEN 1 THEN 'warning' ELSE 'critical' END AS status,
	f.check_name, f.repository, f.value,
	CASE WHEN f.warning IS NOT NULL OR f.critical IS NOT NULL THEN
		pg_catalog.concat_ws(' / ', COALESCE(pg_catalog.trim_scale(pg_catalog.round(f.warning * u.times, 2))::text, '-'),
			COALESCE(pg_catalog.trim_scale(pg_catalog.round(f.critical * u.times, 2))::text, '-')) || ' ' || u.unit
	END AS threshold,
	CASE WHEN f.level > 0 THEN f.advice END AS advice,
	f.raw AS value_number, f.warning, f.critical, f.unit, f.level
FROM rated f
	-- a schedule for every few minutes is not measured in hundredths of an hour
	CROSS JOIN LATERAL (SELECT CASE WHEN m.short THEN 60 ELSE 1 END AS times,
			CASE WHEN m.short THEN 'minutes' ELSE f.unit END AS unit
		FROM (SELECT COALESCE(f.unit = 'hours' AND GREATEST(f.warning, f.critical) < 2, false) AS short) m) u
ORDER BY f.level DESC, f.number, f.repository;

COMMENT ON VIEW @extschema@.backup_health IS 'what to look after, one row for each check, the worst first; asks no repository (that is what backup_check() does)';
COMMENT ON COLUMN @extschema@.backup_health.threshold IS 'warning / critical; see backup_threshold';
COMMENT ON COLUMN @extschema@.backup_health.level IS '0 ok, 1 warning, 2 critical';

-- What events have told of it.
CREATE TABLE @extschema@.backup_health_told (
	check_name text NOT NULL,
	repository text NOT NULL,
	level integer NOT NULL,
	told integer NOT NULL DEFAULT 0,
	told_at timestamptz,
	PRIMARY KEY (check_name, repository)
);

COMMENT ON TABLE @extschema@.backup_health_told IS 'what the last look at backup_health has found, and what events have told';
COMMENT ON COLUMN @extschema@.backup_health_told.repository IS 'empty for checks of the server';
COMMENT ON COLUMN @extschema@.backup_health_told.told IS 'the level that the last event has told of';

-- An event when two looks one after the other have found the same, and it was not told; again
-- after an hour, and targets decide how often they repeat it.  Left out is what a job's own end
-- tells of, and what is not set up yet: after pg_upgrade, with rows of the cluster before, backups
-- are.  Nothing is written as long as nothing changes.
CREATE FUNCTION @extschema@.backup_health_look()
RETURNS TABLE (id bigint, severity text)
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	now record;
	was @extschema@.backup_health_told;
	place text;
BEGIN
	FOR now IN
		SELECT h.check_name, h.repository, COALESCE(h.repository, '') AS place, h.level,
			h.status, h.value, h.threshold, h.advice
		FROM @extschema@.backup_health h
		WHERE h.check_name NOT IN ('enabled', 'repositories', 'schedule', 'policy', 'schedule_failures', 'failed_backups', 'wal_gap')
			AND NOT (h.check_name = 'last_backup' AND h.value = 'never' AND NOT EXISTS (
				SELECT FROM @extschema@.backup_catalog c WHERE c.label IS NOT NULL
					AND c.system_identifier <> (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)))
			AND NOT (h.check_name = 'archiving' AND h.value = 'not configured')
	LOOP
		SELECT * INTO was FROM @extschema@.backup_health_told t
		WHERE t.check_name = now.check_name AND t.repository = now.place;
		IF NOT FOUND THEN
			IF now.level > 0 THEN
				INSERT INTO @extschema@.backup_health_told (check_name, repository, level)
				VALUES (now.check_name, now.place, now.level);
			END IF;
			CONTINUE;
		END IF;
		IF was.level <> now.level THEN
			UPDATE @extschema@.backup_health_told t SET level = now.level
			WHERE t.check_name = now.check_name AND t.repository = now.place;
			CONTINUE;
		END IF;
		CONTINUE WHEN now.level = was.told
			AND (now.level = 0 OR was.told_at > pg_catalog.clock_timestamp() - interval '1 hour');
		UPDATE @extschema@.backup_health_told t SET told = now.level, told_at = pg_catalog.clock_timestamp()
		WHERE t.check_name = now.check_name AND t.repository = now.place;
		INSERT INTO @extschema@.backup_event AS e (kind, severity, result, actor, repository, message, detail)
		VALUES ('health', CASE now.level WHEN 0 THEN 'info' ELSE now.status END,
				CASE now.level WHEN 0 THEN 'ok' ELSE 'failed' END, 'server', now.repository,
				pg_catalog.concat_ws(', ', now.check_name || ': ' || now.value,
					CASE WHEN now.level > 0 THEN 'threshold ' || now.threshold END, now.advice),
				pg_catalog.jsonb_build_object('check', now.check_name, 'value', now.value,
					'threshold', now.threshold, 'advice', now.advice))
		RETURNING e.id, e.severity INTO id, severity;
		RETURN NEXT;
	END LOOP;

	-- repositories that are not there any more, what is not looked at any more
	DELETE FROM @extschema@.backup_health_told t
	WHERE NOT EXISTS (SELECT FROM @extschema@.backup_health h
		WHERE h.check_name = t.check_name AND COALESCE(h.repository, '') = t.repository);
END
$$;

COMMENT ON FUNCTION @extschema@.backup_health_look()
	IS 'events of what backup_health finds, by two looks; for the scheduler';

-- What jobs that have to do with all WAL have seen last.
CREATE TABLE @extschema@.backup_wal_usage (
	repository text PRIMARY KEY,
	objects bigint NOT NULL,
	bytes bigint NOT NULL,
	measured_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

COMMENT ON TABLE @extschema@.backup_wal_usage IS 'what the archived WAL took when wal-check or expire last looked; see backup_storage';

CREATE FUNCTION @extschema@.backup_repository_class(repository text, kind text DEFAULT 'backups')
RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	-- WAL is never put into an archive
	SELECT CASE WHEN u.url LIKE 'file:%' THEN 'file'
		WHEN kind = 'wal' THEN COALESCE("substring"(u.url, '[?&]wal_storage_class=([^&\s]+)'),
			"substring"(u.url, '[?&]storage_class=(?!GLACIER(?!_IR)|[^&\s]*ARCHIVE)([^&\s]+)'), 'STANDARD')
		ELSE COALESCE("substring"(u.url, '[?&]storage_class=([^&\s]+)'), 'STANDARD') END
	FROM (SELECT "substring"(current_setting('pg_backupctl.repositories'),
		'(?:^|,)\s*' || regexp_replace(repository, '\W', '\\\&', 'g') || '\s*=([^,]*)') AS url) u
$$;

COMMENT ON FUNCTION @extschema@.backup_repository_class(text, text)
	IS 'storage class of a repository''s "backups" or "wal", as its URL says now; "file" for folders';

CREATE VIEW @extschema@.backup_storage AS
SELECT s.repository, s.kind, s.tier, s.storage_class, s.backups, s.objects,
	pg_catalog.pg_size_pretty(s.bytes) AS stored,
	pg_catalog.pg_size_pretty(s.original_bytes) AS original,
	pg_catalog.round(s.bytes / 1073741824.0 * p.price_per_gib_month, 2) || ' ' || p.currency AS monthly_cost,
	s.oldest, s.newest, s.measured_at, s.bytes, s.original_bytes,
	pg_catalog.round(s.bytes / 1073741824.0 * p.price_per_gib_month, 6) AS cost_per_month,
	p.currency, p.as_of AS price_as_of
FROM (
	SELECT y.repository, 'backups' AS kind, NULLIF(c.tier, '') AS tier, k.storage_class,
		pg_catalog.count(*) AS backups, NULL::bigint AS objects,
		pg_catalog.sum(c.backup_size_bytes)::bigint AS bytes,
		pg_catalog.sum(c.original_size_bytes)::bigint AS original_bytes,
		pg_catalog.min(c.finished_at) AS oldest, pg_catalog.max(c.finished_at) AS newest,
		NULL::timestamptz AS measured_at
	FROM @extschema@.backup_copy y JOIN @extschema@.backup_catalog c ON c.id = y.backup_id,
		-- the backup's own, or what the repository's URL says now
		LATERAL (SELECT COALESCE(NULLIF(c.metadata ->> 'storage_class', ''),
			CASE WHEN c.backup_location LIKE 'file:%' THEN 'file' END,
			@extschema@.backup_repository_class(y.repository)) AS storage_class) k
	WHERE y.status = 'completed'
	GROUP BY y.repository, NULLIF(c.tier, ''), k.storage_class
	UNION ALL
	SELECT w.repository, 'wal', NULL, @extschema@.backup_repository_class(w.repository, 'wal'), NULL, w.objects,
		w.bytes, NULL, NULL, NULL, w.measured_at
	FROM @extschema@.backup_wal_usage w) s
	LEFT JOIN @extschema@.backup_price p ON p.storage_class = s.storage_class
ORDER BY s.repository, s.kind, s.tier, s.storage_class;

COMMENT ON VIEW @extschema@.backup_storage IS 'what backups and archived WAL take and cost, by repository, kind, tier and storage class';
COMMENT ON COLUMN @extschema@.backup_storage.kind IS 'backups, by the catalog; wal, by the last wal-check or expire';
COMMENT ON COLUMN @extschema@.backup_storage.measured_at IS 'when the WAL was measured';
COMMENT ON COLUMN @extschema@.backup_storage.monthly_cost IS 'by backup_price; null where it has no price';

CREATE FUNCTION @extschema@.backup_cost_forecast(
	plan text DEFAULT NULL,
	keep_last integer DEFAULT NULL,
	keep_daily integer DEFAULT NULL,
	keep_weekly integer DEFAULT NULL,
	keep_monthly integer DEFAULT NULL,
	keep_yearly integer DEFAULT NULL,
	keep_within interval DEFAULT NULL,
	repository text DEFAULT NULL,
	storage_class text DEFAULT NULL)
RETURNS TABLE (repository_name text, rule text, backups bigint, stored text, monthly_cost text,
	bytes bigint, cost_per_month numeric, currency text)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF backup_cost_forecast.plan IS NOT NULL AND backup_cost_forecast.plan NOT IN ('classic', 'none') THEN
		RAISE EXCEPTION 'retention plan "%" is not known', backup_cost_forecast.plan
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Plans are: classic, none. Or name the rules: keep_daily => 14.';
	END IF;
	RETURN QUERY
	WITH place AS (
		SELECT a.repository, a.ordinality AS number, z.size, k.storage_class,
			COALESCE(h.hours, 24) AS hours
		FROM @extschema@.backup_archiver_state() WITH ORDINALITY a
			CROSS JOIN LATERAL (
				-- what a backup takes there
				SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY l.bytes) AS size
				FROM (SELECT c.backup_size_bytes AS bytes
					FROM @extschema@.backup_copy y JOIN @extschema@.backup_catalog c ON c.id = y.backup_id
					WHERE y.repository = a.repository AND y.status = 'completed'
					ORDER BY c.finished_at DESC LIMIT 10) l) z
			CROSS JOIN LATERAL (
				-- where the last one lies
				SELECT COALESCE(backup_cost_forecast.storage_class,
					(SELECT s.storage_class FROM @extschema@.backup_storage s
					 WHERE s.repository = a.repository AND s.kind = 'backups'
					 ORDER BY s.newest DESC LIMIT 1)) AS storage_class) k
			CROSS JOIN LATERAL (
				SELECT min(EXTRACT(epoch FROM r.later - r.first) / 3600) AS hours
				FROM @extschema@.backup_schedule e,
					LATERAL (SELECT min(n) AS first, max(n) AS later
						FROM @extschema@.backup_schedule_runs(e.cron, 2, e.time_zone) n) r
				WHERE e.enabled AND e.type = 'full' AND r.later > r.first
					AND (e.repository = a.repository OR e.repository IS NULL AND a.ordinality = 1)) h
		WHERE a.repository = COALESCE(backup_cost_forecast.repository, a.repository)
	), rule AS (
		SELECT p.repository, p.number, p.size, p.storage_class, r.line, r.rule, r.n
		FROM place p, LATERAL (VALUES
			(1, 'last', backup_cost_forecast.keep_last::bigint),
			(2, 'daily', COALESCE(backup_cost_forecast.keep_daily, CASE WHEN backup_cost_forecast.plan = 'classic' THEN 7 END)),
			(3, 'weekly', COALESCE(backup_cost_forecast.keep_weekly, CASE WHEN backup_cost_forecast.plan = 'classic' THEN 4 END)),
			(4, 'monthly', COALESCE(backup_cost_forecast.keep_monthly, CASE WHEN backup_cost_forecast.plan = 'classic' THEN 12 END)),
			(5, 'yearly', COALESCE(backup_cost_forecast.keep_yearly, CASE WHEN backup_cost_forecast.plan = 'classic' THEN 7 END)),
			(6, 'within', ceil(EXTRACT(epoch FROM backup_cost_forecast.keep_within) / 3600 / p.hours)::bigint)) r (line, rule, n)
	), line AS (
		SELECT r.repository, r.number, r.n * r.size AS bytes, r.storage_class, r.line, r.rule, r.n FROM rule r WHERE r.n > 0
		UNION ALL
		-- without rules everything stays, and there is no end
		SELECT r.repository, r.number, NULLIF(sum(r.n), 0) * r.size, r.storage_class, 7, 'all', NULLIF(sum(r.n), 0)::bigint
		FROM rule r GROUP BY r.repository, r.number, r.size, r.storage_class
		UNION ALL
		-- as much as there is now
		SELECT p.repository, p.number, s.bytes, s.storage_class, 8, 'wal', NULL
		FROM place p JOIN @extschema@.backup_storage s ON s.repository = p.repository AND s.kind = 'wal'
	)
	SELECT l.repository, l.rule, l.n, pg_size_pretty(l.bytes::bigint),
		round(l.bytes::numeric / 1073741824 * p.price_per_gib_month, 2) || ' ' || p.currency,
		l.bytes::bigint,
		round(l.bytes::numeric / 1073741824 * p.price_per_gib_month, 6), p.currency
	FROM line l LEFT JOIN @extschema@.backup_price p ON p.storage_class = l.storage_class
	ORDER BY l.number, l.line;
END
$$;

COMMENT ON FUNCTION @extschema@.backup_cost_forecast(text, integer, integer, integer, integer, integer, interval, text, text)
	IS 'what the backups that such a policy keeps would take and cost at most, when as many are there, by the size of the last ones; and the WAL as it is now';

CREATE FUNCTION @extschema@.backup_metrics()
RETURNS text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	-- Prometheus' older text format knows neither the type "info" nor that counters end in _total;
	-- readers of it take the former for an error, the latter for untyped.
	WITH family (number, name, type, unit, help) AS (VALUES
		(1, 'pg_backupctl_info', 'gauge', NULL, 'Version of pg_backupctl.'),
		(2, 'pg_backupctl_enabled', 'gauge', NULL, 'Setting pg_backupctl.enabled.'),
		(3, 'pg_backupctl_health', 'gauge', NULL, 'Checks of backup_health: 0 ok, 1 warning, 2 critical.'),
		(4, 'pg_backupctl_last_success_timestamp_seconds', 'gauge', 'seconds', 'End of the last good backup.'),
		(5, 'pg_backupctl_last_failure_timestamp_seconds', 'gauge', 'seconds', 'End of the last failed backup.'),
		(6, 'pg_backupctl_last_size_bytes', 'gauge', 'bytes', 'Stored bytes of the last good backup.'),
		(7, 'pg_backupctl_last_original_bytes', 'gauge', 'bytes', 'Bytes of the last good backup before compression.'),
		(8, 'pg_backupctl_last_duration_seconds', 'gauge', 'seconds', 'Duration of the last good backup.'),
		(9, 'pg_backupctl_next_run_timestamp_seconds', 'gauge', 'seconds', 'When a schedule takes the next backup.'),
		(10, 'pg_backupctl_backups', 'gauge', NULL, 'Backups in the catalog.'),
		(11, 'pg_backupctl_storage_bytes', 'gauge', 'bytes', 'Stored bytes of backups and WAL.'),
		(12, 'pg_backupctl_storage_cost', 'gauge', NULL, 'Cost of stored backups and WAL a month, by backup_price.'),
		(13, 'pg_backupctl_archive_backlog_bytes', 'gauge', 'bytes', 'WAL that waits for a repository.'),
		(14, 'pg_backupctl_archive_state', 'gauge', NULL, 'Status in backup_archiver, 1 for the one that holds.'),
		(15, 'pg_backupctl_possible_loss_bytes', 'gauge', 'bytes', 'WAL that would be lost with this server.'),
		(16, 'pg_backupctl_possible_loss_seconds', 'gauge', 'seconds', 'What was committed longer ago would not be lost.'),
		(17, 'pg_backupctl_wal_disk_full_seconds', 'gauge', 'seconds', 'When the file system of pg_wal will be full.'),
		(18, 'pg_backupctl_archived_files', 'counter', NULL, 'WAL files stored since the start of the server.'),
		(19, 'pg_backupctl_archive_failures', 'counter', NULL, 'Failures to store WAL since the start of the server.'),
		(20, 'pg_backupctl_schedule_failures', 'gauge', NULL, 'Runs of a schedule that have failed in a row.'),
		(21, 'pg_backupctl_job_progress_ratio', 'gauge', 'ratio', 'Part of a running job that is done.'),
		(22, 'pg_backupctl_jobs', 'counter', NULL, 'Jobs that have ended since the start of the server.')
	), status AS MATERIALIZED (
		SELECT s.*, jsonb_build_object('repository', s.repository, 'tier', COALESCE(s.tier, '')) AS labels
		FROM @extschema@.backup_status s
	), archiver AS MATERIALIZED (
		SELECT a.*, jsonb_build_object('repository', a.repository) AS labels
		FROM @extschema@.backup_archiver a
	), storage AS MATERIALIZED (
		SELECT s.*, jsonb_build_object('repository', s.repository, 'kind', s.kind, 'tier', COALESCE(s.tier, ''), 'class', s.storage_class) AS labels
		FROM @extschema@.backup_storage s
	), sample (name, labels, value) AS (
		SELECT 'pg_backupctl_info', jsonb_build_object('version', e.extversion), 1::numeric FROM pg_extension e WHERE e.extname = 'pg_backupctl'
		UNION ALL SELECT 'pg_backupctl_enabled', '{}', CASE current_setting('pg_backupctl.enabled') WHEN 'on' THEN 1 ELSE 0 END
		UNION ALL SELECT 'pg_backupctl_health', jsonb_build_object('check', h.check_name, 'repository', COALESCE(h.repository, '')), h.level
			FROM @extschema@.backup_health h
		UNION ALL SELECT 'pg_backupctl_last_success_timestamp_seconds', s.labels, EXTRACT(epoch FROM s.last_success_at) FROM status s
		UNION ALL SELECT 'pg_backupctl_last_failure_timestamp_seconds', s.labels, EXTRACT(epoch FROM s.last_failure_at) FROM status s
		UNION ALL SELECT 'pg_backupctl_last_size_bytes', s.labels, s.size_bytes FROM status s
		UNION ALL SELECT 'pg_backupctl_last_original_bytes', s.labels, s.original_bytes FROM status s
		UNION ALL SELECT 'pg_backupctl_last_duration_seconds', s.labels, s.duration_seconds FROM status s
		UNION ALL SELECT 'pg_backupctl_next_run_timestamp_seconds', s.labels, EXTRACT(epoch FROM s.next_run_at) FROM status s
		UNION ALL SELECT 'pg_backupctl_backups', s.labels || jsonb_build_object('status', c.status), c.n
			FROM status s, LATERAL (VALUES ('completed', s.completed), ('failed', s.failed),
				('running', s.running), ('cancelled', s.cancelled)) c (status, n)
		UNION ALL SELECT 'pg_backupctl_storage_bytes', s.labels, s.bytes FROM storage s
		UNION ALL SELECT 'pg_backupctl_storage_cost', s.labels || jsonb_build_object('currency', s.currency), s.cost_per_month FROM storage s
		UNION ALL SELECT 'pg_backupctl_archive_backlog_bytes', a.labels, a.backlog_bytes FROM archiver a
		UNION ALL SELECT 'pg_backupctl_archive_state', a.labels || jsonb_build_object('state', k.state), CASE WHEN a.status = k.state THEN 1 ELSE 0 END
			FROM archiver a, unnest('{archiving,behind,failing,refused,hole,off,standby,not configured}'::text[]) k (state)
		UNION ALL SELECT 'pg_backupctl_possible_loss_bytes', a.labels, a.possible_loss_bytes FROM archiver a
		UNION ALL SELECT 'pg_backupctl_possible_loss_seconds', a.labels, EXTRACT(epoch FROM a.possible_loss_age) FROM archiver a
		UNION ALL SELECT 'pg_backupctl_wal_disk_full_seconds', a.labels, EXTRACT(epoch FROM a.disk_full_in) FROM archiver a
		UNION ALL SELECT 'pg_backupctl_archived_files', a.labels, a.files FROM archiver a
		UNION ALL SELECT 'pg_backupctl_archive_failures', a.labels, a.failures FROM archiver a
		UNION ALL SELECT 'pg_backupctl_schedule_failures', jsonb_build_object('schedule', e.name), e.consecutive_failures
			FROM @extschema@.backup_schedule e
		UNION ALL SELECT 'pg_backupctl_job_progress_ratio', jsonb_build_object('job', p.job, 'repository', COALESCE(p.repository, ''), 'label', COALESCE(p.label, '')),
				round(p.percent / 100, 3) FROM @extschema@.backup_progress p
		UNION ALL SELECT 'pg_backupctl_jobs', jsonb_build_object('job', c.job, 'result', c.result), c.jobs FROM @extschema@.backup_job_counts() c
	), line AS (
		SELECT f.number, 1 AS part, '# TYPE ' || f.name || ' ' || f.type AS text FROM family f
		UNION ALL SELECT f.number, 2, '# UNIT ' || f.name || ' ' || f.unit FROM family f WHERE f.unit IS NOT NULL
		UNION ALL SELECT f.number, 3, '# HELP ' || f.name || ' ' || f.help FROM family f
		UNION ALL
		SELECT f.number, 4, f.name || CASE f.type WHEN 'counter' THEN '_total' ELSE '' END
			|| COALESCE('{' || l.labels || '}', '') || ' ' || trim_scale(s.value)
		FROM sample s JOIN family f ON f.name = s.name,
			LATERAL (SELECT string_agg(j.key || '="' || replace(replace(replace(j.value, '\', '\\'), '"', '\"'), chr(10), '\n') || '"',
				',' ORDER BY j.key) AS labels FROM jsonb_each_text(s.labels) j) l
		WHERE s.value IS NOT NULL
	)
	SELECT string_agg(l.text || chr(10), '' ORDER BY l.number, l.part, l.text COLLATE "C") || '# EOF' || chr(10)
	FROM line l
	WHERE EXISTS (SELECT FROM line o WHERE o.number = l.number AND o.part = 4)
$$;

COMMENT ON FUNCTION @extschema@.backup_metrics()
	IS 'the views as metrics, in the text format of OpenMetrics';

-- ---------------------------------------------------------------------------
-- rights: nothing for PUBLIC, reading for pg_monitor
-- ---------------------------------------------------------------------------

REVOKE ALL ON TABLE @extschema@.backup_catalog, @extschema@.backup_copy,
	@extschema@.backup_progress, @extschema@.backup_archiver,
	@extschema@.backup_recovery_window, @extschema@.backup_event,
	@extschema@.backup_schedule_entry, @extschema@.backup_schedule,
	@extschema@.backup_policy, @extschema@.backup_target,
	@extschema@.backup_target_sent FROM PUBLIC;
REVOKE ALL ON TABLE @extschema@.backup_threshold, @extschema@.backup_price,
	@extschema@.backup_wal_usage, @extschema@.backup_health_told,
	@extschema@.backup_status, @extschema@.backup_health, @extschema@.backup_storage FROM PUBLIC;
REVOKE ALL ON FUNCTION
	@extschema@.backup_row_changed(),
	@extschema@.backup_clock_jump(),
	@extschema@.backup_age_text(interval),
	@extschema@.backup_repository_class(text, text),
	@extschema@.backup_metrics(),
	@extschema@.backup_cost_forecast(text, integer, integer, integer, integer, integer, interval, text, text)
	FROM PUBLIC;
REVOKE ALL ON FUNCTION
	@extschema@.backup_now(text, text, boolean, text, interval, jsonb),
	@extschema@.backup_cancel(bigint),
	@extschema@.backup_verify(bigint, text),
	@extschema@.register_backup(text, text, bigint, jsonb),
	@extschema@.update_backup_verification(bigint, text, boolean),
	@extschema@.backup_jobs(),
	@extschema@.backup_job_counts(),
	@extschema@.backup_archiver_state(),
	@extschema@.backup_repository_state(),
	@extschema@.backup_recovery_windows(),
	@extschema@.backup_take_over(text),
	@extschema@.backup_wal_conflict_resolve(text, text),
	@extschema@.backup_rotate_key(text, text, boolean),
	@extschema@.backup_shred_keys(text, text, text, bigint),
	@extschema@.backup_shred(bigint, text),
	@extschema@.backup_check(text),
	@extschema@.backup_event_add(text, text, text, bigint, text, text, text, text, jsonb),
	@extschema@.backup_setting_changes(text, bigint),
	@extschema@.backup_health_look(),
	@extschema@.backup_hold_put(text, text, boolean, timestamptz, text, text, bigint),
	@extschema@.backup_hold_change(bigint, boolean, text),
	@extschema@.backup_hold(bigint, text),
	@extschema@.backup_release(bigint, text),
	@extschema@.backup_catalog_sync(text),
	@extschema@.backup_adopt_claim(bigint, text, boolean),
	@extschema@.backup_adopt(bigint, text, boolean),
	@extschema@.backup_schedule_changed(),
	@extschema@.backup_cron_next(text, integer, timestamptz, text),
	@extschema@.backup_schedule_runs(text, integer, text),
	@extschema@.schedule_backup(text, text, text, text, text, interval, text, jsonb, text, boolean, interval, interval, text, integer),
	@extschema@.unschedule_backup(text),
	@extschema@.backup_job_check(text, text, text, text, jsonb),
	@extschema@.backup_set_policy(text, integer, integer, integer, integer, integer, interval, integer, interval, text, text),
	@extschema@.backup_expire(boolean, text),
	@extschema@.backup_clock_is_right(),
	@extschema@.backup_event_added(),
	@extschema@.backup_target_changed(),
	@extschema@.backup_notify_check(text, text, text, text, text, text, text, text, text, text, text),
	@extschema@.backup_notify_target(text, text, text, text, jsonb, text, text[], interval, boolean),
	@extschema@.backup_notify_remove(text),
	@extschema@.backup_notify_test(text)
	FROM PUBLIC;
REVOKE ALL ON PROCEDURE
	@extschema@.backup_run(text, text, boolean, text, interval, jsonb, bigint) FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.backup_catalog, @extschema@.backup_copy,
	@extschema@.backup_progress, @extschema@.backup_archiver,
	@extschema@.backup_recovery_window, @extschema@.backup_event,
	@extschema@.backup_schedule, @extschema@.backup_policy TO pg_monitor;
GRANT EXECUTE ON FUNCTION @extschema@.backup_jobs(),
	@extschema@.backup_job_counts(),
	@extschema@.backup_archiver_state(),
	@extschema@.backup_repository_state(),
	@extschema@.backup_recovery_windows(),
	@extschema@.backup_cron_next(text, integer, timestamptz, text),
	@extschema@.backup_schedule_runs(text, integer, text) TO pg_monitor;
GRANT SELECT ON TABLE @extschema@.backup_threshold, @extschema@.backup_price,
	@extschema@.backup_wal_usage,
	@extschema@.backup_status, @extschema@.backup_health, @extschema@.backup_storage TO pg_monitor;
GRANT EXECUTE ON FUNCTION @extschema@.backup_clock_jump(),
	@extschema@.backup_age_text(interval),
	@extschema@.backup_repository_class(text, text),
	@extschema@.backup_metrics(),
	@extschema@.backup_cost_forecast(text, integer, integer, integer, integer, integer, interval, text, text) TO pg_monitor;
