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

/* RFC 1624, equation 3: absorbs ~old + new into a finished checksum. */
DYSCO_INLINE void dysco_csum_absorb(uint8_t *check, uint64_t diff)
{
	dysco_store16(check, (uint16_t)~dysco_csum_fold16((uint16_t)~dysco_load16(check) + diff));
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

DYSCO_INLINE struct dysco_csum_diff dysco_edit_tuple(struct dysco_packet *p, uint8_t *data,
						     const uint8_t *end,
						     const struct dysco_tuple *to)
{
	struct dysco_csum_diff diff = {0, 0};
	uint8_t *tcp = data + dysco_bound(p->l4, DYSCO_OFFSET_MASK);

	if (tcp + DYSCO_TCP_BYTES > end) {
		return diff;
	}
	diff.plain = dysco_csum_fold32((uint64_t)(uint32_t)~dysco_load32(tcp));
	dysco_store16(tcp, to->sport_be);
	dysco_store16(tcp + 2, to->dport_be);
	diff.plain = dysco_csum_fold32((uint64_t)diff.plain + dysco_load32(tcp));
	diff.pseudo = dysco_csum_fold32(dysco_edit_addresses(p, data, end, &to->src, &to->dst));
	p->tuple = *to;
	return diff;
}

DYSCO_FUNC void dysco_edit_apply(const struct dysco_packet *p, uint8_t *data,
				 struct dysco_csum_diff diff)
{
	dysco_csum_absorb(data + p->l4 + 16, (uint64_t)diff.pseudo + diff.plain);
}

#endif
