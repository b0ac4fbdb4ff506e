/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The code behind rewrite/edit.h; included by it and by nothing else.
 *
 * One's complement sums are kept as they come from memory, in the packet's byte
 * order: the sum does not mind (RFC 1071 2B), and it is what the kernel's
 * checksum helpers take.
 */
#ifndef DYSCO_REWRITE_EDIT_IMPL_H
#define DYSCO_REWRITE_EDIT_IMPL_H

/* A sum of few 32-bit words, carries folded back. */
DYSCO_INLINE uint32_t dysco_csum_fold32(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffffffff) + (sum >> 32));
}

DYSCO_INLINE uint16_t dysco_csum_fold16(uint64_t sum)
{
	uint32_t s = dysco_csum_fold32(sum);

	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

/* Of two that are folded; as dysco_csum_fold16() of their sum. */
DYSCO_INLINE uint16_t dysco_csum_add16(uint16_t a, uint16_t b)
{
	uint32_t s = (uint32_t)a + b;

	return (uint16_t)(s + (s >> 16));
}

/* RFC 1624, equation 3: absorbs ~old + new into a finished checksum. */
DYSCO_INLINE void dysco_csum_absorb(uint8_t *check, uint64_t diff)
{
	dysco_store16(check, (uint16_t)~dysco_csum_fold16((uint16_t)~dysco_load16(check) + diff));
}

DYSCO_INLINE void dysco_csum_absorb16(uint8_t *check, uint16_t diff)
{
	dysco_store16(check, (uint16_t)~dysco_csum_add16((uint16_t)~dysco_load16(check), diff));
}

/* Stores a word, returns ~old + new. */
DYSCO_INLINE uint64_t dysco_edit_word(uint8_t *at, uint32_t to)
{
	uint32_t from = dysco_load32(at);

	dysco_store32(at, to);
	return (uint64_t)(uint32_t)~from + to;
}

DYSCO_INLINE uint64_t dysco_edit_ip6(uint8_t *at, const struct dysco_addr *to)
{
	return dysco_edit_word(at, to->w_be[0]) + dysco_edit_word(at + 4, to->w_be[1]) +
	       dysco_edit_word(at + 8, to->w_be[2]) + dysco_edit_word(at + 12, to->w_be[3]);
}

/* Both addresses of the IP header at p->l3, its own checksum included. */
DYSCO_INLINE uint64_t dysco_edit_addresses(const struct dysco_packet *p, uint8_t *data,
					   const uint8_t *end, const struct dysco_addr *src,
					   const struct dysco_addr *dst)
{
	uint8_t *ip = data + dysco_bound(p->l3, DYSCO_OFFSET_MASK);
	uint64_t diff;

	if (p->version == 4) {
		if (ip + DYSCO_IP4_BYTES > end) {
			return 0;
		}
		diff =
		    dysco_edit_word(ip + 12, src->w_be[3]) + dysco_edit_word(ip + 16, dst->w_be[3]);
		dysco_csum_absorb(ip + 10, diff);
		return diff;
	}
	if (ip + DYSCO_IP6_BYTES > end) {
		return 0;
	}
	return dysco_edit_ip6(ip + 8, src) + dysco_edit_ip6(ip + 24, dst);
}

/* Both ports as one word, made in a register: a load over two stores just done would wait for them.
 */
DYSCO_INLINE uint64_t dysco_edit_ports(uint8_t *tcp, const struct dysco_tuple *to)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return dysco_edit_word(tcp, (uint32_t)to->dport_be << 16 | to->sport_be);
#else
	return dysco_edit_word(tcp, (uint32_t)to->sport_be << 16 | to->dport_be);
#endif
}

DYSCO_INLINE struct dysco_csum_diff dysco_edit_tuple(struct dysco_packet *p, uint8_t *data,
						     const uint8_t *end,
						     const struct dysco_tuple *to)
{
	struct dysco_csum_diff diff = {0, 0};
	uint8_t *tcp = data + dysco_bound(p->l4, DYSCO_OFFSET_MASK);

	if (tcp + DYSCO_TCP_BYTES > end) {
		return diff;
	}
	diff.plain = dysco_csum_fold32(dysco_edit_ports(tcp, to));
	diff.pseudo = dysco_csum_fold32(dysco_edit_addresses(p, data, end, &to->src, &to->dst));
	p->tuple = *to;
	return diff;
}

DYSCO_FUNC void dysco_edit_apply(const struct dysco_packet *p, uint8_t *data,
				 struct dysco_csum_diff diff)
{
	dysco_csum_absorb(data + p->l4 + 16, (uint64_t)diff.pseudo + diff.plain);
}

/* Sum of bytes as 16-bit words, the last one filled up with zero (RFC 1071). */
DYSCO_FUNC uint64_t dysco_csum_bytes(const uint8_t *at, size_t n)
{
	uint64_t sum = 0;

	for (; n >= 2; n -= 2, at += 2) {
		sum += dysco_load16(at);
	}
	if (n) {
		const uint8_t last[2] = {*at, 0};

		sum += dysco_load16(last);
	}
	return sum;
}

DYSCO_INLINE size_t dysco_edit_end(const struct dysco_packet *p)
{
	return (size_t)p->payload + p->payload_bytes;
}

/* The TCP segment with its checksum field, and its length as the pseudo-header has it. */
DYSCO_FUNC uint64_t dysco_csum_segment(const struct dysco_packet *p, const uint8_t *data)
{
	size_t n = dysco_edit_end(p) - p->l4;

	return dysco_csum_bytes(data + p->l4, n) + DYSCO_BE16(n >> 16) + DYSCO_BE16(n & 0xffff);
}

/* The rest of the pseudo-header: addresses and protocol (RFC 9293 3.1, RFC 8200 8.1). */
DYSCO_FUNC uint64_t dysco_csum_pseudo(const struct dysco_packet *p, const uint8_t *data)
{
	const uint8_t *ip = data + p->l3;
	uint64_t sum =
	    p->version == 4 ? dysco_csum_bytes(ip + 12, 8) : dysco_csum_bytes(ip + 8, 32);

	return sum + DYSCO_BE16(DYSCO_PROTO_TCP);
}

DYSCO_FUNC void dysco_edit_checksum(const struct dysco_packet *p, uint8_t *data, size_t bytes)
{
	uint8_t *check = data + p->l4 + 16;

	if (dysco_edit_end(p) > bytes) {
		return;
	}
	dysco_store16(check, 0);
	dysco_store16(check, (uint16_t)~dysco_csum_fold16(dysco_csum_pseudo(p, data) +
							  dysco_csum_segment(p, data)));
}

DYSCO_FUNC bool dysco_edit_checksum_ok(const struct dysco_packet *p, const uint8_t *data,
				       size_t bytes)
{
	return dysco_edit_end(p) <= bytes &&
	       dysco_csum_fold16(dysco_csum_pseudo(p, data) + dysco_csum_segment(p, data)) ==
		   0xffff;
}

/* As memmove(). */
DYSCO_FUNC void dysco_edit_move(uint8_t *to, const uint8_t *from, size_t n)
{
	if (to < from) {
		for (size_t i = 0; i < n; i++) {
			to[i] = from[i];
		}
	} else {
		while (n > 0) {
			n--;
			to[n] = from[n];
		}
	}
}

DYSCO_INLINE void dysco_edit_ip_length(const struct dysco_packet *p, uint8_t *data, size_t total)
{
	uint8_t *ip = data + p->l3;
	uint16_t from;

	if (p->version == 4) {
		from = dysco_load16(ip + 2);
		dysco_store16(ip + 2, DYSCO_BE16(total));
		dysco_csum_absorb(ip + 10, (uint64_t)(uint16_t)~from + dysco_load16(ip + 2));
	} else {
		dysco_store16(ip + 4, DYSCO_BE16(total - DYSCO_IP6_BYTES));
	}
}

/*
 * Around each change of length: the checksum absorbs the sum of the segment
 * after less the sum before, so that one that was wrong stays wrong. Bytes of
 * link padding behind the packet are left out.
 */
struct dysco_resize {
	uint64_t before;
};

DYSCO_INLINE struct dysco_resize dysco_resize_begin(const struct dysco_packet *p,
						    const uint8_t *data)
{
	struct dysco_resize r = {dysco_csum_segment(p, data)};

	return r;
}

DYSCO_INLINE void dysco_resize_end(const struct dysco_resize *r, const struct dysco_packet *p,
				   uint8_t *data, size_t *bytes)
{
	uint16_t before = dysco_csum_fold16(r->before);

	data[p->l4 + 12] = (uint8_t)((p->payload - p->l4) / 4 << 4 | (data[p->l4 + 12] & 0x0f));
	dysco_csum_absorb(data + p->l4 + 16,
			  (uint64_t)(uint16_t)~before + dysco_csum_segment(p, data));
	dysco_edit_ip_length(p, data, dysco_edit_end(p));
	*bytes = dysco_edit_end(p);
}

/*
 * It goes in front of the other options: behind them it could stand behind an
 * end-of-list option, where nobody looks (RFC 9293 3.2).
 */
DYSCO_FUNC bool dysco_edit_add_option(struct dysco_packet *p, uint8_t *data, size_t *bytes,
				      size_t capacity, uint16_t exid, const uint32_t *value)
{
	uint8_t n = value ? DYSCO_OPT_TAG_LEN : DYSCO_OPT_MARK_LEN;
	uint8_t *option = data + p->l4 + DYSCO_TCP_BYTES;
	struct dysco_resize resize;

	if (p->payload + n > p->l4 + DYSCO_TCP_BYTES_MAX || dysco_edit_end(p) > *bytes ||
	    dysco_edit_end(p) + n > capacity || dysco_edit_end(p) + n > 0xffff) {
		return false;
	}
	resize = dysco_resize_begin(p, data);
	dysco_edit_move(option + n, option, (size_t)(data + dysco_edit_end(p) - option));
	option[0] = DYSCO_TCPOPT_KIND;
	option[1] = n;
	dysco_store16(option + 2, DYSCO_BE16(exid));
	if (value) {
		dysco_store32(option + 4, DYSCO_BE32(*value));
	}
	p->payload = (uint16_t)(p->payload + n);
	dysco_resize_end(&resize, p, data, bytes);
	return true;
}

DYSCO_FUNC bool dysco_edit_remove_option(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					 uint16_t exid)
{
	uint16_t at = dysco_packet_option(p, data, data + *bytes, exid);
	uint8_t n = dysco_option_bytes(exid);
	struct dysco_resize resize;

	if (at == 0 || dysco_edit_end(p) > *bytes) {
		return false;
	}
	resize = dysco_resize_begin(p, data);
	dysco_edit_move(data + at, data + at + n, dysco_edit_end(p) - at - n);
	p->payload = (uint16_t)(p->payload - n);
	dysco_resize_end(&resize, p, data, bytes);
	return true;
}

DYSCO_FUNC bool dysco_edit_insert_payload(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					  size_t capacity, const uint8_t *payload, size_t n,
					  size_t limit)
{
	size_t keep = p->payload_bytes;
	struct dysco_resize resize;

	limit = limit < 0xffff ? limit : 0xffff;
	if (n > limit || p->payload > limit - n || dysco_edit_end(p) > *bytes) {
		return false;
	}
	if (keep > limit - n - p->payload) {
		keep = limit - n - p->payload;
	}
	if (p->payload + n + keep > capacity) {
		return false;
	}
	resize = dysco_resize_begin(p, data);
	dysco_edit_move(data + p->payload + n, data + p->payload, keep);
	dysco_edit_move(data + p->payload, payload, n);
	p->payload_bytes = (uint32_t)(n + keep);
	dysco_resize_end(&resize, p, data, bytes);
	return true;
}

DYSCO_FUNC void dysco_edit_strip_payload(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					 size_t n)
{
	struct dysco_resize resize;

	if (n > p->payload_bytes || dysco_edit_end(p) > *bytes) {
		return;
	}
	resize = dysco_resize_begin(p, data);
	dysco_edit_move(data + p->payload, data + p->payload + n, p->payload_bytes - n);
	p->payload_bytes -= (uint32_t)n;
	dysco_resize_end(&resize, p, data, bytes);
}

DYSCO_INLINE void dysco_make_ip4(uint8_t *ip, const struct dysco_tuple *tuple, size_t total)
{
	__builtin_memset(ip, 0, DYSCO_IP4_BYTES);
	ip[0] = 0x45;
	dysco_store16(ip + 2, DYSCO_BE16(total));
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = DYSCO_PROTO_TCP;
	dysco_store32(ip + 12, tuple->src.w_be[3]);
	dysco_store32(ip + 16, tuple->dst.w_be[3]);
	dysco_store16(ip + 10, (uint16_t)~dysco_csum_fold16(dysco_csum_bytes(ip, DYSCO_IP4_BYTES)));
}

DYSCO_INLINE void dysco_make_ip6(uint8_t *ip, const struct dysco_tuple *tuple, size_t total)
{
	__builtin_memset(ip, 0, 8);
	ip[0] = 0x60;
	dysco_store16(ip + 4, DYSCO_BE16(total - DYSCO_IP6_BYTES));
	ip[6] = DYSCO_PROTO_TCP;
	ip[7] = 64;
	__builtin_memcpy(ip + 8, &tuple->src, sizeof(tuple->src));
	__builtin_memcpy(ip + 24, &tuple->dst, sizeof(tuple->dst));
}

/* Without checksum and options; header: its length with them. */
DYSCO_INLINE void dysco_make_tcp(uint8_t *tcp, size_t header, const struct dysco_tuple *tuple,
				 uint32_t seq, uint32_t ack, uint8_t flags, uint16_t window)
{
	dysco_store16(tcp, tuple->sport_be);
	dysco_store16(tcp + 2, tuple->dport_be);
	dysco_store32(tcp + 4, DYSCO_BE32(seq));
	dysco_store32(tcp + 8, DYSCO_BE32(ack));
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = flags;
	dysco_store16(tcp + 14, DYSCO_BE16(window));
	dysco_store16(tcp + 18, 0); /* urgent pointer */
}

DYSCO_FUNC size_t dysco_edit_make_segment(uint8_t *out, size_t capacity,
					  const struct dysco_tuple *tuple, uint32_t seq,
					  uint32_t ack, uint8_t flags, uint16_t window,
					  uint16_t exid, const uint8_t *payload,
					  size_t payload_bytes)
{
	bool ip4 = dysco_addr_is_ip4(&tuple->src);
	struct dysco_packet p = {.version = ip4 ? 4 : 6};

	p.l4 = ip4 ? DYSCO_IP4_BYTES : DYSCO_IP6_BYTES;
	p.payload = (uint16_t)(p.l4 + DYSCO_TCP_BYTES + (exid ? DYSCO_OPT_MARK_LEN : 0));
	if (payload_bytes > (size_t)0xffff - p.payload || p.payload + payload_bytes > capacity) {
		return 0;
	}
	p.payload_bytes = (uint32_t)payload_bytes;
	if (ip4) {
		dysco_make_ip4(out, tuple, dysco_edit_end(&p));
	} else {
		dysco_make_ip6(out, tuple, dysco_edit_end(&p));
	}
	dysco_make_tcp(out + p.l4, (size_t)p.payload - p.l4, tuple, seq, ack, flags, window);
	if (exid) {
		dysco_store32(out + p.l4 + DYSCO_TCP_BYTES, dysco_option_word(exid));
	}
	dysco_edit_move(out + p.payload, payload, payload_bytes);
	dysco_edit_checksum(&p, out, dysco_edit_end(&p));
	return dysco_edit_end(&p);
}

/* The quoted packet: a router quotes 8 bytes of the TCP header at least, often more. */
DYSCO_INLINE void dysco_edit_quoted(struct dysco_packet *p, uint8_t *data, size_t bytes,
				    const struct dysco_tuple *quoted)
{
	uint8_t *tcp = data + p->l4;
	uint64_t diff = dysco_edit_ports(tcp, quoted);

	diff += dysco_edit_addresses(p, data, data + bytes, &quoted->src, &quoted->dst);
	if (p->l4 + (size_t)18 <= bytes) {
		dysco_csum_absorb(tcp + 16, diff);
	}
	p->tuple = *quoted;
}

DYSCO_INLINE void dysco_edit_outer(const struct dysco_packet *p, uint8_t *data, size_t bytes,
				   const struct dysco_addr *src, const struct dysco_addr *dst)
{
	struct dysco_packet outer = {.version = p->version};
	struct dysco_addr old_src = dysco_load_ip6(data + 8);
	struct dysco_addr old_dst = dysco_load_ip6(data + 24);
	uint64_t diff;

	if (p->version == 4) {
		old_src = dysco_addr_from_ip4(dysco_load32(data + 12));
		old_dst = dysco_addr_from_ip4(dysco_load32(data + 16));
	}
	diff = dysco_edit_addresses(&outer, data, data + bytes, src ? src : &old_src,
				    dst ? dst : &old_dst);
	if (p->version == 6) { /* the pseudo-header counts in ICMPv6 only (RFC 4443 2.3) */
		dysco_csum_absorb(data + p->l3 - 6, diff);
	}
}

DYSCO_FUNC void dysco_edit_icmp(struct dysco_packet *p, uint8_t *data, size_t bytes,
				const struct dysco_tuple *quoted,
				const struct dysco_addr *outer_src,
				const struct dysco_addr *outer_dst)
{
	uint8_t *icmp = data + p->l3 - DYSCO_ICMP_BYTES;
	size_t n = bytes - p->l3 + DYSCO_ICMP_BYTES;
	uint16_t before = dysco_csum_fold16(dysco_csum_bytes(icmp, n));

	dysco_edit_quoted(p, data, bytes, quoted);
	dysco_csum_absorb(icmp + 2, (uint64_t)(uint16_t)~before + dysco_csum_bytes(icmp, n));
	dysco_edit_outer(p, data, bytes, outer_src, outer_dst);
}

#endif
