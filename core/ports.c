/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Five-tuples of subsessions. Both ports come from the configured range; a pair
 * is free when no leg of the host has its IN key: a leg that has ended keeps
 * its key while it lingers, which is the quarantine.
 */
#include "core/internal.h"
#include "wire/sha256.h"

#include <string.h>

/* Pairs looked at before towards this host it is said that there are none left. */
#define PROBES_MAX 4096u

/* xorshift128+: spreads ports; nothing secret depends on it. */
uint64_t dysco_random(struct dysco_core *core)
{
	uint64_t a = core->random[0], b = core->random[1];

	core->random[0] = b;
	a ^= a << 23;
	core->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return core->random[1] + b;
}

void dysco_session_id_make(struct dysco_core *core, struct dysco_session_id *id)
{
	uint8_t mac[32];
	uint64_t n = ++core->ids;

	dysco_hmac_sha256(mac, core->secret, (const uint8_t *)&n, sizeof(n));
	memcpy(id->b, mac, sizeof(id->b));
}

static bool port_held(const struct dysco_core *core, uint16_t host, uint32_t offset)
{
	for (size_t i = 0; i < sizeof(core->held) / sizeof(core->held[0]); i++) {
		const struct dysco_port_bitmap *held = &core->held[i];

		if (held->host == host && ((held->bits[offset / 64] >> (offset % 64)) & 1)) {
			return true;
		}
	}
	return false;
}

static bool pair_free(const struct dysco_core *core, uint16_t host, const struct dysco_tuple *wire)
{
	struct dysco_tuple in = dysco_tuple_reverse(wire);

	return dysco_find(core, &in, host, DYSCO_IN) == DYSCO_NO_SLOT &&
	       dysco_find(core, wire, host, DYSCO_OUT) == DYSCO_NO_SLOT;
}

bool dysco_ports_choose(struct dysco_core *core, uint16_t host, struct dysco_tuple *wire)
{
	uint16_t first = core->setup->port_first;
	uint64_t span = (uint64_t)core->setup->port_last - first + 1;
	uint64_t pairs = span * span;
	uint64_t start = dysco_random(core) % pairs;
	uint64_t probes = pairs < PROBES_MAX ? pairs : PROBES_MAX;

	for (uint64_t i = 0; i < probes; i++) {
		uint64_t pair = (start + i) % pairs;
		uint32_t source = (uint32_t)(pair % span);

		wire->sport_be = DYSCO_BE16(first + source);
		wire->dport_be = DYSCO_BE16(first + (uint32_t)(pair / span));
		if (!port_held(core, host, source) && pair_free(core, host, wire)) {
			return true;
		}
	}
	return false;
}

void dysco_core_ports_held(struct dysco_core *core, const struct dysco_port_bitmap *held)
{
	struct dysco_port_bitmap *entry = NULL;

	for (size_t i = 0; i < sizeof(core->held) / sizeof(core->held[0]); i++) {
		if (core->held[i].host == held->host) {
			entry = &core->held[i];
			break;
		}
		if (core->held[i].host == 0 && !entry) {
			entry = &core->held[i];
		}
	}
	if (entry) {
		*entry = *held;
	}
}
