/*
 * walmap_inner.h
 *		What the files of the WAL map share; nobody else includes it.
 */
#ifndef BKC_PIPE_WALMAP_INNER_H
#define BKC_PIPE_WALMAP_INNER_H

#include "pipe/walmap.h"

/* Room for one more member of that width behind the n that are there. */
extern bool bkc_walmap_grow(void **list, size_t *cap, size_t n, size_t width, BkcError *err);

/* Index of the first run of that timeline that ends at segno or behind it (or of what follows). */
extern size_t bkc_walmap_run_at(const BkcWalMap *map, uint32_t timeline, uint64_t segno);

/* The same in a list of single segments. */
extern size_t bkc_waltail_at(const BkcWalTail *list, size_t n, uint32_t timeline, uint64_t segno);
extern bool bkc_waltail_has(const BkcWalTail *list, size_t n, uint32_t timeline, uint64_t segno);

/* One more than the highest number that a segment can have.  The map's size must be known. */
extern uint64_t bkc_walmap_segments_end(const BkcWalMap *map);

/* Is this failure about one object, so that the others can still be used? */
extern bool bkc_walmap_is_damage(BkcErrorCode code);

/* Warn of such a failure, clear it and return true; false, and nothing done, when it is another. */
extern bool bkc_walmap_pass_damage(BkcError *err);

/* The segments first .. next - 1 are those of leg i; none when first == next. */
extern void bkc_walpath_segments(const BkcWalMap *map, const BkcWalPath *path, size_t i,
								 uint64_t *first, uint64_t *next);

/* Index of the leg whose timeline's number the segment bears. */
extern size_t bkc_walpath_leg_at(const BkcWalMap *map, const BkcWalPath *path, uint64_t segno);

#endif							/* BKC_PIPE_WALMAP_INNER_H */
