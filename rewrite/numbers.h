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
 * The sequence number in the TCP header that an ICMP error quotes (p from
 * DYSCO_PARSE_ICMP_ERROR): adds `by`; quoted and ICMP checksum are brought up to date.
 * A stack takes only errors that quote what it has under way (RFC 5927 4.1).
 */
DYSCO_FUNC void dysco_edit_quoted_seq(const struct dysco_packet *p, uint8_t *data, size_t bytes,
				      uint32_t by);

/* Adds to a big-endian word at an even or odd place of the segment; returns ~old + new. */
DYSCO_INLINE uint64_t dysco_number_add(uint8_t *tcp, size_t at, uint32_t by)
{
	uint8_t *word = tcp + at;
	uint64_t diff = dysco_edit_word(word, DYSCO_BE32(DYSCO_HOST32(dysco_load32(word)) + by));

	/* At an odd place every byte counts in the other half of the sum (RFC 1071 2B). */
	return at % 2 == 0 ? diff : __builtin_bswap16(dysco_csum_fold16(diff));
}

/* One option of a segment with ACK, whole inside the header; `n` its bytes. */
DYSCO_INLINE uint64_t dysco_number_option(uint8_t *tcp, const uint8_t *end, size_t at, uint8_t kind,
					  uint8_t n, uint32_t ack_by, uint32_t ts_by,
					  uint32_t tsecr_by)
{
	uint64_t diff = 0;

	if (kind == DYSCO_OPTION_TS && n == 10 && tcp + at + 10 <= end) {
		return dysco_number_add(tcp, at + 2, ts_by) +
		       dysco_number_add(tcp, at + 6, tsecr_by);
	}
	if (kind != DYSCO_OPTION_SACK || n % 8 != 2) {
		return 0;
	}
	for (size_t edge = 0; edge < 8; edge++) {
		size_t place = at + 2 + edge * 4;

		if (edge * 4 + 6 > n || tcp + place + 4 > end) {
			break;
		}
		diff += dysco_number_add(tcp, place, ack_by);
	}
	return diff;
}

DYSCO_INLINE uint64_t dysco_number_options(const struct dysco_packet *p, uint8_t *tcp,
					   const uint8_t *end, uint32_t ack_by, uint32_t ts_by,
					   uint32_t tsecr_by)
{
	size_t header = (size_t)p->payload - p->l4, at = DYSCO_TCP_BYTES;
	uint64_t diff = 0;

	for (int i = 0; i < DYSCO_TCP_BYTES_MAX - DYSCO_TCP_BYTES; i++) {
		uint8_t *option = tcp + dysco_bound(at, 0x3f);
		uint8_t n = 1;

		if (at >= header || header > DYSCO_TCP_BYTES_MAX || option + 1 > end ||
		    option[0] == 0) {
			break;
		}
		if (option[0] != 1) {
			if (at + 2 > header || option + 2 > end || option[1] < 2 ||
			    option[1] > header - at) {
				break;
			}
			n = option[1];
			diff += dysco_number_option(tcp, end, dysco_bound(at, 0x3f), option[0], n,
						    ack_by, ts_by, tsecr_by);
		}
		at += n;
	}
	return diff;
}

DYSCO_INLINE struct dysco_csum_diff dysco_edit_numbers(struct dysco_packet *p, uint8_t *data,
						       const uint8_t *end,
						       const struct dysco_offsets *o, bool outward)
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
	sum = dysco_number_add(tcp, 4, seq_by);
	p->seq += seq_by;
	if (p->flags & DYSCO_TCP_ACK) {
		sum += dysco_number_add(tcp, 8, ack_by);
		p->ack += ack_by;
	}
	if ((p->flags & (DYSCO_TCP_ACK | DYSCO_TCP_SYN)) == DYSCO_TCP_ACK) {
		sum += dysco_number_options(p, tcp, end, ack_by, ts_by, tsecr_by);
	}
	diff.plain = dysco_csum_fold32(sum);
	return diff;
}

DYSCO_FUNC void dysco_edit_quoted_seq(const struct dysco_packet *p, uint8_t *data, size_t bytes,
				      uint32_t by)
{
	uint8_t *icmp = data + p->l3 - DYSCO_ICMP_BYTES;
	size_t n = bytes - p->l3 + DYSCO_ICMP_BYTES;
	uint16_t before = dysco_csum_fold16(dysco_csum_bytes(icmp, n));
	uint64_t diff = dysco_number_add(data + p->l4, 4, by);

	if (p->l4 + (size_t)18 <= bytes) {
		dysco_csum_absorb(data + p->l4 + 16, diff);
	}
	dysco_csum_absorb(icmp + 2, (uint64_t)(uint16_t)~before + dysco_csum_bytes(icmp, n));
}

#endif
