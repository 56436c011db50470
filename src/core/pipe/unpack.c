/*
 * unpack.c
 *		One file after another out of a backup's packs, checked on the way.
 */
#include "pipe/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "pipe/chain.h"
#include "pipe/unpack_plan.h"

struct BkcUnpacker
{
	BkcStore   *store;
	const BkcBackup *backup;
	BkcChain   *chain;
	BkcPackReader *pack;		/* the pack used last; NULL: none */
	char		pack_label[BKC_LABEL_MAX];
	uint32_t	pack_worker;
	uint32_t	pack_number;
	uint64_t	left;			/* plain bytes still to come of the present file */
};

bool
bkc_unpacker_new(BkcStore *store, const BkcBackup *backup, BkcStage *sink,
				 BkcProgressFunc progress, void *progress_arg,
				 BkcUnpacker **unpacker, BkcError *err)
{
	BkcChainSpec spec = {
		.codec = BKC_CODEC_NONE,	/* every pack says its own */
		.progress = progress,
		.progress_arg = progress_arg
	};
	BkcUnpacker *new = calloc(1, sizeof(*new));

	*unpacker = NULL;
	if (new == NULL)
	{
		bkc_stage_close(sink);
		return bkc_error_oom(err);
	}
	new->store = store;
	new->backup = backup;
	if (!bkc_chain_new_restore(&spec, sink, &new->chain, err))
	{
		free(new);
		return false;
	}
	*unpacker = new;
	return true;
}

/* Have the piece's pack open. */
static bool
unpack_open(BkcUnpacker *u, const BkcPiece *piece, BkcError *err)
{
	const BkcManifestHeader *header = &u->backup->header;
	const char *label = piece->label[0] != '\0' ? piece->label : header->label;
	const BkcPackInfo *expect = NULL;
	char		name[BKC_NAME_MAX];

	if (u->pack != NULL && u->pack_worker == piece->pack_worker &&
		u->pack_number == piece->pack_number && strcmp(u->pack_label, label) == 0)
		return true;
	bkc_packreader_close(u->pack);
	u->pack = NULL;
	if (!bkc_name_pack(header->system_identifier, label, piece->pack_worker,
					   piece->pack_number, name, err))
		return false;
	if (strcmp(label, header->label) == 0)
	{
		expect = bkc_backup_find_pack(u->backup, piece->pack_worker, piece->pack_number);
		if (expect == NULL)
			return bkc_error_set(err, BKC_ERR_CORRUPT, "pack \"%s\" is not in the manifest", name);
	}
	if (!bkc_packreader_open(u->store, name, expect, &u->pack, err))
		return false;
	u->pack_worker = piece->pack_worker;
	u->pack_number = piece->pack_number;
	memcpy(u->pack_label, label, strlen(label) + 1);
	bkc_chain_codec(u->chain, bkc_packreader_codec(u->pack));
	return true;
}

/* All frames are full but the last one: the size says how long each must be. */
static bool
unpack_frame(void *arg, const BkcFrame *frame, BkcError *err)
{
	BkcUnpacker *u = arg;
	uint64_t	due = u->left < BKC_FRAME_PLAIN_MAX ? u->left : BKC_FRAME_PLAIN_MAX;

	if (frame->plain_len != due)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "frame of %u plain bytes where %u are due",
							 frame->plain_len, (unsigned) due);
	u->left -= due;
	return bkc_chain_write(u->chain, frame, err);
}

static bool
unpack_pieces(BkcUnpacker *u, const BkcEntry *entry, BkcError *err)
{
	const BkcDigestResult *digest = bkc_chain_digest(u->chain);

	u->left = entry->size;
	if (!bkc_chain_begin(u->chain, err))
		return false;
	for (size_t i = 0; i < entry->npieces; i++)
	{
		const BkcPiece *piece = &entry->pieces[i];

		if (!unpack_open(u, piece, err) ||
			!bkc_packreader_read(u->pack, piece->first_frame, piece->frame_count,
								 unpack_frame, u, err))
			return false;
	}
	if (u->left > 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "the last %llu bytes are missing",
							 (unsigned long long) u->left);
	if (!bkc_chain_end(u->chain, err))
		return false;
	if (digest->bytes != entry->size ||
		memcmp(digest->sha256, entry->sha256, BKC_SHA256_SIZE) != 0)
		return bkc_error_set(err, BKC_ERR_CORRUPT, "the SHA-256 is not the one in the manifest");
	return true;
}

bool
bkc_unpack_file(BkcUnpacker *unpacker, const BkcEntry *entry, BkcError *err)
{
	char		root[32];

	bkc_root_name(entry->root, entry->tablespace, root);
	if (entry->type != BKC_ENTRY_FILE)
		return bkc_error_set(err, BKC_ERR_INTERNAL, "\"%s\" of %s is not a file",
							 entry->path, root);
	if (unpack_pieces(unpacker, entry, err))
		return true;
	bkc_chain_abort(unpacker->chain);
	return bkc_error_context(err, "file \"%s\" of %s", entry->path, root);
}

void
bkc_unpacker_close(BkcUnpacker *unpacker)
{
	if (unpacker == NULL)
		return;
	bkc_packreader_close(unpacker->pack);
	bkc_chain_close(&unpacker->chain);
	free(unpacker);
}
