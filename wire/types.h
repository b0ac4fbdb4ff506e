/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Addresses and five-tuples, as every layer of Dysco sees them.
 *
 * Freestanding: compiles for the host, for -target bpf and for DPDK; needs
 * only the compiler's own headers.
 */
#ifndef DYSCO_WIRE_TYPES_H
#define DYSCO_WIRE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hot and small: inlined everywhere. Larger pieces: a BPF subprogram, a plain function elsewhere.
 */
#define DYSCO_INLINE static inline __attribute__((always_inline, unused))
#define DYSCO_FUNC   static inline __attribute__((unused))

typedef uint16_t dysco_be16; /* network byte order */
typedef uint32_t dysco_be32;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DYSCO_BE16(x) ((dysco_be16)__builtin_bswap16((uint16_t)(x)))
#define DYSCO_BE32(x) ((dysco_be32)__builtin_bswap32((uint32_t)(x)))
#else
#define DYSCO_BE16(x) ((dysco_be16)(x))
#define DYSCO_BE32(x) ((dysco_be32)(x))
#endif
/* The way back is the same permutation. */
#define DYSCO_HOST16(x) ((uint16_t)DYSCO_BE16(x))
#define DYSCO_HOST32(x) ((uint32_t)DYSCO_BE32(x))

/*
 * An IPv6 address, or an IPv4 address in its IPv4-mapped form (::ffff:a.b.c.d,
 * RFC 4291 2.5.5.2), so that both families travel the same code.
 */
struct dysco_addr {
	dysco_be32 w_be[4];
};

/* A TCP five-tuple (the protocol is always TCP). 36 bytes, no padding. */
struct dysco_tuple {
	struct dysco_addr src;
	struct dysco_addr dst;
	dysco_be16 sport_be;
	dysco_be16 dport_be;
};

_Static_assert(sizeof(struct dysco_tuple) == 36, "tuples are hashed and compared whole");

DYSCO_INLINE struct dysco_addr dysco_addr_from_ip4(dysco_be32 ip_be)
{
	struct dysco_addr a = {{0, 0, DYSCO_BE32(0xffff), ip_be}};

	return a;
}

DYSCO_INLINE bool dysco_addr_is_ip4(const struct dysco_addr *a)
{
	return a->w_be[0] == 0 && a->w_be[1] == 0 && a->w_be[2] == DYSCO_BE32(0xffff);
}

DYSCO_INLINE bool dysco_addr_equal(const struct dysco_addr *a, const struct dysco_addr *b)
{
	return a->w_be[0] == b->w_be[0] && a->w_be[1] == b->w_be[1] && a->w_be[2] == b->w_be[2] &&
	       a->w_be[3] == b->w_be[3];
}

DYSCO_INLINE bool dysco_addr_is_zero(const struct dysco_addr *a)
{
	return (a->w_be[0] | a->w_be[1] | a->w_be[2] | a->w_be[3]) == 0;
}

DYSCO_INLINE bool dysco_tuple_equal(const struct dysco_tuple *a, const struct dysco_tuple *b)
{
	return dysco_addr_equal(&a->src, &b->src) && dysco_addr_equal(&a->dst, &b->dst) &&
	       a->sport_be == b->sport_be && a->dport_be == b->dport_be;
}

/* The same connection seen from its other end. */
DYSCO_INLINE struct dysco_tuple dysco_tuple_reverse(const struct dysco_tuple *t)
{
	struct dysco_tuple r = {t->dst, t->src, t->dport_be, t->sport_be};

	return r;
}

#endif
