/*
 * walmake.h
 *		WAL made by hand, page by page, for tests.
 */
#ifndef BKC_TEST_WALMAKE_H
#define BKC_TEST_WALMAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define WAL_SYSID		UINT64_C(7435718529102938471)
#define WAL_SEGMENT		(1024 * 1024)
#define WAL_BLOCK		8192

typedef struct WalMaker
{
	BkcBuffer	bytes;			/* from start on */
	uint64_t	start;
	uint64_t	prev;			/* of the last record */
	uint32_t	timeline;
	uint32_t	block;
	uint16_t	magic;
	uint16_t	page_flags;		/* more of them for the next page */
	uint32_t	rest;			/* of a record from before start */
} WalMaker;

extern void wal_begin(WalMaker *w, uint64_t start);
extern void wal_free(WalMaker *w);

/* LSN of the next byte. */
extern uint64_t wal_pos(const WalMaker *w);

/* Append a record with that body; returns where it begins. */
extern uint64_t wal_record(WalMaker *w, uint8_t rmid, uint8_t info, uint32_t xid,
						   const void *body, size_t len);

/* The same, but only its first keep bytes get there, and no page after them. */
extern uint64_t wal_torn_record(WalMaker *w, size_t len, size_t keep);

/* Main data behind the header it needs. */
extern uint64_t wal_main(WalMaker *w, uint8_t rmid, uint8_t info, uint32_t xid,
						 const void *data, size_t len);

/* Zeros to the next page, or to the next segment. */
extern void wal_fill_page(WalMaker *w);
extern void wal_fill_segment(WalMaker *w);

/* A record with n bytes that mean nothing here. */
extern uint64_t wal_noise(WalMaker *w, size_t len);

/* Noise so that the next record begins left bytes (a multiple of 8) before the page's end. */
extern void wal_leave(WalMaker *w, uint32_t left);

/* Commit or abort without anything else; time is of PostgreSQL: since 2000. */
extern uint64_t wal_xact(WalMaker *w, uint8_t op, uint32_t xid, int64_t time);

#endif							/* BKC_TEST_WALMAKE_H */
