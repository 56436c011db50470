/*
 * stage_sinks.c
 *		Where plain bytes end: nowhere, in a buffer, in a file.
 */
#include "pipe/stages.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/host.h"

/* ---- null ---- */

static bool
null_begin(BkcStage *stage, BkcError *err)
{
	return true;
}

static bool
null_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	return true;
}

static bool
null_end(BkcStage *stage, BkcError *err)
{
	return true;
}

static void
null_abort(BkcStage *stage)
{
}

static void
sink_close(BkcStage *stage)
{
	free(stage);
}

static const BkcStageOps null_ops = {
	.begin = null_begin,
	.write = null_write,
	.end = null_end,
	.abort = null_abort,
	.close = sink_close
};

BkcStage *
bkc_stage_null_new(BkcError *err)
{
	BkcStage   *self = calloc(1, sizeof(*self));

	if (self == NULL)
		bkc_error_oom(err);
	else
		self->ops = &null_ops;
	return self;
}

/* ---- buffer ---- */

typedef struct BufferStage
{
	BkcStage	base;
	BkcBuffer  *out;
	size_t		max;			/* bytes a file may have */
	size_t		start;			/* out->len at begin() */
	bool		open;
} BufferStage;

static bool
buffer_begin(BkcStage *stage, BkcError *err)
{
	BufferStage *self = (BufferStage *) stage;

	self->start = self->out->len;
	self->open = true;
	return true;
}

static bool
buffer_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	BufferStage *self = (BufferStage *) stage;

	if (frame->len > self->max - (self->out->len - self->start))
		return bkc_error_set(err, BKC_ERR_INVALID, "content has more than %zu bytes", self->max);
	return bkc_buffer_append(self->out, frame->data, frame->len, err);
}

static bool
buffer_end(BkcStage *stage, BkcError *err)
{
	((BufferStage *) stage)->open = false;
	return true;
}

static void
buffer_abort(BkcStage *stage)
{
	BufferStage *self = (BufferStage *) stage;

	if (self->open && self->out->data != NULL)
	{
		self->out->len = self->start;
		self->out->data[self->start] = '\0';
	}
	self->open = false;
}

static const BkcStageOps buffer_ops = {
	.begin = buffer_begin,
	.write = buffer_write,
	.end = buffer_end,
	.abort = buffer_abort,
	.close = sink_close
};

BkcStage *
bkc_stage_buffer_new(BkcBuffer *out, size_t max, BkcError *err)
{
	BufferStage *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	self->base.ops = &buffer_ops;
	self->out = out;
	self->max = max;
	return &self->base;
}

/* ---- file ---- */

#define WRITEBACK_STEP	((uint64_t) 8 * 1024 * 1024)

typedef struct FileStage
{
	BkcStage	base;
	int			fd;
	const char *path;			/* the caller's, for messages */
	uint64_t	offset;			/* bytes written of this file */
	uint64_t	started;		/* write-back has been started up to here */
	bool		no_writeback;	/* the file system cannot */
} FileStage;

static bool
file_begin(BkcStage *stage, BkcError *err)
{
	FileStage  *self = (FileStage *) stage;

	if (self->fd < 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "file stage without a target");
	self->offset = 0;
	self->started = 0;
	return true;
}

static bool
file_write(BkcStage *stage, const BkcFrame *frame, BkcError *err)
{
	FileStage  *self = (FileStage *) stage;
	bool		ok;

	if (self->fd < 0)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "file stage without a target");
	bkc_host->wait_event(BKC_WAIT_FILE_WRITE);
	ok = bkc_file_write(self->fd, self->path, frame->data, frame->len, err);
	if (ok)
		self->offset += frame->len;
	if (ok && self->offset - self->started >= WRITEBACK_STEP && !self->no_writeback)
	{
		/* only a hint: errors of the device come back from the later fsync */
		if (sync_file_range(self->fd, (off64_t) self->started,
							(off64_t) (self->offset - self->started), SYNC_FILE_RANGE_WRITE) != 0)
			self->no_writeback = true;
		self->started = self->offset;
	}
	bkc_host->wait_event(BKC_WAIT_NONE);
	return ok;
}

/* The target belongs to one file; the next one must be set anew. */
static bool
file_end(BkcStage *stage, BkcError *err)
{
	((FileStage *) stage)->fd = -1;
	return true;
}

static void
file_abort(BkcStage *stage)
{
	((FileStage *) stage)->fd = -1;
}

static const BkcStageOps file_ops = {
	.begin = file_begin,
	.write = file_write,
	.end = file_end,
	.abort = file_abort,
	.close = sink_close
};

BkcStage *
bkc_stage_file_new(BkcError *err)
{
	FileStage  *self = calloc(1, sizeof(*self));

	if (self == NULL)
	{
		bkc_error_oom(err);
		return NULL;
	}
	self->base.ops = &file_ops;
	self->fd = -1;
	return &self->base;
}

void
bkc_stage_file_target(BkcStage *stage, int fd, const char *path)
{
	FileStage  *self = (FileStage *) stage;

	self->fd = fd;
	self->path = path;
}
