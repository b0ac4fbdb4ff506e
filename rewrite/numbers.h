/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Edits of a segment's numbers where a leg adds offsets to them
 * (docs/protocol.md 12.1): sequence and acknowledgement number, SACK blocks,
 * timestamps, with incremental checksums as in rewrite/edit.h.
 *
 *              seq          ack, SACK      TSval         TSecr
 *     OUT    + seq_out     - seq_in       + ts_out      - ts_in
 *     IN     + seq_in      - seq_out      + ts_in       - ts_out
 *
 * Freestanding.
 */
#ifndef DYSCO_REWRITE_NUMBERS_H
#define DYSCO_REWRITE_NUMBERS_H

#include "rewrite/edit.h"
#include "rewrite/seq.h"

#define DYSCO_OPTION_SACK 5 /* RFC 2018 3 */
#define DYSCO_OPTION_TS	  8 /* RFC 7323 3.2 */

/*
 * Translates p's packet and p->seq, p->ack with it, on its way out or in.
 * Returns what the TCP checksum must absorb. SYNs keep their options: nothing in
 * them is a number of ours. Precondition: data + p->l4 + 20 <= end.
 */
DYSCO_INLINE struct dysco_csum_diff dysco_edit_numbers(struct dysco_packet *p, uint8_t *data,
						       const uint8_t *end,
						       const struct dysco_offsets *o, bool outward);

/*
 * The same in two steps, for the BPF verifier: the walk through a segment's n bytes of
 * options, which says where in the TCP header timestamps and SACK blocks are
 * (timestamps | SACK << 8 | its length << 16, 0: none), and the edits.
 */
DYSCO_INLINE uint32_t dysco_number_places(const uint8_t *options, size_t n);
DYSCO_INLINE struct dysco_csum_diff dysco_edit_numbers_at(struct dysco_packet *p, uint8_t *data,
							  const uint8_t *end,
							  const struct dysco_offsets *o,
							  bool outward, uint32_t places);

/*
 * The sequence number in the TCP header that an ICMP error quotes (p from
 * DYSCO_PARSE_ICMP_ERROR): adds `by`; quoted and ICMP checksum are brought up to date.
 * A stack takes only errors that quote what it has under way (RFC 5927 4.1).
 */
DYSCO_FUNC void dysco_edit_quoted_seq(const struct dysco_packet *p, uint8_t *data, size_t bytes,
				      uint32_t by);

/* Adds to a big-endian word at an odd or even place of the segment; returns ~old + new. */
DYSCO_INLINE uint64_t dysco_number_add(uint8_t *word, bool odd, uint32_t by)
{
	uint64_t diff = dysco_edit_word(word, DYSCO_BE32(DYSCO_HOST32(dysco_load32(word)) + by));

	/* At an odd place every byte counts in the other half of the sum (RFC 1071 2B). */
	return odd ? __builtin_bswap16(dysco_csum_fold16(diff)) : diff;
}

DYSCO_INLINE uint32_t dysco_number_places(const uint8_t *options, size_t n)
{
	uint32_t places = 0;
	size_t next = 0;

	/* Each place is looked at, and passed over if no option begins there: so every one is at a
	 * constant place for the verifier. */
#ifdef __clang__
#pragma unroll
#endif
	for (size_t at = 0; at < DYSCO_TCP_BYTES_MAX - DYSCO_TCP_BYTES; at++) {
		uint8_t bytes = 1;

		if (at < next) {
			continue;
		}
		if (at >= n || options[at] == 0) {
			break;
		}
		if (options[at] != 1) {
			if (at + 2 > n || options[at + 1] < 2 || options[at + 1] > n - at) {
				break;
			}
			bytes = options[at + 1];
		}
		if (options[at] == DYSCO_OPTION_TS && bytes == 10) {
			places = (places & ~0xffu) | (uint32_t)(at + DYSCO_TCP_BYTES);
		} else if (options[at] == DYSCO_OPTION_SACK && bytes % 8 == 2) {
			places = (places & 0xffu) | (uint32_t)(at + DYSCO_TCP_BYTES) << 8 |
				 (uint32_t)bytes << 16;
		}
		next = at + bytes;
	}
	return places;
}

/* Keeps the compiler from making this pointer twice: the verifier knows only one of them. */
DYSCO_INLINE uint8_t *dysco_keep(uint8_t *at)
{
	__asm__("" : "+r"(at));
	return at;
}

/* places: of this very segment, which has ACK. */
DYSCO_INLINE uint64_t dysco_number_options(uint8_t *tcp, const uint8_t *end, uint32_t places,
					   uint32_t ack_by, uint32_t ts_by, uint32_t tsecr_by)
{
	uint8_t *ts = dysco_keep(tcp + dysco_bound(places, 0x3f));
	uint8_t *sack = dysco_keep(tcp + dysco_bound(places >> 8, 0x3f));
	bool ts_odd = places & 1, sack_odd = places >> 8 & 1;
	uint32_t n = places >> 16;
	uint64_t diff = 0;

	if ((places & 0x3f) != 0 && ts + 10 <= end) {
		diff += dysco_number_add(ts + 2, ts_odd, ts_by);
		diff += dysco_number_add(ts + 6, ts_odd, tsecr_by);
	}
	for (uint32_t edge = 2; edge < DYSCO_TCP_BYTES_MAX - DYSCO_TCP_BYTES - 2; edge += 4) {
		if (edge + 4 > n || sack + edge + 4 > end) {
			break;
		}
		diff += dysco_number_add(sack + edge, sack_odd, ack_by);
	}
	return diff;
}

DYSCO_INLINE struct dysco_csum_diff dysco_edit_numbers_at(struct dysco_packet *p, uint8_t *data,
							  const uint8_t *end,
							  const struct dysco_offsets *o,
							  bool outward, uint32_t places)
{
	uint8_t *tcp = data + dysco_bound(p->l4, DYSCO_OFFSET_MASK);
	uint32_t seq_by = outward ? o->seq_out : o->seq_in;
	uint32_t ack_by = 0u - (outward ? o->seq_in : o->seq_out);
	uint32_t ts_by = outward ? o->ts_out : o->ts_in;
	uint32_t tsecr_by = 0u - (outward ? o->ts_in : o->ts_out);
	struct dysco_csum_diff diff = {0, 0};
	uint64_t sum;

	if (tcp + DYSCO_TCP_BYTES > end) {
		return diff;
	}
	sum = dysco_number_add(tcp + 4, false, seq_by);
	p->seq += seq_by;
	if (p->flags & DYSCO_TCP_ACK) {
		sum += dysco_number_add(tcp + 8, false, ack_by);
		p->ack += ack_by;
	}
	if ((p->flags & (DYSCO_TCP_ACK | DYSCO_TCP_SYN)) == DYSCO_TCP_ACK) {
		sum += dysco_number_options(tcp, end, places, ack_by, ts_by, tsecr_by);
	}
	diff.plain = dysco_csum_fold32(sum);
	return diff;
}

DYSCO_INLINE struct dysco_csum_diff dysco_edit_numbers(struct dysco_packet *p, uint8_t *data,
						       const uint8_t *end,
						       const struct dysco_offsets *o, bool outward)
{
	const uint8_t *options = data + p->l4 + DYSCO_TCP_BYTES;

	return dysco_edit_numbers_at(
	    p, data, end, o, outward,
	    data + p->payload <= end
		? dysco_number_places(options, (size_t)p->payload - p->l4 - DYSCO_TCP_BYTES)
		: 0);
}

DYSCO_FUNC void dysco_edit_quoted_seq(const struct dysco_packet *p, uint8_t *data, size_t bytes,
				      uint32_t by)
{
	uint8_t *icmp = data + p->l3 - DYSCO_ICMP_BYTES;
	size_t n = bytes - p->l3 + DYSCO_ICMP_BYTES;
	uint16_t before = dysco_csum_fold16(dysco_csum_bytes(icmp, n));
	uint64_t diff = dysco_number_add(data + p->l4 + 4, false, by);

	if (p->l4 + (size_t)18 <= bytes) {
		dysco_csum_absorb(data + p->l4 + 16, diff);
	}
	dysco_csum_absorb(icmp + 2, (uint64_t)(uint16_t)~before + dysco_csum_bytes(icmp, n));
}

#endif
