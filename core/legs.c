/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots and keys of the leg table. The order of writes keeps the table right
 * for the datapath, and for the next agent, at any moment: a record is filled
 * (DEAD) before its keys are bound, gets its mode last, and is DEAD again
 * before its keys are unbound.
 */
#include "core/internal.h"

#include <string.h>

static void set_mode(struct dysco_leg *leg, enum dysco_leg_mode mode)
{
	__atomic_store_n(&leg->mode, (uint8_t)mode, __ATOMIC_RELEASE);
}

struct dysco_leg_key dysco_leg_key_out(const struct dysco_leg *leg)
{
	struct dysco_leg_key key = {leg->host_tuple, leg->host, DYSCO_OUT, 0};

	return key;
}

struct dysco_leg_key dysco_leg_key_in(const struct dysco_leg *leg)
{
	struct dysco_leg_key key = {dysco_tuple_reverse(&leg->wire_tuple), leg->host, DYSCO_IN, 0};

	return key;
}

static struct dysco_leg_key key_of(const struct dysco_leg *leg, enum dysco_direction direction)
{
	return direction == DYSCO_OUT ? dysco_leg_key_out(leg) : dysco_leg_key_in(leg);
}

int dysco_leg_bind(struct dysco_core *core, uint32_t slot, enum dysco_direction direction)
{
	struct dysco_leg_key key = key_of(dysco_leg_at(core, slot), direction);

	return core->table->ops->bind(core->table, &key, slot);
}

void dysco_leg_unbind(struct dysco_core *core, uint32_t slot, enum dysco_direction direction)
{
	struct dysco_leg_key key = key_of(dysco_leg_at(core, slot), direction);

	if (core->table->ops->find(core->table, &key) == slot) {
		core->table->ops->unbind(core->table, &key);
	}
}

void dysco_leg_move(struct dysco_core *core, uint32_t from, uint32_t to)
{
	struct dysco_leg_key key = dysco_leg_key_out(dysco_leg_at(core, from));

	core->table->ops->move(core->table, &key, to);
}

static void push_free(struct dysco_core *core, uint32_t slot)
{
	dysco_leg_at(core, slot)->partner = core->free_head;
	core->free_head = slot;
}

void dysco_legs_start(struct dysco_core *core)
{
	uint32_t slot;

	core->free_head = DYSCO_NO_SLOT;
	core->high_slot = 0;
	core->live_legs = 0;
	for (slot = 1; slot < core->table->capacity; slot++) {
		if (dysco_leg_at(core, slot)->mode != DYSCO_MODE_FREE) {
			dysco_leg_at(core, slot)->flags &= (uint8_t)~DYSCO_LEG_SETTLING;
			core->high_slot = slot;
			core->live_legs++;
		}
	}
	for (slot = core->high_slot; slot > 0; slot--) {
		if (dysco_leg_at(core, slot)->mode == DYSCO_MODE_FREE) {
			push_free(core, slot);
		}
	}
	dysco_names_start(core);
}

bool dysco_legs_available(const struct dysco_core *core, uint32_t n)
{
	return core->live_legs + n < core->table->capacity;
}

uint32_t dysco_leg_alloc(struct dysco_core *core)
{
	uint32_t slot = core->free_head;
	struct dysco_leg *leg;

	if (slot != DYSCO_NO_SLOT) {
		core->free_head = dysco_leg_at(core, slot)->partner;
	} else if (core->high_slot + 1 < core->table->capacity) {
		slot = ++core->high_slot;
	} else {
		return DYSCO_NO_SLOT;
	}
	leg = dysco_leg_at(core, slot);
	memset(leg, 0, sizeof(*leg));
	memset(dysco_cold_at(core, slot), 0, sizeof(struct dysco_leg_cold));
	set_mode(leg, DYSCO_MODE_DEAD);
	core->live_legs++;
	return slot;
}

void dysco_leg_free(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->partner != DYSCO_NO_SLOT) {
		dysco_leg_at(core, leg->partner)->partner = DYSCO_NO_SLOT;
	}
	dysco_attempt_leg_gone(core, slot);
	dysco_leg_unnamed(core, slot);
	set_mode(leg, DYSCO_MODE_DEAD);
	dysco_leg_unbind(core, slot, DYSCO_OUT);
	dysco_leg_unbind(core, slot, DYSCO_IN);
	for (int d = 0; d < 2; d++) {
		core->table->lasting->packets[d] += leg->run[d].packets;
		core->table->lasting->bytes[d] += leg->run[d].bytes;
	}
	set_mode(leg, DYSCO_MODE_FREE);
	push_free(core, slot);
	core->live_legs--;
}

bool dysco_leg_is_over(const struct dysco_leg *leg)
{
	if (leg->flags & DYSCO_LEG_WITHDRAWN) {
		return true;
	}
	switch (dysco_leg_state(leg)) {
	case DYSCO_STATE_TIME_WAIT:
	case DYSCO_STATE_RESET:
	case DYSCO_STATE_DEAD:
		return true;
	default:
		return false;
	}
}

bool dysco_leg_runs(const struct dysco_leg *leg)
{
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	return leg->mode == DYSCO_MODE_FAST ||
	       (leg->mode == DYSCO_MODE_PUNT && leg->role != DYSCO_ROLE_CONTROL &&
		(seen & DYSCO_SEEN_SYNACK));
}

/* A box of a new path has R's opening ACK, but none of L's, which may have given it up. */
static bool is_only_answered(const struct dysco_leg *leg)
{
	enum dysco_direction of_left = leg->role == DYSCO_ROLE_LEFT ? DYSCO_IN : DYSCO_OUT;
	enum dysco_direction of_right = leg->role == DYSCO_ROLE_LEFT ? DYSCO_OUT : DYSCO_IN;

	return (leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_RIGHT) &&
	       leg->run[of_right].base == DYSCO_BASE_AGENTS &&
	       !(leg->run[of_left].seen & DYSCO_SEEN_CONFIRM);
}

bool dysco_leg_is_embryonic(const struct dysco_leg *leg)
{
	enum dysco_leg_state state = dysco_leg_state(leg);

	return is_only_answered(leg) || state == DYSCO_STATE_PENDING ||
	       state == DYSCO_STATE_SYN_SENT || state == DYSCO_STATE_SYN_RECEIVED ||
	       state == DYSCO_STATE_BYPASS;
}

bool dysco_leg_outran_syn(const struct dysco_leg *leg, enum dysco_direction direction)
{
	enum dysco_direction answers = direction == DYSCO_OUT ? DYSCO_IN : DYSCO_OUT;

	return (leg->run[direction].seen & DYSCO_SEEN_CONFIRM) &&
	       (leg->run[answers].seen & DYSCO_SEEN_SYNACK);
}

void dysco_count_boxes(struct dysco_core *core, uint32_t slot, int by)
{
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint8_t next = cold->list.next;

	for (uint8_t i = next; i < next + cold->own_hops && i < cold->list.count; i++) {
		int box = dysco_box_by_address(core->setup, &cold->list.hops[i].addr);

		if (box >= 0 && (by > 0 || core->box_sessions[box] > 0)) {
			core->box_sessions[box] += (uint32_t)by;
		}
	}
}

void dysco_recount_boxes(struct dysco_core *core)
{
	memset(core->box_sessions, 0, sizeof(core->box_sessions));
	for (uint32_t slot = 1; slot <= core->high_slot; slot++) {
		if (dysco_leg_at(core, slot)->mode == DYSCO_MODE_FAST &&
		    dysco_cold_at(core, slot)->ended_ns == 0) {
			dysco_count_boxes(core, slot, 1);
		}
	}
}

void dysco_leg_ended(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (cold->ended_ns != 0) {
		return;
	}
	cold->ended_ns = now_ns ? now_ns : 1;
	if (leg->mode == DYSCO_MODE_FAST) {
		dysco_count_boxes(core, slot, -1);
	}
	if (leg->role != DYSCO_ROLE_RIGHT && leg->role != DYSCO_ROLE_CONTROL) {
		dysco_count(core, DYSCO_COUNTER_SESSIONS_ENDED);
	}
}

void dysco_leg_revive(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	if (leg->mode != DYSCO_MODE_FAST || !(seen & DYSCO_SEEN_RST) ||
	    (seen & DYSCO_SEEN_SYNACK)) {
		return;
	}
	for (int d = 0; d < 2; d++) {
		leg->run[d].seen &= (uint8_t)~DYSCO_SEEN_RST;
	}
	if (cold->ended_ns != 0) {
		cold->ended_ns = 0;
		dysco_count_boxes(core, slot, 1);
	}
}

static void stop_one(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	dysco_leg_ended(core, now_ns, slot);
	set_mode(dysco_leg_at(core, slot), DYSCO_MODE_DEAD);
}

void dysco_leg_stop(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	uint32_t partner = dysco_leg_at(core, slot)->partner;

	stop_one(core, now_ns, slot);
	if (partner != DYSCO_NO_SLOT) {
		stop_one(core, now_ns, partner);
	}
}

void dysco_leg_retire(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out)
{
	uint32_t partner = dysco_leg_at(core, slot)->partner;

	dysco_attempts_over(core, now_ns, slot, out);
	dysco_leg_stop(core, now_ns, slot);
	dysco_leg_unbind(core, slot, DYSCO_OUT);
	if (partner != DYSCO_NO_SLOT) {
		dysco_leg_unbind(core, partner, DYSCO_OUT);
	}
}

void dysco_leg_set_fast(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (core->settles && core->n_settling < DYSCO_SETTLING_MAX) {
		core->settling[core->n_settling++] = slot;
		leg->flags |= DYSCO_LEG_SETTLING;
	}
	__atomic_store_n(&leg->mode, DYSCO_MODE_FAST, __ATOMIC_RELEASE);
}

void dysco_core_settled(struct dysco_core *core)
{
	for (uint32_t i = 0; i < core->n_settling; i++) {
		struct dysco_leg *leg = dysco_leg_at(core, core->settling[i]);

		leg->flags &= (uint8_t)~DYSCO_LEG_SETTLING;
	}
	core->n_settling = 0;
}
