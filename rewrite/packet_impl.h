/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The code behind rewrite/packet.h; included by it and by nothing else.
 *
 * It runs in BPF programs too, whose verifier wants two things to be seen right
 * before each access: the offset is bounded (dysco_bound), and what is read
 * ends before `end`.
 */
#ifndef DYSCO_REWRITE_PACKET_IMPL_H
#define DYSCO_REWRITE_PACKET_IMPL_H

#include "wire/message.h"

#define DYSCO_IP4_BYTES	     20
#define DYSCO_IP6_BYTES	     40
#define DYSCO_TCP_BYTES	     20
#define DYSCO_TCP_BYTES_MAX  60
#define DYSCO_ICMP_BYTES     8
#define DYSCO_L4_MAX	     0x7ffu /* IP headers longer than this together are refused */
#define DYSCO_OFFSET_MASK    0xfffu /* > DYSCO_L4_MAX + DYSCO_ICMP_BYTES + DYSCO_IP6_BYTES */
#define DYSCO_EXTENSIONS_MAX 6 /* of IPv6; RFC 8200 4.1 knows an order of five that concern us */

enum dysco_protocol {
	DYSCO_PROTO_HOP_BY_HOP = 0,
	DYSCO_PROTO_ICMP = 1,
	DYSCO_PROTO_TCP = 6,
	DYSCO_PROTO_ROUTING = 43,
	DYSCO_PROTO_FRAGMENT = 44,
	DYSCO_PROTO_ICMP6 = 58,
	DYSCO_PROTO_NONE = 59,
	DYSCO_PROTO_DESTINATION = 60,
};

/*
 * Loads and stores of packet bytes, in the byte order of the packet. Packets
 * lie anywhere in memory; only the BPF backend has to be told that alignment
 * does not matter, or it makes bytes of every access.
 */
#ifdef __bpf__
#define DYSCO_RAW __attribute__((may_alias))
#else
#define DYSCO_RAW __attribute__((may_alias, packed))
#endif
struct dysco_raw16 {
	uint16_t v;
} DYSCO_RAW;
struct dysco_raw32 {
	uint32_t v;
} DYSCO_RAW;

DYSCO_INLINE uint16_t dysco_load16(const uint8_t *at)
{
	return ((const struct dysco_raw16 *)(const void *)at)->v;
}

DYSCO_INLINE uint32_t dysco_load32(const uint8_t *at)
{
	return ((const struct dysco_raw32 *)(const void *)at)->v;
}

DYSCO_INLINE void dysco_store16(uint8_t *at, uint16_t v)
{
	((struct dysco_raw16 *)(void *)at)->v = v;
}

DYSCO_INLINE void dysco_store32(uint8_t *at, uint32_t v)
{
	((struct dysco_raw32 *)(void *)at)->v = v;
}

/* Keeps the compiler from dropping a mask that it can prove idle and the verifier cannot. */
DYSCO_INLINE size_t dysco_bound(size_t offset, size_t mask)
{
	__asm__("" : "+r"(offset));
	return offset & mask;
}

DYSCO_INLINE struct dysco_addr dysco_load_ip6(const uint8_t *at)
{
	struct dysco_addr a = {
	    {dysco_load32(at), dysco_load32(at + 4), dysco_load32(at + 8), dysco_load32(at + 12)}};

	return a;
}

/* What an IP header and its extensions say. */
struct dysco_ip_view {
	size_t l4;	/* offset of the header behind them */
	uint32_t bytes; /* from the IP header to the packet's end; 0: more than 16 bits can tell */
	uint8_t protocol;
	bool fragment;
	bool first; /* fragment: at offset 0 */
};

/* false: truncated, or it contradicts itself. */
DYSCO_INLINE bool dysco_packet_ip4(struct dysco_packet *p, struct dysco_ip_view *view,
				   const uint8_t *data, const uint8_t *end)
{
	const uint8_t *ip = data + dysco_bound(p->l3, DYSCO_OFFSET_MASK);
	uint32_t ihl;
	uint16_t fragment;

	if (ip + DYSCO_IP4_BYTES > end) {
		return false;
	}
	ihl = (ip[0] & 0x0fu) * 4;
	fragment = DYSCO_HOST16(dysco_load16(ip + 6));
	view->l4 = p->l3 + ihl;
	view->bytes = DYSCO_HOST16(dysco_load16(ip + 2));
	view->protocol = ip[9];
	view->fragment = (fragment & 0x3fff) != 0;
	view->first = (fragment & 0x1fff) == 0;
	p->tuple.src = dysco_addr_from_ip4(dysco_load32(ip + 12));
	p->tuple.dst = dysco_addr_from_ip4(dysco_load32(ip + 16));
	return ihl >= DYSCO_IP4_BYTES;
}

DYSCO_INLINE bool dysco_packet_is_extension(uint8_t protocol)
{
	return protocol == DYSCO_PROTO_HOP_BY_HOP || protocol == DYSCO_PROTO_ROUTING ||
	       protocol == DYSCO_PROTO_FRAGMENT || protocol == DYSCO_PROTO_DESTINATION;
}

/*
 * One extension header at view->l4; true: go on behind it. A packet on its way
 * to a further segment of a routing header carries another destination in its
 * checksum than in its address (RFC 8200 8.1): not ours. An atomic fragment
 * (RFC 6946) is no fragment.
 */
DYSCO_INLINE bool dysco_packet_extension(struct dysco_ip_view *view, const uint8_t *ext)
{
	uint8_t kind = view->protocol;
	uint16_t fragment;

	view->protocol = ext[0];
	if (kind != DYSCO_PROTO_FRAGMENT) {
		view->l4 += (ext[1] + (size_t)1) * 8;
		if (kind == DYSCO_PROTO_ROUTING && ext[3] != 0) {
			view->protocol = DYSCO_PROTO_NONE;
			return false;
		}
		return true;
	}
	view->l4 += 8;
	fragment = DYSCO_HOST16(dysco_load16(ext + 2));
	if (fragment & 0xfff9) {
		view->fragment = true;
		view->first = (fragment & 0xfff8) == 0;
	}
	return view->first;
}

DYSCO_INLINE bool dysco_packet_extensions(struct dysco_ip_view *view, const uint8_t *data,
					  const uint8_t *end)
{
	for (int i = 0; i <= DYSCO_EXTENSIONS_MAX; i++) {
		const uint8_t *ext = data + dysco_bound(view->l4, DYSCO_OFFSET_MASK);

		if (!dysco_packet_is_extension(view->protocol)) {
			return true;
		}
		if (ext + 8 > end) {
			return false;
		}
		if (!dysco_packet_extension(view, ext)) {
			return true;
		}
		if (view->l4 > DYSCO_L4_MAX) {
			return false;
		}
	}
	return false;
}

/* IPv4-mapped addresses must not appear on the wire, and would be taken for IPv4 here. */
DYSCO_INLINE bool dysco_packet_ip6(struct dysco_packet *p, struct dysco_ip_view *view,
				   const uint8_t *data, const uint8_t *end)
{
	const uint8_t *ip = data + dysco_bound(p->l3, DYSCO_OFFSET_MASK);
	uint16_t payload;

	if (ip + DYSCO_IP6_BYTES > end) {
		return false;
	}
	payload = DYSCO_HOST16(dysco_load16(ip + 4));
	view->l4 = p->l3 + (size_t)DYSCO_IP6_BYTES;
	view->bytes = payload ? payload + (uint32_t)DYSCO_IP6_BYTES : 0;
	view->protocol = ip[6];
	view->fragment = false;
	view->first = true;
	p->tuple.src = dysco_load_ip6(ip + 8);
	p->tuple.dst = dysco_load_ip6(ip + 24);
	if (dysco_addr_is_ip4(&p->tuple.src) || dysco_addr_is_ip4(&p->tuple.dst)) {
		return false;
	}
	return dysco_packet_extensions(view, data, end);
}

DYSCO_INLINE bool dysco_packet_ip(struct dysco_packet *p, struct dysco_ip_view *view,
				  const uint8_t *data, const uint8_t *end)
{
	return p->version == 4 ? dysco_packet_ip4(p, view, data, end)
			       : dysco_packet_ip6(p, view, data, end);
}

DYSCO_INLINE void dysco_packet_ports(struct dysco_packet *p, const uint8_t *tcp)
{
	p->tuple.sport_be = dysco_load16(tcp);
	p->tuple.dport_be = dysco_load16(tcp + 2);
}

DYSCO_INLINE enum dysco_parse dysco_packet_fragment(struct dysco_packet *p, const uint8_t *tcp,
						    const uint8_t *end, bool first)
{
	p->first = first;
	if (!first) {
		return DYSCO_PARSE_FRAGMENT;
	}
	if (tcp + 4 > end) {
		return DYSCO_PARSE_BAD;
	}
	dysco_packet_ports(p, tcp);
	return DYSCO_PARSE_FRAGMENT;
}

/* Lengths: the TCP header inside data..end, and inside the packet as the IP header says. */
DYSCO_INLINE enum dysco_parse dysco_packet_tcp(struct dysco_packet *p,
					       const struct dysco_ip_view *view,
					       const uint8_t *data, const uint8_t *end,
					       uint32_t total_bytes)
{
	const uint8_t *tcp = data + dysco_bound(view->l4, DYSCO_OFFSET_MASK);
	uint32_t bytes = view->bytes;
	size_t header;

	if (view->fragment) {
		return dysco_packet_fragment(p, tcp, end, view->first);
	}
	if (tcp + DYSCO_TCP_BYTES > end) {
		return DYSCO_PARSE_BAD;
	}
	header = (size_t)(tcp[12] >> 4) * 4;
	if (bytes == 0 && total_bytes > 0xffff) {
		bytes = total_bytes;
	}
	if (header < DYSCO_TCP_BYTES || tcp + header > end || view->l4 + header > bytes ||
	    bytes > total_bytes) {
		return DYSCO_PARSE_BAD;
	}
	dysco_packet_ports(p, tcp);
	p->seq = DYSCO_HOST32(dysco_load32(tcp + 4));
	p->ack = DYSCO_HOST32(dysco_load32(tcp + 8));
	p->flags = tcp[13] & 0x3f;
	p->window = DYSCO_HOST16(dysco_load16(tcp + 14));
	p->l4 = (uint16_t)view->l4;
	p->payload = (uint16_t)(view->l4 + header);
	p->payload_bytes = bytes - p->payload;
	return DYSCO_PARSE_TCP;
}

/*
 * Errors that tell of the path of a packet: ICMP destination unreachable, time
 * exceeded, parameter problem; ICMPv6 1 to 4. A redirect is about the wire
 * destination itself and stays as it is.
 */
DYSCO_INLINE bool dysco_packet_is_error(uint8_t version, uint8_t type)
{
	if (version == 4) {
		return type == 3 || type == 11 || type == 12;
	}
	return type >= 1 && type <= 4;
}

DYSCO_INLINE enum dysco_parse dysco_packet_icmp(struct dysco_packet *p, struct dysco_ip_view *view,
						const uint8_t *data, const uint8_t *end)
{
	const uint8_t *icmp = data + dysco_bound(view->l4, DYSCO_OFFSET_MASK);
	const uint8_t *tcp;

	if (view->fragment || icmp + DYSCO_ICMP_BYTES > end ||
	    !dysco_packet_is_error(p->version, icmp[0])) {
		return DYSCO_PARSE_OTHER;
	}
	p->l3 = (uint16_t)(view->l4 + DYSCO_ICMP_BYTES);
	if (!dysco_packet_ip(p, view, data, end) || view->protocol != DYSCO_PROTO_TCP ||
	    !view->first) {
		return DYSCO_PARSE_OTHER;
	}
	tcp = data + dysco_bound(view->l4, DYSCO_OFFSET_MASK);
	if (tcp + 8 > end) {
		return DYSCO_PARSE_OTHER;
	}
	dysco_packet_ports(p, tcp);
	p->seq = DYSCO_HOST32(dysco_load32(tcp + 4));
	p->l4 = (uint16_t)view->l4;
	return DYSCO_PARSE_ICMP_ERROR;
}

DYSCO_INLINE enum dysco_parse dysco_packet_parse(struct dysco_packet *p, const uint8_t *data,
						 const uint8_t *end, uint32_t total_bytes)
{
	struct dysco_ip_view view;

	__builtin_memset(p, 0, sizeof(*p));
	if (data + 1 > end) {
		return DYSCO_PARSE_OTHER;
	}
	p->version = data[0] >> 4;
	if (p->version != 4 && p->version != 6) {
		return DYSCO_PARSE_OTHER;
	}
	if (!dysco_packet_ip(p, &view, data, end)) {
		return DYSCO_PARSE_BAD;
	}
	if (view.protocol == DYSCO_PROTO_TCP) {
		return dysco_packet_tcp(p, &view, data, end, total_bytes);
	}
	if (view.protocol == (p->version == 4 ? DYSCO_PROTO_ICMP : DYSCO_PROTO_ICMP6)) {
		return dysco_packet_icmp(p, &view, data, end);
	}
	return DYSCO_PARSE_OTHER;
}

DYSCO_INLINE bool dysco_packet_is_plain(const uint8_t *data, const uint8_t *end,
					uint32_t total_bytes)
{
	const uint8_t *tcp = data + DYSCO_IP4_BYTES;
	uint32_t bytes, header;

	if (tcp + DYSCO_TCP_BYTES > end || data[0] != 0x45 ||
	    /* fragment, hop limit, protocol */
	    (dysco_load32(data + 6) & DYSCO_BE32(0x3fff00ff)) != DYSCO_BE32(DYSCO_PROTO_TCP) ||
	    (tcp[13] & 0x3f & ~DYSCO_TCP_PSH) != DYSCO_TCP_ACK) {
		return false;
	}
	bytes = DYSCO_HOST16(dysco_load16(data + 2));
	header = (uint32_t)(tcp[12] >> 4) * 4;
	return header >= DYSCO_TCP_BYTES && DYSCO_IP4_BYTES + header <= bytes &&
	       bytes <= total_bytes;
}

DYSCO_INLINE bool dysco_packet_plain(struct dysco_packet *p, const uint8_t *data,
				     const uint8_t *end, uint32_t total_bytes)
{
	const uint8_t *tcp = data + DYSCO_IP4_BYTES;
	uint32_t header;

	if (!dysco_packet_is_plain(data, end, total_bytes)) {
		return false;
	}
	header = (uint32_t)(tcp[12] >> 4) * 4;
	if (tcp + header > end) {
		return false;
	}
	__builtin_memset(p, 0, sizeof(*p));
	p->version = 4;
	p->tuple.src = dysco_addr_from_ip4(dysco_load32(data + 12));
	p->tuple.dst = dysco_addr_from_ip4(dysco_load32(data + 16));
	dysco_packet_ports(p, tcp);
	p->seq = DYSCO_HOST32(dysco_load32(tcp + 4));
	p->ack = DYSCO_HOST32(dysco_load32(tcp + 8));
	p->flags = tcp[13] & 0x3f;
	p->window = DYSCO_HOST16(dysco_load16(tcp + 14));
	p->l4 = DYSCO_IP4_BYTES;
	p->payload = (uint16_t)(DYSCO_IP4_BYTES + header);
	p->payload_bytes = DYSCO_HOST16(dysco_load16(data + 2)) - p->payload;
	return true;
}

/* Length of our option with this ExID, and its first four bytes. */
DYSCO_INLINE uint8_t dysco_option_bytes(uint16_t exid)
{
	return exid == DYSCO_EXID_TAG ? DYSCO_OPT_TAG_LEN : DYSCO_OPT_MARK_LEN;
}

DYSCO_INLINE dysco_be32 dysco_option_word(uint16_t exid)
{
	return DYSCO_BE32((uint32_t)DYSCO_TCPOPT_KIND << 24 |
			  (uint32_t)dysco_option_bytes(exid) << 16 | exid);
}

/*
 * `at` and `left` are masked on each step though they never need it: the
 * verifier, which would follow every sum of option lengths by itself, then sees
 * one range. For the same reason the option is compared as one word.
 */
DYSCO_FUNC uint16_t dysco_packet_option(const struct dysco_packet *p, const uint8_t *data,
					const uint8_t *end, uint16_t exid)
{
	const uint8_t *tcp = data + dysco_bound(p->l4, DYSCO_OFFSET_MASK);
	size_t header = (size_t)p->payload - p->l4;
	size_t at = DYSCO_TCP_BYTES;

	for (int i = 0; i < DYSCO_TCP_BYTES_MAX - DYSCO_TCP_BYTES; i++) {
		const uint8_t *option = tcp + dysco_bound(at, 0x3f);
		size_t left = dysco_bound(header - at, 0xffff);

		if (left < dysco_option_bytes(exid) || left > DYSCO_TCP_BYTES_MAX ||
		    option + DYSCO_OPT_MARK_LEN > end || option[0] == 0) {
			return 0;
		}
		if (dysco_load32(option) == dysco_option_word(exid)) {
			return (uint16_t)(p->l4 + at);
		}
		if (option[0] != 1 && option[1] < 2) {
			return 0;
		}
		at = dysco_bound(at + (option[0] == 1 ? 1 : option[1]), 0x1ff);
	}
	return 0;
}

#endif
