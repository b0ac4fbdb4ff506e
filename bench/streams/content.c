// SPDX-License-Identifier: BSD-2-Clause
/* What the streams of `streams` carry: every byte follows from stream and position. */
#include "bench/streams/streams.h"

static uint64_t random_state;

/* SplitMix64 (Steele, Lea, Flood 2014): every input bit moves every output bit. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

void random_begin(uint64_t seed)
{
	random_state = mix(seed);
}

uint64_t random_below(uint64_t n)
{
	random_state++;
	return mix(random_state) % n;
}

const uint8_t *content(const struct end *e, uint64_t at, size_t n)
{
	static uint64_t words[CHUNK_BYTES / 8 + 2];
	uint64_t stream = mix(2 * e->connection->id + (e == &e->connection->ends[SERVER]));
	uint64_t first = at / 8, last = (at + n + 7) / 8;

	for (uint64_t i = first; i < last; i++) {
		words[i - first] = mix(stream + i);
	}
	return (const uint8_t *)words + at % 8;
}
