--
-- Holds, and the catalog as the repositories have it: arguments and rights
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_backup_nobody;
CREATE ROLE regress_backup_monitor IN ROLE pg_monitor;
CREATE ROLE regress_backup_operator;
CREATE EXTENSION pg_backupctl;
SELECT backup_now();

-- arguments
SELECT backup_hold(1, NULL);
SELECT backup_hold(1, E' ');
SELECT backup_hold(NULL, 'because');
SELECT backup_hold(4711, 'because');
SELECT backup_hold(1, repeat('x', 256));
SELECT backup_release(1);
SELECT backup_release(4711);
SELECT backup_hold(register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000), 'because');
SELECT held, metadata ? 'hold_at' AS noted FROM backup_catalog WHERE id = 1;
SELECT * FROM backup_catalog_sync('nowhere');

-- rights
SET SESSION AUTHORIZATION regress_backup_nobody;
SELECT backup_hold(1, 'because');
SELECT backup_release(1);
SELECT backup_hold_change(1, true, 'because');
SELECT backup_hold_put('20261120T120301Z-full-7f3a', 'main', true, now(), 'because', 'me', 1);
SELECT * FROM backup_catalog_sync();
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_backup_monitor;
SELECT backup_hold(1, 'because');
SELECT * FROM backup_catalog_sync();
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION backup_hold, backup_release, backup_catalog_sync TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_hold(1, 'case 4711');
SELECT backup_hold_change(1, false, 'because');
SELECT backup_hold_put('20261120T120301Z-full-7f3a', 'main', false, now(), 'because', 'me', 1);
UPDATE backup_catalog SET held = false;
SELECT repository, added >= 0 AS added, updated, missing, foreign_clusters FROM backup_catalog_sync('main');
RESET SESSION AUTHORIZATION;

-- what they have done
SELECT held, metadata ->> 'hold_reason' AS reason, metadata ->> 'hold_by' AS by FROM backup_catalog WHERE id = 1;
SELECT backup_hold(1, 'case 4712');
SELECT held, metadata ->> 'hold_reason' AS reason, metadata ->> 'hold_by' = SESSION_USER AS by FROM backup_catalog WHERE id = 1;
SELECT backup_release(1, 'closed');
SELECT held, metadata ? 'hold_reason' AS reason, metadata ? 'hold_by' AS by FROM backup_catalog WHERE id = 1;
SELECT kind, actor = SESSION_USER AS by_me, backup_id, detail FROM backup_event WHERE kind IN ('hold', 'release') ORDER BY id;
SELECT DISTINCT kind, result, actor FROM backup_event WHERE kind = 'sync' AND actor <> 'server';

-- a row that names no cluster is of this one
UPDATE backup_catalog SET system_identifier = NULL WHERE id = 1;
SELECT backup_hold(1, 'case 4713');
UPDATE backup_catalog SET held = false, metadata = metadata - 'hold_at' WHERE id = 1;
SELECT updated, missing FROM backup_catalog_sync('main');
SELECT held, metadata ->> 'hold_reason' AS reason FROM backup_catalog WHERE id = 1;
SELECT action, reason FROM backup_expire() WHERE id = 1;
SELECT backup_release(1);

DROP EXTENSION pg_backupctl;
DROP ROLE regress_backup_nobody, regress_backup_monitor, regress_backup_operator;
