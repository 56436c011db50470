--
-- Predecessors: arguments and rights
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_backup_nobody;
CREATE ROLE regress_backup_operator;
CREATE EXTENSION pg_backupctl;

-- arguments
SELECT backup_adopt(NULL);
SELECT backup_adopt(0);
SELECT backup_adopt(4711);
SELECT backup_adopt(4711, 'nowhere');
SELECT backup_adopt(4711, 'main', force => true);
\set VERBOSITY sqlstate
SELECT backup_adopt(system_identifier) FROM pg_control_system();
SELECT backup_adopt(4711);
\set VERBOSITY default
SELECT count(*) FROM backup_event WHERE kind = 'adopt';

-- rights
SET SESSION AUTHORIZATION regress_backup_nobody;
SELECT backup_adopt(4711);
SELECT * FROM backup_adopt_claim(4711, NULL, false);
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION backup_adopt, backup_adopt_claim TO regress_backup_operator;
SET SESSION AUTHORIZATION regress_backup_operator;
SELECT backup_adopt(4711);
SELECT * FROM backup_adopt_claim(4711, NULL, false);
RESET SESSION AUTHORIZATION;

DROP EXTENSION pg_backupctl;
DROP ROLE regress_backup_nobody, regress_backup_operator;
