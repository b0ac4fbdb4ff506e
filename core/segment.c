/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets to numbers and back (segment.h). */
#include "core/segment.h"

#include "rewrite/numbers.h"

#include <string.h>

#define OPTION_END 0
#define OPTION_NOP 1
#define SHIFT_MAX  14

static uint32_t get32(const uint8_t *at)
{
	return DYSCO_HOST32(dysco_load32(at));
}

static void put32(uint8_t *at, uint32_t v)
{
	dysco_store32(at, DYSCO_BE32(v));
}

/* Offset from the TCP header of the first option of this kind that is whole, 0: none. */
static size_t find_option(const uint8_t *tcp, size_t header, uint8_t kind)
{
	size_t at = DYSCO_TCP_BYTES;

	while (at < header && tcp[at] != OPTION_END) {
		size_t left = header - at, n = 1;

		if (tcp[at] != OPTION_NOP) {
			if (left < 2 || tcp[at + 1] < 2 || tcp[at + 1] > left) {
				return 0;
			}
			n = tcp[at + 1];
		}
		if (tcp[at] == kind) {
			return at;
		}
		at += n;
	}
	return 0;
}

/* How many blocks a SACK option holds. */
static uint8_t blocks_of(const uint8_t *option)
{
	uint8_t n = (uint8_t)((option[1] - 2) / 8);

	return (option[1] - 2) % 8 == 0 && n <= DYSCO_SACK_MAX ? n : 0;
}

static void read_options(struct dysco_segment *s, const uint8_t *tcp, size_t header)
{
	size_t at = find_option(tcp, header, DYSCO_OPTION_SACK);

	if (at) {
		s->n_sack = blocks_of(tcp + at);
	}
	for (uint8_t i = 0; i < s->n_sack; i++) {
		s->sack[i].from = get32(tcp + at + 2 + (size_t)i * 8);
		s->sack[i].to = get32(tcp + at + 6 + (size_t)i * 8);
	}
	at = find_option(tcp, header, DYSCO_OPTION_TS);
	if (at && tcp[at + 1] == 10) {
		s->has_ts = true;
		s->tsval = get32(tcp + at + 2);
		s->tsecr = get32(tcp + at + 6);
	}
}

void dysco_segment_read(struct dysco_segment *s, const struct dysco_packet *p, const uint8_t *data,
			uint8_t shift)
{
	const uint8_t *tcp = data + p->l4;

	memset(s, 0, sizeof(*s));
	s->seq = p->seq;
	s->ack = p->ack;
	s->edge = p->ack + ((uint32_t)p->window << (shift < SHIFT_MAX ? shift : SHIFT_MAX));
	s->bytes = p->payload_bytes;
	s->flags = tcp[13];
	if (s->flags & DYSCO_TCP_URG) {
		s->urgent = DYSCO_HOST16(dysco_load16(tcp + 18));
	}
	read_options(s, tcp, (size_t)p->payload - p->l4);
}

static void write_options(uint8_t *tcp, size_t header, const struct dysco_segment *s)
{
	size_t at = find_option(tcp, header, DYSCO_OPTION_SACK);

	if (at && blocks_of(tcp + at) > 0) {
		size_t old = tcp[at + 1], n = s->n_sack ? 2 + (size_t)s->n_sack * 8 : 0;

		tcp[at + 1] = (uint8_t)n;
		for (uint8_t i = 0; i < s->n_sack; i++) {
			put32(tcp + at + 2 + (size_t)i * 8, s->sack[i].from);
			put32(tcp + at + 6 + (size_t)i * 8, s->sack[i].to);
		}
		memset(tcp + at + n, OPTION_NOP, old - n);
	}
	at = find_option(tcp, header, DYSCO_OPTION_TS);
	if (at && tcp[at + 1] == 10 && s->has_ts) {
		put32(tcp + at + 2, s->tsval);
		put32(tcp + at + 6, s->tsecr);
	}
}

/* What is left of the right edge; rounded down, or it would grant more than was granted. */
static uint16_t window_of(const struct dysco_segment *s, uint8_t shift)
{
	uint32_t window = (s->edge - s->ack) >> (shift < SHIFT_MAX ? shift : SHIFT_MAX);

	return (uint16_t)(window < 0xffff ? window : 0xffff);
}

static void write_tcp(uint8_t *tcp, size_t header, const struct dysco_segment *s, uint8_t shift)
{
	bool urgent = (s->flags & DYSCO_TCP_URG) && s->urgent <= 0xffff;

	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[13] = urgent ? s->flags : (uint8_t)(s->flags & ~DYSCO_TCP_URG);
	dysco_store16(tcp + 14, DYSCO_BE16(window_of(s, shift)));
	dysco_store16(tcp + 18, DYSCO_BE16(urgent ? s->urgent : 0));
	write_options(tcp, header, s);
}

size_t dysco_segment_write(uint8_t *out, size_t capacity, const struct dysco_packet *p,
			   const uint8_t *data, const struct dysco_segment *s, uint8_t shift,
			   const struct dysco_tuple *to)
{
	struct dysco_packet made = *p;
	size_t total = (size_t)p->payload + s->bytes;

	if (total > capacity || total > 0xffff || s->bytes > p->payload_bytes ||
	    s->skip > p->payload_bytes - s->bytes ||
	    dysco_addr_is_ip4(&to->src) != (p->version == 4)) {
		return 0;
	}
	memcpy(out, data, p->payload);
	memcpy(out + p->payload, data + p->payload + s->skip, s->bytes);
	made.payload_bytes = s->bytes;
	dysco_edit_ip_length(&made, out, total);
	dysco_edit_tuple(&made, out, out + total, to);
	write_tcp(out + p->l4, (size_t)p->payload - p->l4, s, shift);
	dysco_edit_checksum(&made, out, total);
	return total;
}
