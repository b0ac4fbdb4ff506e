// SPDX-License-Identifier: BSD-2-Clause
/*
 * The simulated leg table: linear probing in one flat array, removal by moving
 * the followers back, so that the same calls always give the same memory.
 */
#include <string.h>

#include "datapath/sim/sim.h"

static uint32_t home_of(const struct dysco_sim *sim, const struct dysco_leg_key *key)
{
	uint32_t words[sizeof(*key) / sizeof(uint32_t)];
	uint32_t hash = 2166136261u;

	memcpy(words, key, sizeof(*key));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * 16777619u;
		hash ^= hash >> 15;
	}
	return hash & sim->index_mask;
}

/* Where the key is, or the empty place where it would go. */
static uint32_t place_of(const struct dysco_sim *sim, const struct dysco_leg_key *key)
{
	uint32_t at = home_of(sim, key);

	while (sim->index[at].slot != DYSCO_NO_SLOT &&
	       memcmp(&sim->index[at].key, key, sizeof(*key)) != 0) {
		at = (at + 1) & sim->index_mask;
	}
	return at;
}

static int table_bind(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct dysco_sim *sim = (struct dysco_sim *)table;
	struct dysco_sim_place *place = &sim->index[place_of(sim, key)];

	if (place->slot != DYSCO_NO_SLOT) {
		return DYSCO_TABLE_EXISTS;
	}
	if (sim->n_keys >= 2 * table->capacity) {
		return DYSCO_TABLE_FULL;
	}
	place->key = *key;
	place->slot = slot;
	sim->n_keys++;
	return 0;
}

static void table_unbind(struct dysco_table *table, const struct dysco_leg_key *key)
{
	struct dysco_sim *sim = (struct dysco_sim *)table;
	uint32_t hole = place_of(sim, key);
	uint32_t at = hole;

	if (sim->index[hole].slot == DYSCO_NO_SLOT) {
		return;
	}
	sim->n_keys--;
	for (;;) {
		uint32_t distance_home;

		at = (at + 1) & sim->index_mask;
		if (sim->index[at].slot == DYSCO_NO_SLOT) {
			break;
		}
		distance_home = (at - home_of(sim, &sim->index[at].key)) & sim->index_mask;
		if (distance_home >= ((at - hole) & sim->index_mask)) {
			sim->index[hole] = sim->index[at];
			hole = at;
		}
	}
	memset(&sim->index[hole], 0, sizeof(sim->index[hole]));
}

static void table_move(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct dysco_sim *sim = (struct dysco_sim *)table;
	struct dysco_sim_place *place = &sim->index[place_of(sim, key)];

	if (place->slot != DYSCO_NO_SLOT) {
		place->slot = slot;
	}
}

static uint32_t table_find(struct dysco_table *table, const struct dysco_leg_key *key)
{
	struct dysco_sim *sim = (struct dysco_sim *)table;

	return sim->index[place_of(sim, key)].slot;
}

static const struct dysco_table_ops table_ops = {
    .bind = table_bind,
    .unbind = table_unbind,
    .move = table_move,
    .find = table_find,
};

void dysco_sim_rebind(struct dysco_sim *sim)
{
	sim->table.ops = &table_ops;
	sim->table.legs = sim->legs;
	sim->table.cold = sim->cold;
	sim->table.names = sim->names;
	sim->table.lasting = &sim->lasting;
	sim->table.attempts = sim->attempts;
	sim->table.n_attempts = DYSCO_SIM_ATTEMPTS;
}

void dysco_sim_open(struct dysco_sim *sim, uint32_t capacity)
{
	uint32_t places = 16;

	while (places < 4 * capacity && places < DYSCO_SIM_INDEX_MAX) {
		places *= 2;
	}
	memset(sim, 0, offsetof(struct dysco_sim, index));
	memset(sim->index, 0, places * sizeof(sim->index[0]));
	memset(sim->legs, 0, capacity * sizeof(sim->legs[0]));
	memset(sim->cold, 0, capacity * sizeof(sim->cold[0]));
	sim->index_mask = places - 1;
	sim->table.capacity = capacity;
	dysco_sim_rebind(sim);
}
