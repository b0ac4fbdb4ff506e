/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as people write them (parse.h), on inet_pton() and inet_ntop().
 */
#include "conf/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool dysco_parse_addr(const char *text, struct dysco_addr *addr)
{
	struct in_addr ip4;
	struct in6_addr ip6;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		*addr = dysco_addr_from_ip4(ip4.s_addr);
		return true;
	}
	if (inet_pton(AF_INET6, text, &ip6) == 1) {
		memcpy(addr, &ip6, sizeof(*addr));
		return true;
	}
	return false;
}

bool dysco_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;

	if (*text == '\0') {
		return false;
	}
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10) {
			return false;
		}
		n = n * 10 + (uint64_t)(*text - '0');
	}
	if (n < min || n > max) {
		return false;
	}
	*number = n;
	return true;
}

/* Clears the bits behind the first `bits`; were any of them set? */
static bool mask(struct dysco_addr *addr, unsigned int bits)
{
	uint8_t b[sizeof(*addr)];
	bool any = false;

	memcpy(b, addr, sizeof(b));
	for (unsigned int i = 0; i < sizeof(b); i++) {
		unsigned int kept = bits > 8 * i ? bits - 8 * i : 0;
		uint8_t keep = (uint8_t)(kept >= 8 ? 0xffu : 0xff00u >> kept);

		any = any || (b[i] & ~keep) != 0;
		b[i] &= keep;
	}
	memcpy(addr, b, sizeof(b));
	return any;
}

/* Copies text up to `end` when it fits. */
static bool head(char *out, size_t out_bytes, const char *text, const char *end)
{
	size_t n = (size_t)(end - text);

	if (n >= out_bytes) {
		return false;
	}
	memcpy(out, text, n);
	out[n] = '\0';
	return true;
}

bool dysco_parse_prefix(const char *text, struct dysco_prefix *prefix, bool *host_bits)
{
	const char *slash = strchr(text, '/');
	struct dysco_prefix p = {.bits = 128};
	char addr[DYSCO_ENDPOINT_TEXT];
	uint64_t bits;
	bool ip4;

	if (!head(addr, sizeof(addr), text, slash ? slash : text + strlen(text)) ||
	    !dysco_parse_addr(addr, &p.addr)) {
		return false;
	}
	if (slash) {
		ip4 = dysco_addr_is_ip4(&p.addr) && !strchr(addr, ':');
		if (!dysco_parse_number(slash + 1, 0, ip4 ? 32 : 128, &bits)) {
			return false;
		}
		p.bits = (uint8_t)(ip4 ? bits + 96 : bits);
	}
	*host_bits = mask(&p.addr, p.bits);
	*prefix = p;
	return true;
}

bool dysco_parse_endpoint(const char *text, struct dysco_addr *addr, dysco_be16 *port_be)
{
	const char *colon = strrchr(text, ':');
	const char *end = colon;
	char host[DYSCO_ENDPOINT_TEXT];
	struct dysco_addr a;
	uint64_t port;

	if (!colon) {
		return false;
	}
	if (*text == '[') {
		if (colon[-1] != ']') {
			return false;
		}
		text++;
		end--;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return false;
	}
	if (end < text || !head(host, sizeof(host), text, end) || !dysco_parse_addr(host, &a) ||
	    !dysco_parse_number(colon + 1, 1, 65535, &port)) {
		return false;
	}
	*addr = a;
	*port_be = DYSCO_BE16((uint16_t)port);
	return true;
}

bool dysco_parse_tuple(const char *src, const char *dst, struct dysco_tuple *tuple)
{
	struct dysco_tuple t;

	if (!dysco_parse_endpoint(src, &t.src, &t.sport_be) ||
	    !dysco_parse_endpoint(dst, &t.dst, &t.dport_be) ||
	    dysco_addr_is_ip4(&t.src) != dysco_addr_is_ip4(&t.dst)) {
		return false;
	}
	*tuple = t;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool dysco_parse_key(const char *text, size_t bytes, uint8_t key[32])
{
	uint8_t k[32];

	if (bytes != 2 * sizeof(k)) {
		return false;
	}
	for (size_t i = 0; i < sizeof(k); i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		k[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(key, k, sizeof(k));
	return true;
}

bool dysco_parse_name_ok(const char *text)
{
	struct dysco_addr addr;
	size_t n = strlen(text);

	if (n == 0 || n >= DYSCO_NAME_BYTES || !isalnum((unsigned char)text[0])) {
		return false;
	}
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c)) {
			return false;
		}
	}
	return !dysco_parse_addr(text, &addr);
}

bool dysco_addr_is_unicast(const struct dysco_addr *addr)
{
	if (dysco_addr_is_ip4(addr)) {
		uint32_t ip = DYSCO_HOST32(addr->w_be[3]);

		return ip != 0 && ip < 0xe0000000u;
	}
	return !dysco_addr_is_zero(addr) && (DYSCO_HOST32(addr->w_be[0]) >> 24) != 0xff;
}

void dysco_format_addr(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_addr *addr)
{
	if (dysco_addr_is_ip4(addr)) {
		inet_ntop(AF_INET, &addr->w_be[3], out, DYSCO_ENDPOINT_TEXT);
	} else {
		inet_ntop(AF_INET6, addr, out, DYSCO_ENDPOINT_TEXT);
	}
}

void dysco_format_prefix(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_prefix *prefix)
{
	bool ip4 = dysco_addr_is_ip4(&prefix->addr) && prefix->bits >= 96;
	size_t n;

	dysco_format_addr(out, &prefix->addr);
	if (prefix->bits < 128) {
		n = strlen(out);
		snprintf(out + n, DYSCO_ENDPOINT_TEXT - n, "/%d",
			 ip4 ? prefix->bits - 96 : prefix->bits);
	}
}

void dysco_format_endpoint(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_addr *addr,
			   dysco_be16 port_be)
{
	char text[DYSCO_ENDPOINT_TEXT];

	dysco_format_addr(text, addr);
	snprintf(out, DYSCO_ENDPOINT_TEXT, strchr(text, ':') ? "[%.50s]:%u" : "%.50s:%u", text,
		 (unsigned int)DYSCO_HOST16(port_be));
}
