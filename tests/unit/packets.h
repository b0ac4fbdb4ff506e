/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets for the tests of rewrite/, made and judged without its code: any
 * IPv4 options, IPv6 extension headers, TCP options; ICMP errors that quote
 * them.
 */
#ifndef DYSCO_TESTS_UNIT_PACKETS_H
#define DYSCO_TESTS_UNIT_PACKETS_H

#include "wire/types.h"

#define PACKET_BYTES 2048

struct recipe {
	struct dysco_tuple tuple; /* its addresses tell the version */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t protocol;      /* 0: TCP */
	const uint8_t *ip;     /* IPv4: header options; IPv6: extension headers */
	size_t ip_bytes;       /* a multiple of 4; of 8 for IPv6 */
	uint8_t ip6_next;      /* type of the first extension header */
	uint16_t ip4_fragment; /* flags and offset */
	const uint8_t *options;
	size_t option_bytes; /* a multiple of 4 */
	const uint8_t *payload;
	size_t payload_bytes;
};

/* Writes the packet, checksums done; returns its bytes. */
size_t packet_make(uint8_t out[PACKET_BYTES], const struct recipe *r);

/*
 * An ICMP or ICMPv6 error from outer->src to outer->dst with the first
 * quoted_bytes of the packet; returns its bytes.
 */
size_t packet_make_error(uint8_t out[PACKET_BYTES], const struct dysco_tuple *outer, uint8_t type,
			 const uint8_t *quoted, size_t quoted_bytes);

/* Lengths and checksums, TCP at offset l4: NULL, or what is wrong. */
const char *packet_wrong(const uint8_t *data, size_t bytes, size_t l4);
/* The TCP checksum as it has to be (in host order), from scratch. */
uint16_t packet_tcp_checksum(const uint8_t *data, size_t bytes, size_t l4);
/* Ones' complement sum of addresses, protocol and length, folded, in host order. */
uint16_t packet_pseudo_sum(const uint8_t *data, size_t bytes, size_t l4);
uint16_t packet_get16(const uint8_t *at);
void packet_put16(uint8_t *at, uint16_t v);

/* Pseudo-random numbers that are the same on each run. */
struct random {
	uint64_t state; /* != 0 */
};
uint32_t random_next(struct random *r);
uint32_t random_below(struct random *r, uint32_t n);
void random_fill(struct random *r, uint8_t *at, size_t n);
struct dysco_tuple random_tuple(struct random *r, bool ip6);
/* Any TCP packet: family, flags, options and payload; the arrays hold what it refers to. */
struct random_packet {
	uint8_t options[40];
	uint8_t payload[600];
	struct recipe recipe;
};
void random_recipe(struct random *r, struct random_packet *p);

#endif
