/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte strings stored once: equal ones get the same number. */
#ifndef DYSCO_TESTS_EXPLORE_POOL_H
#define DYSCO_TESTS_EXPLORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xp_pool {
	uint8_t *bytes; /* entries one after the other, 8-byte aligned */
	uint64_t used, room;
	uint64_t *entries; /* by number: offset, shifted over its length */
	uint32_t count;
	uint32_t *index; /* open addressing, 0: empty */
	uint32_t mask;
};

bool xp_pool_open(struct xp_pool *pool, uint64_t room);
void xp_pool_close(struct xp_pool *pool);
/* The number of these bytes, from 1; 0: no room. */
uint32_t xp_pool_put(struct xp_pool *pool, const void *data, uint32_t bytes);
const void *xp_pool_get(const struct xp_pool *pool, uint32_t number, uint32_t *bytes);
/* Of the bytes with this number, the same in every run. */
uint64_t xp_pool_hash(const struct xp_pool *pool, uint32_t number);
uint64_t xp_hash(uint64_t hash, const void *data, size_t bytes);

#endif
