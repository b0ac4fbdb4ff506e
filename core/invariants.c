/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-check of core and leg table, for every harness. */
#include "core/internal.h"

static const char *check_partner(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg *partner;

	if (leg->partner == DYSCO_NO_SLOT) {
		return leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_RIGHT
			   ? "a leg of a middlebox has no partner"
			   : NULL;
	}
	partner = dysco_leg_at(core, leg->partner);
	if (partner->partner != slot || partner->host != leg->host) {
		return "partners do not name each other";
	}
	if (__builtin_memcmp(&dysco_cold_at(core, slot)->id, &dysco_cold_at(core, leg->partner)->id,
			     sizeof(struct dysco_session_id)) != 0) {
		return "partners belong to different sessions";
	}
	return NULL;
}

static const char *check_keys(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_key out = dysco_leg_key_out(leg), in = dysco_leg_key_in(leg);

	if (leg->mode != DYSCO_MODE_DEAD && core->table->ops->find(core->table, &out) != slot) {
		return "a live leg's OUT key leads elsewhere";
	}
	if (leg->mode == DYSCO_MODE_FAST && core->table->ops->find(core->table, &in) != slot) {
		return "a running leg's IN key leads elsewhere";
	}
	return NULL;
}

static const char *check_leg(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	const char *broken;

	if (leg->mode > DYSCO_MODE_DEAD || leg->role < DYSCO_ROLE_FIRST ||
	    leg->role > DYSCO_ROLE_RIGHT) {
		return "a leg has no valid mode or role";
	}
	if (cold->list.next >= cold->list.count || cold->list.count > DYSCO_HOPS_MAX) {
		return "an address list ends before its next hop";
	}
	broken = check_partner(core, slot);
	return broken ? broken : check_keys(core, slot);
}

const char *dysco_core_invariants(const struct dysco_core *core)
{
	uint32_t live = 0, unused = 0, slot;

	for (slot = 1; slot <= core->high_slot; slot++) {
		const char *broken = NULL;

		if (dysco_leg_at(core, slot)->mode != DYSCO_MODE_FREE) {
			live++;
			broken = check_leg(core, slot);
		}
		if (broken) {
			return broken;
		}
	}
	for (slot = core->free_head; slot != DYSCO_NO_SLOT && unused <= core->high_slot;
	     slot = dysco_leg_at(core, slot)->partner) {
		if (dysco_leg_at(core, slot)->mode != DYSCO_MODE_FREE) {
			return "a slot in use is in the free list";
		}
		unused++;
	}
	if (live != core->live_legs) {
		return "live legs miscounted";
	}
	return live + unused == core->high_slot ? NULL : "a slot is neither in use nor free";
}
