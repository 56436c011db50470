/*
 * error.h
 *		Errors as values.
 *
 * Every function of the core that can fail returns bool and takes a
 * BkcError * as its last argument; when it returns false that object says
 * what went wrong.  The object is plain memory (usually on the caller's
 * stack), owns nothing, and can be copied by assignment.  Error setters
 * always return false, so that "return bkc_error_set(...)" reads well.
 *
 * Messages follow PostgreSQL's style guide: message in lower case without a
 * full stop, naming the object; detail and hint are sentences.  The first
 * message wins on the way up: callers add context with
 * bkc_error_context(), they do not overwrite.  Never log *and* return.
 *
 * The error argument must not be NULL.
 */
#ifndef BKC_BASE_ERROR_H
#define BKC_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

typedef enum BkcErrorCode
{
	BKC_OK = 0,
	BKC_ERR_INVALID,			/* bad argument, URL, setting or path */
	BKC_ERR_NOT_FOUND,			/* proven absent */
	BKC_ERR_EXISTS,				/* an object or file of that name is there */
	BKC_ERR_CORRUPT,			/* stored bytes are not what was written */
	BKC_ERR_UNSUPPORTED,		/* newer format, unknown kind or codec */
	BKC_ERR_ACCESS,				/* permission or authentication */
	BKC_ERR_KEY,				/* no key for what is sealed, or is to be */
	BKC_ERR_ARCHIVED,			/* in a storage class from which it must be thawed first */
	BKC_ERR_NO_SPACE,			/* file system, quota or bucket is full */
	BKC_ERR_IO,					/* any other failure of a system call */
	BKC_ERR_UNAVAILABLE,		/* passing trouble: try again */
	BKC_ERR_TIMEOUT,
	BKC_ERR_CANCELLED,			/* BkcHost.cancelled() said so */
	BKC_ERR_STATE,				/* things are not in the state this needs */
	BKC_ERR_NO_MEMORY,
	BKC_ERR_INTERNAL			/* a bug of ours */
} BkcErrorCode;

#define BKC_ERROR_MESSAGE_MAX	1024
#define BKC_ERROR_DETAIL_MAX	1024
#define BKC_ERROR_HINT_MAX		512

typedef struct BkcError
{
	BkcErrorCode code;
	int			os_errno;		/* 0 when no system call failed */
	int			http_status;	/* 0 when no HTTP reply was involved */
	char		message[BKC_ERROR_MESSAGE_MAX];
	char		detail[BKC_ERROR_DETAIL_MAX];	/* "" when none */
	char		hint[BKC_ERROR_HINT_MAX];	/* "" when none */
} BkcError;

#define BKC_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Set to BKC_OK with empty texts. */
extern void bkc_error_clear(BkcError *err);

/* Set code and message; clears the rest.  Returns false. */
extern bool bkc_error_set(BkcError *err, BkcErrorCode code, const char *fmt,...) BKC_PRINTF(3, 4);

/*
 * The same for a failed system call: the code is derived from saved_errno
 * (ENOENT, EACCES/EPERM/EROFS, ENOSPC/EDQUOT/EFBIG, EEXIST, ENOMEM, else IO) and
 * ": <strerror>" is appended.  Returns false.
 */
extern bool bkc_error_os(BkcError *err, int saved_errno, const char *fmt,...) BKC_PRINTF(3, 4);

/* "out of memory"; returns false. */
extern bool bkc_error_oom(BkcError *err);

/* Set detail or hint of an error that is set; return false. */
extern bool bkc_error_detail(BkcError *err, const char *fmt,...) BKC_PRINTF(2, 3);
extern bool bkc_error_hint(BkcError *err, const char *fmt,...) BKC_PRINTF(2, 3);

/* Put "context: " in front of the message; returns false. */
extern bool bkc_error_context(BkcError *err, const char *fmt,...) BKC_PRINTF(2, 3);

/* A lower-case word for a code, e.g. "corrupt" (for --json and tests). */
extern const char *bkc_error_code_name(BkcErrorCode code);

#endif							/* BKC_BASE_ERROR_H */
