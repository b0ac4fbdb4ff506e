// SPDX-License-Identifier: BSD-2-Clause
/* Packets of the simulator's endpoints and boxes: see segment.h. */
#include "tests/sim/segment.h"

#include <string.h>

enum { IP4_BYTES = 20, IP6_BYTES = 40, TCP_BYTES = 20, PROTO_TCP = 6 };

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* One's complement sum of big-endian 16-bit words, the last one padded. */
static uint32_t sum_of(const uint8_t *data, size_t bytes, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < bytes; i += 2) {
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	}
	if (i < bytes) {
		sum += (uint32_t)data[i] << 8;
	}
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static size_t l4_of(const uint8_t *data)
{
	return data[0] >> 4 == 4 ? IP4_BYTES : IP6_BYTES;
}

static uint16_t tcp_sum(const uint8_t *data, size_t bytes)
{
	size_t l4 = l4_of(data);
	const uint8_t *addresses = l4 == IP4_BYTES ? data + 12 : data + 8;
	size_t addresses_bytes = l4 == IP4_BYTES ? 8 : 32;
	uint32_t sum = sum_of(addresses, addresses_bytes, (uint32_t)(PROTO_TCP + bytes - l4));

	return folded(sum_of(data + l4, bytes - l4, sum));
}

static void write_checksums(uint8_t *data, size_t bytes)
{
	size_t l4 = l4_of(data);

	if (l4 == IP4_BYTES) {
		sim_put16(data + 10, 0);
		sim_put16(data + 10, (uint16_t)~folded(sum_of(data, IP4_BYTES, 0)));
	}
	sim_put16(data + l4 + 16, 0);
	sim_put16(data + l4 + 16, (uint16_t)~tcp_sum(data, bytes));
}

static void write_tuple(uint8_t *data, const struct dysco_tuple *t)
{
	size_t l4 = l4_of(data);

	if (l4 == IP4_BYTES) {
		memcpy(data + 12, &t->src.w_be[3], 4);
		memcpy(data + 16, &t->dst.w_be[3], 4);
	} else {
		memcpy(data + 8, &t->src, 16);
		memcpy(data + 24, &t->dst, 16);
	}
	memcpy(data + l4, &t->sport_be, 2);
	memcpy(data + l4 + 2, &t->dport_be, 2);
}

static void write_ip(uint8_t *out, bool ip4, size_t bytes)
{
	memset(out, 0, IP6_BYTES);
	if (ip4) {
		out[0] = 0x45;
		sim_put16(out + 2, (uint32_t)bytes);
		out[6] = 0x40; /* do not fragment */
		out[8] = 64;
		out[9] = PROTO_TCP;
	} else {
		out[0] = 0x60;
		sim_put16(out + 4, (uint32_t)bytes - IP6_BYTES);
		out[6] = PROTO_TCP;
		out[7] = 64;
	}
}

size_t sim_segment_write(uint8_t *out, const struct sim_segment *s)
{
	bool ip4 = dysco_addr_is_ip4(&s->tuple.src);
	size_t l4 = ip4 ? IP4_BYTES : IP6_BYTES;
	size_t bytes = l4 + TCP_BYTES + s->options_bytes + s->payload_bytes;

	write_ip(out, ip4, bytes);
	memset(out + l4, 0, TCP_BYTES);
	write_tuple(out, &s->tuple);
	sim_put32(out + l4 + 4, s->seq);
	sim_put32(out + l4 + 8, s->ack);
	out[l4 + 12] = (uint8_t)((TCP_BYTES + s->options_bytes) << 2);
	out[l4 + 13] = s->flags;
	sim_put16(out + l4 + 14, s->window);
	if (s->options_bytes) {
		memcpy(out + l4 + TCP_BYTES, s->options, s->options_bytes);
	}
	if (s->payload_bytes) {
		memcpy(out + l4 + TCP_BYTES + s->options_bytes, s->payload, s->payload_bytes);
	}
	write_checksums(out, bytes);
	return bytes;
}

static void read_tuple(struct dysco_tuple *t, const uint8_t *data)
{
	size_t l4 = l4_of(data);

	if (l4 == IP4_BYTES) {
		dysco_be32 src_be, dst_be;

		memcpy(&src_be, data + 12, 4);
		memcpy(&dst_be, data + 16, 4);
		t->src = dysco_addr_from_ip4(src_be);
		t->dst = dysco_addr_from_ip4(dst_be);
	} else {
		memcpy(&t->src, data + 8, 16);
		memcpy(&t->dst, data + 24, 16);
	}
	memcpy(&t->sport_be, data + l4, 2);
	memcpy(&t->dport_be, data + l4 + 2, 2);
}

static bool is_tcp(const uint8_t *data, size_t bytes)
{
	if (bytes < IP4_BYTES + TCP_BYTES) {
		return false;
	}
	if (data[0] == 0x45) {
		return data[9] == PROTO_TCP && !(get16(data + 6) & 0x3fff);
	}
	return data[0] >> 4 == 6 && data[6] == PROTO_TCP && bytes >= IP6_BYTES + TCP_BYTES;
}

bool sim_segment_read(struct sim_segment *s, const uint8_t *data, size_t bytes)
{
	size_t l4, header;

	if (!is_tcp(data, bytes)) {
		return false;
	}
	l4 = l4_of(data);
	header = (size_t)(data[l4 + 12] >> 4) * 4;
	if (header < TCP_BYTES || l4 + header > bytes) {
		return false;
	}
	read_tuple(&s->tuple, data);
	s->seq = get32(data + l4 + 4);
	s->ack = get32(data + l4 + 8);
	s->flags = data[l4 + 13];
	s->window = (uint16_t)get16(data + l4 + 14);
	s->options = data + l4 + TCP_BYTES;
	s->options_bytes = (uint16_t)(header - TCP_BYTES);
	s->payload = data + l4 + header;
	s->payload_bytes = (uint16_t)(bytes - l4 - header);
	return true;
}

void sim_segment_readdress(uint8_t *data, size_t bytes, const struct dysco_tuple *to)
{
	write_tuple(data, to);
	write_checksums(data, bytes);
}

const char *sim_segment_wrong(const uint8_t *data, size_t bytes)
{
	bool ip4 = data[0] >> 4 == 4;
	size_t says = ip4 ? get16(data + 2) : get16(data + 4) + (size_t)IP6_BYTES;

	if (says != bytes) {
		return "IP length";
	}
	if (ip4 && folded(sum_of(data, IP4_BYTES, 0)) != 0xffff) {
		return "IPv4 header checksum";
	}
	return tcp_sum(data, bytes) == 0xffff ? NULL : "TCP checksum";
}

uint32_t sim_segment_end(const struct sim_segment *s)
{
	return s->seq + s->payload_bytes + ((s->flags & SIM_SYN) ? 1 : 0) +
	       ((s->flags & SIM_FIN) ? 1 : 0);
}

bool sim_segment_has_exid(const struct sim_segment *s, uint16_t exid)
{
	for (size_t i = 0; i < s->options_bytes;) {
		uint8_t kind = s->options[i];

		if (kind == 0) {
			return false;
		}
		if (kind == 1) {
			i++;
			continue;
		}
		if (i + 1 >= s->options_bytes || s->options[i + 1] < 2) {
			return false;
		}
		if (kind == 253 && i + 4 <= s->options_bytes && get16(s->options + i + 2) == exid) {
			return true;
		}
		i += s->options[i + 1];
	}
	return false;
}

uint64_t sim_bytes_hash(uint64_t hash, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, at, bytes);
	hash = (hash ^ word ^ (uint64_t)bytes << 56) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

uint64_t sim_segment_hash(const uint8_t *data, size_t bytes)
{
	size_t l4 = l4_of(data);
	uint64_t hash = sim_bytes_hash(1, data, l4 == IP4_BYTES ? 10 : 8);

	hash = sim_bytes_hash(hash, data + l4 + 4, 12);
	return sim_bytes_hash(hash, data + l4 + 18, bytes - l4 - 18);
}
