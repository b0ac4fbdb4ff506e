/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Sequence numbers: their arithmetic, modulo their width (RFC 9293 3.4), and
 * what a leg adds to them on the way (docs/protocol.md 12.1).
 *
 * Freestanding. The exhaustive tests compile what is built on this with
 * DYSCO_SEQ_BITS 8, so that all cases can be gone through.
 */
#ifndef DYSCO_REWRITE_SEQ_H
#define DYSCO_REWRITE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#ifndef DYSCO_SEQ_BITS
#define DYSCO_SEQ_BITS 32
#endif
#if DYSCO_SEQ_BITS == 8
typedef uint8_t dysco_seq_t;
typedef int8_t dysco_seqdiff_t;
#else
typedef uint32_t dysco_seq_t;
typedef int32_t dysco_seqdiff_t;
#endif

/* Zero: plain. Part of the hot record. */
struct dysco_offsets {
	dysco_seq_t seq_out; /* added to sequence numbers OUT, taken from acknowledgements IN */
	dysco_seq_t seq_in;  /* added to sequence numbers IN, taken from acknowledgements OUT */
	uint32_t ts_out;     /* added to TSval OUT, taken from TSecr IN */
	uint32_t ts_in;	     /* added to TSval IN, taken from TSecr OUT */
};

static inline dysco_seq_t dysco_seq_add(dysco_seq_t a, dysco_seq_t b)
{
	return (dysco_seq_t)(a + b);
}

static inline dysco_seq_t dysco_seq_sub(dysco_seq_t a, dysco_seq_t b)
{
	return (dysco_seq_t)(a - b);
}

/* a is after b */
static inline bool dysco_after(dysco_seq_t a, dysco_seq_t b)
{
	return (dysco_seqdiff_t)dysco_seq_sub(a, b) > 0;
}

static inline dysco_seq_t dysco_seq_min(dysco_seq_t a, dysco_seq_t b)
{
	return dysco_after(a, b) ? b : a;
}

static inline dysco_seq_t dysco_seq_max(dysco_seq_t a, dysco_seq_t b)
{
	return dysco_after(a, b) ? a : b;
}

#endif
