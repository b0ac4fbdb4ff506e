/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-check of core and leg table, for every harness. */
#include "core/internal.h"

static const char *check_partner(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg *partner;

	if (leg->partner == DYSCO_NO_SLOT) {
		if (leg->mode == DYSCO_MODE_DEAD || leg->mode == DYSCO_MODE_PUNT) {
			return NULL; /* of a path that is not the path */
		}
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

/* What holds of a control session, and of an anchor's leg on a new path: found by the wire only. */
static bool wire_only(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t index = dysco_cold_at(core, slot)->attempt;

	return leg->role == DYSCO_ROLE_CONTROL ||
	       (index != DYSCO_NO_ATTEMPT && core->table->attempts[index].new_slot == slot);
}

static const char *check_attempt(const struct dysco_core *core, uint32_t slot)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;
	const struct dysco_attempt *a;

	if (index == DYSCO_NO_ATTEMPT) {
		return NULL;
	}
	if (index >= core->table->n_attempts) {
		return "a leg refers to an attempt beyond the table";
	}
	a = &core->table->attempts[index];
	if (a->role == DYSCO_PART_NONE || a->host != dysco_leg_at(core, slot)->host) {
		return "a leg is locked for an attempt that is over";
	}
	return slot == a->old_slot || slot == a->new_slot || slot == a->left_slot ||
		       slot == a->to_left || slot == a->to_right
		   ? NULL
		   : "a leg refers to an attempt that does not know it";
}

static const char *check_keys(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_key out = dysco_leg_key_out(leg), in = dysco_leg_key_in(leg);

	if (wire_only(core, slot)) {
		return core->table->ops->find(core->table, &in) == slot
			   ? NULL
			   : "a control session's or new leg's IN key leads elsewhere";
	}
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
	    leg->role > DYSCO_ROLE_CONTROL) {
		return "a leg has no valid mode or role";
	}
	if (leg->role == DYSCO_ROLE_CONTROL) {
		broken = check_attempt(core, slot);
		return broken ? broken : check_keys(core, slot);
	}
	if (cold->list.next >= cold->list.count || cold->list.count > DYSCO_HOPS_MAX) {
		return "an address list ends before its next hop";
	}
	if (!dysco_leg_is_named(core, slot)) {
		return "a leg is not found by its session's id or five-tuple";
	}
	broken = check_partner(core, slot);
	broken = broken ? broken : check_attempt(core, slot);
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
