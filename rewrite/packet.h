/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reading the headers of one IP packet: the only parser of packets in Dysco.
 *
 * Freestanding. The packet starts at its IP header and lies in one piece from
 * `data` up to `end`; the headers must be inside, the payload need not be (a
 * BPF program sees only the linear part: then total_bytes is larger).
 */
#ifndef DYSCO_REWRITE_PACKET_H
#define DYSCO_REWRITE_PACKET_H

#include "wire/types.h"

#define DYSCO_TCP_FIN 0x01
#define DYSCO_TCP_SYN 0x02
#define DYSCO_TCP_RST 0x04
#define DYSCO_TCP_PSH 0x08
#define DYSCO_TCP_ACK 0x10
#define DYSCO_TCP_URG 0x20

/* What dysco_packet_parse() found. */
enum dysco_parse {
	DYSCO_PARSE_TCP = 0,	/* a whole TCP header: *p is filled */
	DYSCO_PARSE_OTHER,	/* not TCP, not ours to judge: pass it */
	DYSCO_PARSE_ICMP_ERROR, /* ICMP/ICMPv6 error; *p describes the TCP packet quoted in it */
	DYSCO_PARSE_FRAGMENT,	/* a fragment of a TCP packet; *p->tuple only if `first` */
	DYSCO_PARSE_BAD,	/* truncated or lying header of what says it is TCP */
};

struct dysco_packet {
	struct dysco_tuple tuple;
	uint32_t seq, ack; /* host order */
	uint16_t window;   /* host order, unscaled */
	uint8_t flags;	   /* DYSCO_TCP_* */
	uint8_t version;   /* 4 or 6 */
	uint16_t l3; /* offset of the IP header that `tuple` comes from (0, or in an ICMP error) */
	uint16_t l4; /* offset of its TCP header */
	uint16_t payload;	/* offset of the TCP payload */
	uint32_t payload_bytes; /* by the IP length, 0 for an ICMP error */
	bool first;		/* fragments: ports are in this one */
};

/*
 * total_bytes: length of the whole packet from the IP header on, as the link
 * layer knows it (>= end - data for non-linear packets). A TCP header with
 * options must be whole inside data..end, else DYSCO_PARSE_BAD.
 * IPv6 extension headers hop-by-hop, routing and destination options are walked
 * (a bounded number of them).
 */
DYSCO_INLINE enum dysco_parse dysco_packet_parse(struct dysco_packet *p, const uint8_t *data,
						 const uint8_t *end, uint32_t total_bytes);

/*
 * Is it one of the commonest: a whole IPv4 packet without IP options that carries
 * a TCP segment with ACK, perhaps PSH, and no other flag? Then its first 40 bytes
 * lie before `end`; its TCP options need not.
 */
DYSCO_INLINE bool dysco_packet_is_plain(const uint8_t *data, const uint8_t *end,
					uint32_t total_bytes);

/*
 * These by a shorter way. true: *p is what dysco_packet_parse() would have made
 * of it, with DYSCO_PARSE_TCP. false: nothing is said, *p is not valid.
 */
DYSCO_INLINE bool dysco_packet_plain(struct dysco_packet *p, const uint8_t *data,
				     const uint8_t *end, uint32_t total_bytes);

/*
 * Walks the TCP options of a parsed packet. Calls nothing, allocates nothing:
 * finds our experimental option with this ExID and returns the offset of its
 * kind byte in the packet, or 0. Options of length 0 or 1, or past the header's
 * end, end the walk.
 */
DYSCO_FUNC uint16_t dysco_packet_option(const struct dysco_packet *p, const uint8_t *data,
					const uint8_t *end, uint16_t exid);

#include "rewrite/packet_impl.h"

#endif
