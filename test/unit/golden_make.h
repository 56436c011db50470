/*
 * golden_make.h
 *		The golden repository as the core sees it, and how it is written.
 */
#ifndef GOLDEN_MAKE_H
#define GOLDEN_MAKE_H

#include "format/documents.h"
#include "format/manifest.h"
#include "golden.h"
#include "store/store.h"

extern const BkcManifestHeader golden_core_header;
extern const BkcManifestHeader golden_core_archived;
extern const BkcClusterDoc golden_core_cluster;
extern const BkcBeginDoc golden_core_begin[GOLDEN_BEGINS];
extern const BkcVerifyNote golden_core_notes[2];
extern const BkcOwnerDoc golden_core_owners[GOLDEN_OWNERS];

/* Write everything into an empty store.  What is there already is never overwritten. */
extern bool golden_make(BkcStore *store, BkcError *err);

/* A backup of a few files, without its begin object, where other things matter. */
extern bool golden_make_small(BkcStore *store, const char *label, BkcError *err);

/* golden_make_wal.c: the WAL part of it. */
extern bool golden_make_wal(BkcStore *store, BkcError *err);

#endif							/* GOLDEN_MAKE_H */
