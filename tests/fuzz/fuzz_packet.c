/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: packets off the wire (rewrite/). The first byte of the input
 * says how much of the packet is not there (a BPF program sees only the linear
 * part), the second how much is put into its payload; then comes the packet.
 *
 * Whatever parses is edited in every way; edits that undo each other must leave
 * no trace, and a right checksum must stay right.
 */
#include "rewrite/edit.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 400

struct subject {
	uint8_t *data; /* `bytes` + ROOM */
	size_t bytes;
	struct dysco_packet p;
};

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void demand_same(const struct subject *s, const struct subject *before)
{
	demand(s->bytes == before->bytes);
	demand(memcmp(s->data, before->data, s->bytes) == 0);
	demand(memcmp(&s->p, &before->p, sizeof(s->p)) == 0);
}

static void copy(struct subject *to, const struct subject *from)
{
	to->bytes = from->bytes;
	to->p = from->p;
	memcpy(to->data, from->data, from->bytes);
}

static bool checksum_ok(const struct subject *s)
{
	return dysco_edit_checksum_ok(&s->p, s->data, s->bytes);
}

static struct dysco_tuple other_tuple(const struct dysco_tuple *t)
{
	struct dysco_tuple other = *t;

	other.src.w_be[3] ^= DYSCO_BE32(0x00010001);
	other.dst.w_be[3] = ~other.dst.w_be[3];
	other.sport_be = 0;
	other.dport_be = (dysco_be16)~other.dport_be;
	return other;
}

static void edit_there_and_back(struct subject *s)
{
	struct dysco_tuple from = s->p.tuple;
	struct dysco_tuple to = other_tuple(&from);
	bool ok = checksum_ok(s);

	dysco_edit_apply(&s->p, s->data, dysco_edit_tuple(&s->p, s->data, s->data + s->bytes, &to));
	demand(checksum_ok(s) == ok);
	dysco_edit_apply(&s->p, s->data,
			 dysco_edit_tuple(&s->p, s->data, s->data + s->bytes, &from));
	demand(checksum_ok(s) == ok && dysco_tuple_equal(&s->p.tuple, &from));
}

static void option_there_and_back(struct subject *s, const struct subject *before, uint16_t exid)
{
	uint32_t tag = 0xfd08d75d;
	bool ok = checksum_ok(s);

	if (!dysco_edit_add_option(&s->p, s->data, &s->bytes, s->bytes + ROOM, exid,
				   exid == DYSCO_EXID_TAG ? &tag : NULL)) {
		demand_same(s, before);
		return;
	}
	demand(checksum_ok(s) == ok);
	demand(dysco_packet_option(&s->p, s->data, s->data + s->bytes, exid) == s->p.l4 + 20);
	demand(dysco_edit_remove_option(&s->p, s->data, &s->bytes, exid));
	demand(checksum_ok(s) == ok);
	demand(s->bytes == before->bytes);
}

static void payload_there_and_back(struct subject *s, const struct subject *before, size_t n)
{
	static const uint8_t filling[256] = {0xd7, 0x5c, 0x0c, 0x0d};
	bool ok = checksum_ok(s);

	if (!dysco_edit_insert_payload(&s->p, s->data, &s->bytes, s->bytes + ROOM, filling, n,
				       s->bytes + n)) {
		demand_same(s, before);
		return;
	}
	demand(checksum_ok(s) == ok);
	dysco_edit_strip_payload(&s->p, s->data, &s->bytes, n);
	demand(checksum_ok(s) == ok && s->bytes == before->bytes);
}

/* Each edit starts from the packet as it came. */
static void edit_tcp(struct subject *s, const struct subject *start, size_t n)
{
	bool ok;

	edit_there_and_back(s);
	copy(s, start);
	option_there_and_back(s, start, DYSCO_EXID_MARK);
	copy(s, start);
	option_there_and_back(s, start, DYSCO_EXID_TAG);
	copy(s, start);
	payload_there_and_back(s, start, n);
	copy(s, start);
	ok = checksum_ok(s);
	dysco_edit_remove_option(&s->p, s->data, &s->bytes, DYSCO_EXID_MARK);
	dysco_edit_strip_payload(&s->p, s->data, &s->bytes,
				 n < s->p.payload_bytes ? n : s->p.payload_bytes);
	demand(checksum_ok(s) == ok);
	dysco_edit_checksum(&s->p, s->data, s->bytes);
	demand(checksum_ok(s));
}

static void edit_error(struct subject *s)
{
	struct dysco_tuple from = s->p.tuple;
	struct dysco_tuple to = other_tuple(&from);

	dysco_edit_icmp(&s->p, s->data, s->bytes, &to, NULL, &to.src);
	demand(dysco_packet_parse(&s->p, s->data, s->data + s->bytes, (uint32_t)s->bytes) ==
	       DYSCO_PARSE_ICMP_ERROR);
	demand(dysco_tuple_equal(&s->p.tuple, &to));
}

/* The linear part alone, in memory of its size. */
static void parse_linear(const uint8_t *data, size_t linear, size_t bytes)
{
	uint8_t *part = malloc(linear + 1);
	const uint8_t *end = part + 1 + linear;
	struct dysco_packet p;

	demand(part != NULL);
	memcpy(part + 1, data, linear);
	if (dysco_packet_parse(&p, part + 1, end, (uint32_t)bytes) == DYSCO_PARSE_TCP) {
		struct dysco_tuple to = other_tuple(&p.tuple);

		demand(p.payload <= linear && p.payload + p.payload_bytes <= bytes);
		dysco_packet_option(&p, part + 1, end, DYSCO_EXID_MARK);
		dysco_packet_option(&p, part + 1, end, DYSCO_EXID_TAG);
		dysco_edit_tuple(&p, part + 1, end, &to);
	}
	free(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct subject start, s;
	enum dysco_parse found;

	if (bytes < 2 || bytes > 60000) {
		return 0;
	}
	start.bytes = bytes - 2;
	parse_linear(data + 2, start.bytes - (data[0] < start.bytes ? data[0] : start.bytes),
		     start.bytes);
	start.data = malloc(start.bytes + ROOM);
	s.data = malloc(start.bytes + ROOM);
	demand(start.data && s.data);
	memcpy(start.data, data + 2, start.bytes);
	found = dysco_packet_parse(&start.p, start.data, start.data + start.bytes,
				   (uint32_t)start.bytes);
	if (found == DYSCO_PARSE_TCP) { /* without link padding, which edits drop */
		start.bytes = dysco_edit_end(&start.p);
	}
	copy(&s, &start);
	if (found == DYSCO_PARSE_TCP) {
		edit_tcp(&s, &start, data[1]);
	} else if (found == DYSCO_PARSE_ICMP_ERROR) {
		edit_error(&s);
	}
	free(s.data);
	free(start.data);
	return 0;
}
