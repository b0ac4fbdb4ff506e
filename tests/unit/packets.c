/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets for the tests of rewrite/ (packets.h). */
#include "tests/unit/packets.h"

#include <string.h>

uint16_t packet_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

void packet_put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	packet_put16(at, (uint16_t)(v >> 16));
	packet_put16(at + 2, (uint16_t)v);
}

/* RFC 1071, in host order; end-around carry at each step. */
static uint16_t sum16(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static bool is_ip4(const uint8_t *data)
{
	return data[0] >> 4 == 4;
}

static uint16_t addresses_sum(const uint8_t *data, uint8_t protocol, size_t length)
{
	uint16_t sum = is_ip4(data) ? sum16(0, data + 12, 8) : sum16(0, data + 8, 32);
	uint8_t rest[4] = {0, protocol, (uint8_t)(length >> 8), (uint8_t)length};

	return sum16(sum, rest, sizeof(rest));
}

uint16_t packet_pseudo_sum(const uint8_t *data, size_t bytes, size_t l4)
{
	return addresses_sum(data, 6, bytes - l4);
}

uint16_t packet_tcp_checksum(const uint8_t *data, size_t bytes, size_t l4)
{
	uint16_t sum = sum16(packet_pseudo_sum(data, bytes, l4), data + l4, 16);

	return (uint16_t)~sum16(sum, data + l4 + 18, bytes - l4 - 18);
}

static size_t make_ip4(uint8_t *out, const struct recipe *r, uint8_t protocol)
{
	size_t header = 20 + r->ip_bytes;

	memset(out, 0, 20);
	out[0] = (uint8_t)(0x40 | header / 4);
	packet_put16(out + 4, 0x1234);
	packet_put16(out + 6, r->ip4_fragment);
	out[8] = 61;
	out[9] = protocol;
	memcpy(out + 12, &r->tuple.src.w_be[3], 4);
	memcpy(out + 16, &r->tuple.dst.w_be[3], 4);
	if (r->ip_bytes) {
		memcpy(out + 20, r->ip, r->ip_bytes);
	}
	return header;
}

static size_t make_ip6(uint8_t *out, const struct recipe *r, uint8_t protocol)
{
	memset(out, 0, 8);
	out[0] = 0x60;
	out[6] = r->ip_bytes ? r->ip6_next : protocol;
	out[7] = 61;
	memcpy(out + 8, &r->tuple.src, 16);
	memcpy(out + 24, &r->tuple.dst, 16);
	if (r->ip_bytes) {
		memcpy(out + 40, r->ip, r->ip_bytes);
	}
	return 40 + r->ip_bytes;
}

static void finish_ip(uint8_t *out, size_t bytes)
{
	size_t header = (size_t)(out[0] & 15) * 4;

	if (is_ip4(out)) {
		packet_put16(out + 2, (uint16_t)bytes);
		packet_put16(out + 10, 0);
		packet_put16(out + 10, (uint16_t)~sum16(0, out, header));
	} else {
		packet_put16(out + 4, (uint16_t)(bytes - 40));
	}
}

static size_t make_ip(uint8_t *out, const struct recipe *r, uint8_t protocol)
{
	return dysco_addr_is_ip4(&r->tuple.src) ? make_ip4(out, r, protocol)
						: make_ip6(out, r, protocol);
}

size_t packet_make(uint8_t out[PACKET_BYTES], const struct recipe *r)
{
	size_t l4 = make_ip(out, r, r->protocol ? r->protocol : 6);
	size_t header = 20 + r->option_bytes;
	size_t bytes = l4 + header + r->payload_bytes;
	uint8_t *tcp = out + l4;

	memcpy(tcp, &r->tuple.sport_be, 2);
	memcpy(tcp + 2, &r->tuple.dport_be, 2);
	put32(tcp + 4, r->seq);
	put32(tcp + 8, r->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = r->flags;
	packet_put16(tcp + 14, r->window);
	packet_put16(tcp + 18, 0);
	if (r->option_bytes) {
		memcpy(tcp + 20, r->options, r->option_bytes);
	}
	if (r->payload_bytes) {
		memcpy(tcp + header, r->payload, r->payload_bytes);
	}
	finish_ip(out, bytes);
	packet_put16(tcp + 16, packet_tcp_checksum(out, bytes, l4));
	return bytes;
}

size_t packet_make_error(uint8_t out[PACKET_BYTES], const struct dysco_tuple *outer, uint8_t type,
			 const uint8_t *quoted, size_t quoted_bytes)
{
	struct recipe r = {.tuple = *outer};
	bool ip4 = dysco_addr_is_ip4(&outer->src);
	size_t l4 = make_ip(out, &r, ip4 ? 1 : 58);
	size_t bytes = l4 + 8 + quoted_bytes;
	uint16_t sum = 0;

	memset(out + l4, 0, 8);
	out[l4] = type;
	memcpy(out + l4 + 8, quoted, quoted_bytes);
	finish_ip(out, bytes);
	if (!ip4) {
		sum = addresses_sum(out, 58, bytes - l4);
	}
	packet_put16(out + l4 + 2, (uint16_t)~sum16(sum, out + l4, bytes - l4));
	return bytes;
}

const char *packet_wrong(const uint8_t *data, size_t bytes, size_t l4)
{
	uint16_t sum;

	if (is_ip4(data)) {
		if (sum16(0, data, (size_t)(data[0] & 15) * 4) != 0xffff) {
			return "IPv4 header checksum";
		}
		if (packet_get16(data + 2) != bytes) {
			return "IPv4 length";
		}
	} else if (packet_get16(data + 4) + (size_t)40 != bytes) {
		return "IPv6 length";
	}
	sum = sum16(packet_pseudo_sum(data, bytes, l4), data + l4, bytes - l4);
	return sum == 0xffff ? NULL : "TCP checksum";
}

/* xorshift64* (Vigna 2016) */
uint32_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

uint32_t random_below(struct random *r, uint32_t n)
{
	return random_next(r) % n;
}

void random_fill(struct random *r, uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		at[i] = (uint8_t)random_next(r);
	}
}

/* Words of all zeros and all ones are where one's complement arithmetic goes wrong. */
static uint32_t random_word(struct random *r)
{
	switch (random_below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return 0xffffffff;
	case 2:
		return 0xffff0000;
	case 3:
		return 0x0000ffff;
	default:
		return random_next(r);
	}
}

struct dysco_tuple random_tuple(struct random *r, bool ip6)
{
	struct dysco_tuple t = {.sport_be = (uint16_t)random_word(r),
				.dport_be = (uint16_t)random_word(r)};

	if (!ip6) {
		t.src = dysco_addr_from_ip4(random_word(r));
		t.dst = dysco_addr_from_ip4(random_word(r));
		return t;
	}
	for (size_t i = 0; i < 4; i++) {
		t.src.w_be[i] = random_word(r);
		t.dst.w_be[i] = random_word(r);
	}
	t.src.w_be[0] |= 1; /* not mapped */
	t.dst.w_be[0] |= 1;
	return t;
}

void random_recipe(struct random *r, struct random_packet *p)
{
	bool constant = random_below(r, 4) == 0;

	memset(&p->recipe, 0, sizeof(p->recipe));
	memset(p->options, 1, sizeof(p->options));
	random_fill(r, p->payload, sizeof(p->payload));
	if (constant) {
		memset(p->payload, (int)random_word(r), sizeof(p->payload));
	}
	p->recipe.tuple = random_tuple(r, random_below(r, 2));
	p->recipe.seq = random_word(r);
	p->recipe.ack = random_word(r);
	p->recipe.flags = (uint8_t)random_below(r, 64);
	p->recipe.window = (uint16_t)random_word(r);
	p->recipe.options = p->options;
	p->recipe.option_bytes = (size_t)random_below(r, 11) * 4;
	p->recipe.payload = p->payload;
	p->recipe.payload_bytes = random_below(r, sizeof(p->payload) + 1);
}
