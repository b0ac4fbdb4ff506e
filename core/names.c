/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Legs by what their session is called: its id, and its five-tuple as the host
 * sees it. Two hashes with chains, in memory that does not last: it is filled
 * from the legs when the core starts. Chains are in the order of slots, so that
 * what is found first does not depend on the order in which legs came. Control
 * sessions are not in it.
 */
#include "core/internal.h"

#include <string.h>

/* Spreads the bits of a word (D. Stafford's variant 13 of the MurmurHash3 finalizer). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t mix_bytes(uint64_t hash, const void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const uint8_t *)at + i,
		       bytes - i < sizeof(word) ? bytes - i : sizeof(word));
		hash = mix(hash ^ word);
	}
	return hash;
}

static uint64_t hash_end(const struct dysco_addr *addr, dysco_be16 port_be)
{
	return mix_bytes(port_be, addr, sizeof(*addr));
}

static uint32_t place_of_id(const struct dysco_core *core, uint16_t host,
			    const struct dysco_session_id *id)
{
	return (uint32_t)(mix_bytes(host, id, sizeof(*id)) % core->table->capacity);
}

/* The same for both directions. */
static uint32_t place_of_session(const struct dysco_core *core, uint16_t host,
				 const struct dysco_tuple *session)
{
	uint64_t ends =
	    hash_end(&session->src, session->sport_be) + hash_end(&session->dst, session->dport_be);

	return (uint32_t)(mix(ends ^ host) % core->table->capacity);
}

static void place_of_leg(const struct dysco_core *core, uint32_t slot, uint32_t place[DYSCO_NAMES])
{
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint16_t host = dysco_leg_at(core, slot)->host;

	place[DYSCO_NAME_ID] = place_of_id(core, host, &cold->id);
	place[DYSCO_NAME_SESSION] = place_of_session(core, host, &cold->session);
}

/* What points at this slot in the chain, or at the one that would follow it. */
static uint32_t *link_to(const struct dysco_core *core, uint32_t place, enum dysco_name name,
			 uint32_t slot)
{
	uint32_t *link = &core->table->names[place].head[name];

	while (*link != DYSCO_NO_SLOT && *link < slot) {
		link = &core->table->names[*link].next[name];
	}
	return link;
}

void dysco_leg_named(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg_names *names = &core->table->names[slot];

	dysco_leg_unnamed(core, slot);
	place_of_leg(core, slot, names->place);
	for (int name = 0; name < DYSCO_NAMES; name++) {
		uint32_t *link = link_to(core, names->place[name], (enum dysco_name)name, slot);

		names->next[name] = *link;
		*link = slot;
	}
	names->named = 1;
}

void dysco_leg_unnamed(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg_names *names = &core->table->names[slot];

	for (int name = 0; names->named && name < DYSCO_NAMES; name++) {
		*link_to(core, names->place[name], (enum dysco_name)name, slot) = names->next[name];
	}
	names->named = 0;
}

void dysco_names_start(struct dysco_core *core)
{
	memset(core->table->names, 0, core->table->capacity * sizeof(*core->table->names));
	/* From the end, so that each is the first of its chains. */
	for (uint32_t slot = core->high_slot; slot > 0; slot--) {
		const struct dysco_leg *leg = dysco_leg_at(core, slot);

		if (leg->mode != DYSCO_MODE_FREE && leg->role != DYSCO_ROLE_CONTROL) {
			dysco_leg_named(core, slot);
		}
	}
}

uint32_t dysco_leg_by_id(const struct dysco_core *core, uint16_t host,
			 const struct dysco_session_id *id, uint32_t after)
{
	uint32_t slot = after ? core->table->names[after].next[DYSCO_NAME_ID]
			      : core->table->names[place_of_id(core, host, id)].head[DYSCO_NAME_ID];

	while (slot != DYSCO_NO_SLOT &&
	       (dysco_leg_at(core, slot)->host != host ||
		memcmp(&dysco_cold_at(core, slot)->id, id, sizeof(*id)) != 0)) {
		slot = core->table->names[slot].next[DYSCO_NAME_ID];
	}
	return slot;
}

uint32_t dysco_leg_by_session(const struct dysco_core *core, uint16_t host,
			      const struct dysco_tuple *session, uint32_t after)
{
	const struct dysco_leg_names *names = core->table->names;
	struct dysco_tuple reversed = dysco_tuple_reverse(session);
	uint32_t slot = after
			    ? names[after].next[DYSCO_NAME_SESSION]
			    : names[place_of_session(core, host, session)].head[DYSCO_NAME_SESSION];

	while (slot != DYSCO_NO_SLOT &&
	       (dysco_leg_at(core, slot)->host != host ||
		(!dysco_tuple_equal(&dysco_cold_at(core, slot)->session, session) &&
		 !dysco_tuple_equal(&dysco_cold_at(core, slot)->session, &reversed)))) {
		slot = names[slot].next[DYSCO_NAME_SESSION];
	}
	return slot;
}

bool dysco_leg_is_named(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg_names *names = &core->table->names[slot];
	uint32_t place[DYSCO_NAMES];

	if (!names->named) {
		return false;
	}
	place_of_leg(core, slot, place);
	for (int name = 0; name < DYSCO_NAMES; name++) {
		if (names->place[name] != place[name] ||
		    *link_to(core, place[name], (enum dysco_name)name, slot) != slot) {
			return false;
		}
	}
	return true;
}
