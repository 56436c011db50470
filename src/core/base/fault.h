/*
 * fault.h
 *		Named places where tests make things go wrong.
 *
 * bkc_fault(BKC_FAULT_X, err) is placed where a crash or a failure is
 * interesting.  In builds without BKC_FAULTS it is the constant true.
 *
 * Otherwise BkcHost.fault_spec() gives a comma-separated list of
 *		name=action[:argument][@count]
 * (the server: setting pg_backupctl.fault; the client: environment variable
 * PG_BACKUPCTL_FAULT), where action is
 *		fail			return false with BKC_ERR_IO "fault point NAME"
 *		nospace			return false with BKC_ERR_NO_SPACE
 *		cancel			return false with BKC_ERR_CANCELLED
 *		sleep:MS		wait that long in slices, giving up when cancelled
 *		kill			kill -9 this process
 *		exit			_exit(1)
 * and @count means: only at the count-th passage (counted per process and per
 * point, from 1, anew when the specification changes), default every passage.
 * sleep that is cancelled returns false with BKC_ERR_CANCELLED.
 */
#ifndef BKC_BASE_FAULT_H
#define BKC_BASE_FAULT_H

#include "base/error.h"

/*		identifier				name in the specification */
#define BKC_FAULT_LIST(X) \
	X(LEADER_ROW,				"leader-row")			/* row "running" is committed */ \
	X(LEADER_BEGIN,				"leader-begin")			/* begin object is stored */ \
	X(LEADER_STARTED,			"leader-started")		/* do_pg_backup_start has returned */ \
	X(LEADER_LISTED,			"leader-listed")		/* file list is made */ \
	X(LEADER_COPIED,			"leader-copied")		/* all workers are through */ \
	X(LEADER_STOPPED,			"leader-stopped")		/* do_pg_backup_stop has returned */ \
	X(LEADER_WAL,				"leader-wal")			/* WAL is stored */ \
	X(LEADER_MANIFEST,			"leader-manifest")		/* manifest is stored, row not yet */ \
	X(COPY_FILE,				"copy-file")			/* a worker has opened a file */ \
	X(COPY_FRAME,				"copy-frame")			/* a worker has read a frame */ \
	X(PACK_COMMIT,				"pack-commit")			/* before a pack is committed */ \
	X(WAL_SEGMENT,				"wal-segment")			/* before a segment is stored */ \
	X(ARCHIVE_FILE,				"archive-file")			/* archiver: before a file is sent */ \
	X(ARCHIVE_STORED,			"archive-stored")		/* durable everywhere, not reported yet */ \
	X(HELPER_SEGMENT,			"helper-segment")		/* WAL helper: a segment is taken */ \
	X(HELPER_TWO,				"helper-two")			/* two are begun, none finished */ \
	X(HELPER_STORED,			"helper-stored")		/* durable, the queue does not know yet */ \
	X(CHUNK_SEND,				"chunk-send")			/* streamer: before a chunk is sent */ \
	X(CHUNK_STORED,				"chunk-stored")			/* durable, not noted yet */ \
	X(CHUNK_REMOVE,				"chunk-remove")			/* before chunks of a whole segment go */ \
	X(OWNER_CLAIM,				"owner-claim")			/* before an owner object is written */ \
	X(OWNER_CLAIMED,			"owner-claimed")		/* it is written, nobody here knows it yet */ \
	X(ADOPT,					"adopt")				/* before a predecessor is claimed */ \
	X(ADOPTED,					"adopted")				/* it is, and the catalog does not know */ \
	X(WALGET_FETCHED,			"wal-get-fetched")		/* before the file gets its name */ \
	X(WALGET_PREFETCH,			"wal-get-prefetch")		/* prefetch: before a segment */ \
	X(VERIFY_FILE,				"verify-file")			/* verify begins a file */ \
	X(STORE_OPEN_WRITE,			"store-open-write") \
	X(STORE_WRITE,				"store-write") \
	X(STORE_COMMIT,				"store-commit") \
	X(STORE_NAMED,				"store-named")			/* visible, its name not durable yet */ \
	X(STORE_SYNC,				"store-sync")			/* before one that was seen is synced */ \
	X(STORE_READ,				"store-read") \
	X(STORE_LIST,				"store-list") \
	X(STORE_REMOVE,				"store-remove") \
	X(RESTORE_MARKED,			"restore-marked")		/* marker file is written */ \
	X(RESTORE_FILE,				"restore-file")			/* a worker begins a file */ \
	X(RESTORE_FILES,			"restore-files")		/* all files are in place */ \
	X(RESTORE_EXTRAS,			"restore-extras")		/* label, map, configuration written */ \
	X(RESTORE_SYNCED,			"restore-synced")		/* everything is fsynced */ \
	X(RESTORE_CONTROL,			"restore-control")		/* pg_control is in place */ \
	X(SETTLE_ROW,				"settle-row") \
	X(SETTLE_SWEEP,				"settle-sweep") \
	X(EXPIRE_BACKUP,			"expire-backup") \
	X(EXPIRE_ROW,				"expire-row") \
	X(EXPIRE_WAL,				"expire-wal")

typedef enum BkcFault
{
#define X(id, name) BKC_FAULT_##id,
	BKC_FAULT_LIST(X)
#undef X
	BKC_FAULT_COUNT
} BkcFault;

#ifdef BKC_FAULTS
extern bool bkc_fault(BkcFault point, BkcError *err);
#else
#define bkc_fault(point, err) ((void) (err), true)
#endif

/*
 * Is this text a valid specification?  On false err names the bad part and
 * lists the valid names.  Without BKC_FAULTS only the empty text is valid.
 */
extern bool bkc_fault_spec_check(const char *spec, BkcError *err);

#endif							/* BKC_BASE_FAULT_H */
