// SPDX-License-Identifier: BSD-2-Clause
/* What a delay box does to a frame: settings, and decisions drawn from a seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/wire.h"

#define ETH_BYTES	 14
#define ETHERTYPE_ARP	 0x0806
#define ETHERTYPE_IPV6	 0x86dd
#define IPV6_NEXT_HEADER (ETH_BYTES + 6)
#define IPPROTO_ICMP6	 58
#define IPV6_BYTES	 40
/* Types 133 to 137: router and neighbour discovery, redirect (RFC 4861). */
#define ND_FIRST 133
#define ND_LAST	 137

struct key {
	const char *name;
	size_t offset;
	bool (*parse)(const char *text, uint32_t *value);
	const char *example;
};

struct unit {
	const char *suffix;
	double factor;
};

/* NUMBER with one of the units; true when the whole text is that and it is 0 .. max. */
static bool parse_unit(const char *text, const struct unit *units, size_t n, double max,
		       uint32_t *value)
{
	char *end;
	double number = strtod(text, &end);

	/* No sign, no inf, nan or hexadecimal: those strtod() would take. */
	if (strspn(text, "0123456789.") != (size_t)(end - text) || end == text) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].suffix) == 0 && number * units[i].factor <= max) {
			*value = (uint32_t)(number * units[i].factor + 0.5);
			return true;
		}
	}
	return false;
}

static bool parse_time(const char *text, uint32_t *value)
{
	static const struct unit UNITS[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};

	return parse_unit(text, UNITS, 3, WIRE_DELAY_MAX_US, value);
}

static bool parse_chance(const char *text, uint32_t *value)
{
	static const struct unit UNITS[] = {{"%", 1e4}, {"ppm", 1}};

	return parse_unit(text, UNITS, 2, WIRE_PPM, value);
}

static bool parse_count(const char *text, uint32_t *value)
{
	static const struct unit UNITS[] = {{"", 1}};

	return parse_unit(text, UNITS, 1, WIRE_QUEUE_MAX, value);
}

static const struct key KEYS[] = {
    {"delay", offsetof(struct wire_settings, delay_us), parse_time, "10ms"},
    {"jitter", offsetof(struct wire_settings, jitter_us), parse_time, "2ms"},
    {"loss", offsetof(struct wire_settings, loss_ppm), parse_chance, "1%"},
    {"duplicate", offsetof(struct wire_settings, duplicate_ppm), parse_chance, "1%"},
    {"reorder", offsetof(struct wire_settings, reorder_ppm), parse_chance, "1%"},
    {"queue", offsetof(struct wire_settings, queue), parse_count, "1000"},
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
		if (strcmp(KEYS[i].name, name) == 0) {
			return &KEYS[i];
		}
	}
	return NULL;
}

bool wire_is_setting(const char *key)
{
	return find_key(key) != NULL;
}

static uint32_t *field(struct wire_settings *settings, const struct key *key)
{
	return (uint32_t *)(void *)((char *)settings + key->offset);
}

int wire_set(struct wire_settings settings[2], const char *name, const char *value, char *error,
	     size_t error_bytes)
{
	const struct key *key = find_key(name);
	const char *slash = strchr(value, '/');
	char first[64];
	uint32_t a, b;

	if (!key) {
		snprintf(error, error_bytes,
			 "'%s' is no setting: delay, jitter, loss, duplicate, reorder, queue",
			 name);
		return -1;
	}
	snprintf(first, sizeof(first), "%.*s", slash ? (int)(slash - value) : 63, value);
	if (!key->parse(first, &a) || !key->parse(slash ? slash + 1 : first, &b)) {
		snprintf(error, error_bytes, "%s '%s': write it as %s, or %s/%s for each direction",
			 name, value, key->example, key->example, key->example);
		return -1;
	}
	*field(&settings[0], key) = a;
	*field(&settings[1], key) = b;
	return 0;
}

/* splitmix64: spreads a seed over the state (Steele, Lea, Flood 2014). */
static uint64_t spread(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void wire_random_seed(struct wire_random *r, uint64_t seed, uint64_t stream)
{
	uint64_t x = seed ^ (stream * 0xd1342543de82ef95u);

	for (int i = 0; i < 4; i++) {
		r->s[i] = spread(&x);
	}
}

static uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

/* xoshiro256** (Blackman, Vigna 2018). */
static uint64_t draw(struct wire_random *r)
{
	uint64_t result = rotate(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotate(r->s[3], 45);
	return result;
}

/* 0 .. n-1 */
static uint32_t below(struct wire_random *r, uint32_t n)
{
	return (uint32_t)(((draw(r) >> 32) * n) >> 32);
}

struct wire_fate wire_fate_draw(struct wire_random *r, const struct wire_settings *s)
{
	uint32_t jitter = s->jitter_us < s->delay_us ? s->jitter_us : s->delay_us;
	struct wire_fate fate;
	bool reordered;

	fate.lost = below(r, WIRE_PPM) < s->loss_ppm;
	fate.duplicated = below(r, WIRE_PPM) < s->duplicate_ppm;
	reordered = below(r, WIRE_PPM) < s->reorder_ppm;
	fate.behind = 1 + below(r, 3);
	fate.behind = reordered ? fate.behind : 0;
	fate.delay_us = s->delay_us - jitter + below(r, 2 * jitter + 1);
	return fate;
}

bool wire_frame_is_chatter(const uint8_t *frame, size_t bytes)
{
	unsigned int ethertype;

	if (bytes < ETH_BYTES) {
		return true;
	}
	ethertype = (unsigned int)frame[12] << 8 | frame[13];
	if (frame[0] & 1 || ethertype == ETHERTYPE_ARP) {
		return true;
	}
	return ethertype == ETHERTYPE_IPV6 && bytes > ETH_BYTES + IPV6_BYTES &&
	       frame[IPV6_NEXT_HEADER] == IPPROTO_ICMP6 &&
	       frame[ETH_BYTES + IPV6_BYTES] >= ND_FIRST &&
	       frame[ETH_BYTES + IPV6_BYTES] <= ND_LAST;
}
