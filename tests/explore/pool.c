// SPDX-License-Identifier: BSD-2-Clause
/* Byte strings stored once: see pool.h. Memory is reserved whole and used as it is touched. */
#include "tests/explore/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LENGTH_BITS = 20, INDEX_FIRST = 1 << 16 };
#define ENTRIES_MAX (1u << 28)

static void *reserve(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

uint64_t xp_hash(uint64_t hash, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t word;

	hash ^= bytes * 0x9e3779b97f4a7c15ull;
	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = (hash ^ word) * 0xff51afd7ed558ccdull;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, at, bytes);
	hash = (hash ^ word) * 0xc4ceb9fe1a85ec53ull;
	hash ^= hash >> 29;
	hash *= 0x94d049bb133111ebull;
	return hash ^ hash >> 32;
}

bool xp_pool_open(struct xp_pool *pool, uint64_t room)
{
	memset(pool, 0, sizeof(*pool));
	pool->room = room;
	pool->bytes = reserve(room);
	pool->entries = reserve(ENTRIES_MAX * sizeof(*pool->entries));
	pool->index = calloc(INDEX_FIRST, sizeof(*pool->index));
	pool->mask = INDEX_FIRST - 1;
	pool->used = 8;
	return pool->bytes && pool->entries && pool->index;
}

void xp_pool_close(struct xp_pool *pool)
{
	munmap(pool->bytes, pool->room);
	munmap(pool->entries, ENTRIES_MAX * sizeof(*pool->entries));
	free(pool->index);
	memset(pool, 0, sizeof(*pool));
}

const void *xp_pool_get(const struct xp_pool *pool, uint32_t number, uint32_t *bytes)
{
	uint64_t entry = pool->entries[number];

	*bytes = (uint32_t)(entry & ((1u << LENGTH_BITS) - 1));
	return pool->bytes + (entry >> LENGTH_BITS);
}

/* It stands in front of the entry. */
uint64_t xp_pool_hash(const struct xp_pool *pool, uint32_t number)
{
	uint64_t hash;

	memcpy(&hash, pool->bytes + (pool->entries[number] >> LENGTH_BITS) - sizeof(hash),
	       sizeof(hash));
	return hash;
}

static bool grow_index(struct xp_pool *pool)
{
	uint32_t mask = 2 * pool->mask + 1;
	uint32_t *index = calloc((size_t)mask + 1, sizeof(*index));

	if (!index) {
		return false;
	}
	for (uint32_t n = 1; n <= pool->count; n++) {
		uint32_t at = (uint32_t)xp_pool_hash(pool, n) & mask;

		while (index[at]) {
			at = (at + 1) & mask;
		}
		index[at] = n;
	}
	free(pool->index);
	pool->index = index;
	pool->mask = mask;
	return true;
}

static uint32_t append(struct xp_pool *pool, uint64_t hash, const void *data, uint32_t bytes)
{
	uint64_t needs = sizeof(hash) + ((bytes + 7ull) & ~7ull);

	if (pool->used + needs > pool->room || pool->count + 1 >= ENTRIES_MAX ||
	    bytes >= 1u << LENGTH_BITS) {
		return 0;
	}
	memcpy(pool->bytes + pool->used, &hash, sizeof(hash));
	memcpy(pool->bytes + pool->used + sizeof(hash), data, bytes);
	pool->entries[++pool->count] = (pool->used + sizeof(hash)) << LENGTH_BITS | bytes;
	pool->used += needs;
	return pool->count;
}

uint32_t xp_pool_put(struct xp_pool *pool, const void *data, uint32_t bytes)
{
	uint64_t hash = xp_hash(bytes, data, bytes);
	uint32_t at, have, number;

	if (pool->count > pool->mask / 2 && !grow_index(pool)) {
		return 0;
	}
	at = (uint32_t)hash & pool->mask;
	while ((number = pool->index[at]) != 0) {
		if (xp_pool_hash(pool, number) == hash) {
			const void *old = xp_pool_get(pool, number, &have);

			if (have == bytes && memcmp(old, data, bytes) == 0) {
				return number;
			}
		}
		at = (at + 1) & pool->mask;
	}
	number = append(pool, hash, data, bytes);
	pool->index[at] = number;
	return number;
}
