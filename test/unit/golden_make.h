/*
 * golden_make.h
 *		The golden repository as the core sees it, and how it is written.
 */
#ifndef GOLDEN_MAKE_H
#define GOLDEN_MAKE_H

#include "format/documents.h"
#include "format/manifest.h"
#include "store/store.h"

extern const BkcManifestHeader golden_core_header;
extern const BkcClusterDoc golden_core_cluster;
extern const BkcBeginDoc golden_core_begin[2];
extern const BkcVerifyNote golden_core_notes[2];

/* Write everything into an empty store.  What is there already is never overwritten. */
extern bool golden_make(BkcStore *store, BkcError *err);

#endif							/* GOLDEN_MAKE_H */
