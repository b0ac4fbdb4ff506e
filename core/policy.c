/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of a setup, and small questions about it. */
#include "core/policy.h"

#include <string.h>

uint32_t dysco_policy_tag(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < DYSCO_NAME_BYTES && name[i]; i++) {
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	}
	return hash ? hash : 1;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0) {
		return false;
	}
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool dysco_prefix_contains(const struct dysco_prefix *prefix, const struct dysco_addr *addr)
{
	unsigned int bits = prefix->bits > 128 ? 128 : prefix->bits;

	return bits_equal((const uint8_t *)&prefix->addr, (const uint8_t *)addr, bits);
}

bool dysco_host_has(const struct dysco_host *host, const struct dysco_addr *addr)
{
	for (uint8_t i = 0; i < host->n_prefixes; i++) {
		if (dysco_prefix_contains(&host->prefixes[i], addr)) {
			return true;
		}
	}
	return false;
}

const struct dysco_host *dysco_setup_host(const struct dysco_setup *setup, uint16_t id)
{
	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		if (setup->hosts[i].id == id) {
			return &setup->hosts[i];
		}
	}
	return NULL;
}

/* Marks the boxes a hop may lead to; false when one of them is marked already. */
static bool mark_hop(const struct dysco_setup *setup, const struct dysco_policy_hop *hop,
		     bool *marked)
{
	const struct dysco_type *type;

	if (hop->kind == DYSCO_HOP_BOX) {
		bool fresh = !marked[hop->index];

		marked[hop->index] = true;
		return fresh;
	}
	type = &setup->types[hop->index];
	for (uint16_t i = 0; i < type->count; i++) {
		if (marked[type->boxes[i]]) {
			return false;
		}
	}
	for (uint16_t i = 0; i < type->count; i++) {
		marked[type->boxes[i]] = true;
	}
	return true;
}

static bool box_is_host(const struct dysco_box *box, const struct dysco_host *host)
{
	return (!dysco_addr_is_zero(&box->ip4) && dysco_host_has(host, &box->ip4)) ||
	       (!dysco_addr_is_zero(&box->ip6) && dysco_host_has(host, &box->ip6));
}

static bool hop_is_self(const struct dysco_setup *setup, const struct dysco_policy *policy,
			const struct dysco_policy_hop *hop)
{
	for (uint8_t i = 0; i < policy->n_at && hop->kind == DYSCO_HOP_BOX; i++) {
		const struct dysco_host *host = dysco_setup_host(setup, policy->at[i]);

		if (host && box_is_host(&setup->boxes[hop->index], host)) {
			return true;
		}
	}
	return false;
}

static enum dysco_setup_error check_hop(const struct dysco_setup *setup,
					const struct dysco_policy *policy, uint8_t i, bool *marked)
{
	const struct dysco_policy_hop *hop = &policy->hops[i];

	if (hop->kind == DYSCO_HOP_TYPE && setup->types[hop->index].count == 0) {
		return DYSCO_SETUP_EMPTY_TYPE;
	}
	if (hop->exit && i + 1 != policy->n_hops) {
		return DYSCO_SETUP_EXIT;
	}
	if (hop_is_self(setup, policy, hop)) {
		return DYSCO_SETUP_SELF;
	}
	return mark_hop(setup, hop, marked) ? DYSCO_SETUP_OK : DYSCO_SETUP_LOOP;
}

static enum dysco_setup_error check_policy(const struct dysco_setup *setup, uint16_t n,
					   uint16_t *hop)
{
	const struct dysco_policy *policy = &setup->policies[n];
	bool marked[DYSCO_BOXES_MAX] = {false};

	*hop = 0;
	if (policy->n_hops + 1 > DYSCO_HOPS_MAX || policy->n_hops > DYSCO_POLICY_HOPS) {
		return DYSCO_SETUP_LONG;
	}
	for (uint16_t i = 0; i < n; i++) {
		if (strncmp(setup->policies[i].name, policy->name, DYSCO_NAME_BYTES) == 0) {
			return DYSCO_SETUP_NAME;
		}
	}
	for (uint8_t i = 0; i < policy->n_hops; i++) {
		enum dysco_setup_error error = check_hop(setup, policy, i, marked);

		if (error != DYSCO_SETUP_OK) {
			*hop = i;
			return error;
		}
	}
	return DYSCO_SETUP_OK;
}

enum dysco_setup_error dysco_setup_check(const struct dysco_setup *setup, uint16_t *policy,
					 uint16_t *hop)
{
	*policy = 0;
	*hop = 0;
	if (setup->port_first == 0 || setup->port_first > setup->port_last) {
		return DYSCO_SETUP_PORTS;
	}
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		enum dysco_setup_error error = check_policy(setup, i, hop);

		if (error != DYSCO_SETUP_OK) {
			*policy = i;
			return error;
		}
	}
	return DYSCO_SETUP_OK;
}
