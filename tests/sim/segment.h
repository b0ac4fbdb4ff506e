/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets as the simulator makes and reads them, on purpose without the code
 * of rewrite/: a mistake there must not be made here a second time.
 */
#ifndef DYSCO_TESTS_SIM_SEGMENT_H
#define DYSCO_TESTS_SIM_SEGMENT_H

#include "wire/types.h"

#define SIM_PACKET_BYTES 16640

enum {
	SIM_FIN = 0x01,
	SIM_SYN = 0x02,
	SIM_RST = 0x04,
	SIM_PSH = 0x08,
	SIM_ACK = 0x10,
};

/* In network byte order. */
static inline void sim_put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void sim_put32(uint8_t *at, uint32_t v)
{
	sim_put16(at, v >> 16);
	sim_put16(at + 2, v & 0xffff);
}

struct sim_segment {
	struct dysco_tuple tuple;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	const uint8_t *options;
	uint16_t options_bytes; /* a multiple of 4, at most 40 */
	const uint8_t *payload;
	uint16_t payload_bytes;
};

/* Writes IP and TCP header, options and payload, checksums done; returns its bytes. */
size_t sim_segment_write(uint8_t *out, const struct sim_segment *s);
/* False: not a TCP packet over IPv4 without options or IPv6 without extension headers. */
bool sim_segment_read(struct sim_segment *s, const uint8_t *data, size_t bytes);
/* Other addresses and ports, checksums from scratch. */
void sim_segment_readdress(uint8_t *data, size_t bytes, const struct dysco_tuple *to);
/* IP length, IPv4 header checksum, TCP checksum: NULL, or what is wrong. */
const char *sim_segment_wrong(const uint8_t *data, size_t bytes);
/* The sequence number after it. */
uint32_t sim_segment_end(const struct sim_segment *s);
/* An experimental option with this ExID among the options. */
bool sim_segment_has_exid(const struct sim_segment *s, uint16_t exid);
uint64_t sim_bytes_hash(uint64_t hash, const void *data, size_t bytes);
/* Of all bytes but addresses, ports, and the checksums, which have two ways to say zero. */
uint64_t sim_segment_hash(const uint8_t *data, size_t bytes);

#endif
