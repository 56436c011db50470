/*
 * walscan_crc.h
 *		CRC-32C piece by piece, as fast as the processor can.
 */
#ifndef BKC_FORMAT_WALSCAN_CRC_H
#define BKC_FORMAT_WALSCAN_CRC_H

#include <stddef.h>
#include <stdint.h>

#define BKC_CRC32C_INIT		UINT32_C(0xFFFFFFFF)
#define BKC_CRC32C_FINAL(crc)	((crc) ^ UINT32_C(0xFFFFFFFF))

/* The CRC of what crc stands for, followed by these bytes. */
typedef uint32_t (*BkcCrc32cUpdate) (uint32_t crc, const void *data, size_t len);

/* By the processor's instruction where it has one, else by a table. */
extern BkcCrc32cUpdate bkc_crc32c_best(void);

/* By a table, everywhere; best() gives the same results. */
extern uint32_t bkc_crc32c_by_table(uint32_t crc, const void *data, size_t len);

#endif							/* BKC_FORMAT_WALSCAN_CRC_H */
