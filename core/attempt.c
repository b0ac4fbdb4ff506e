/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of reconfigurations under way, and what is remembered of those that
 * are over (docs/protocol.md 12.2). dysco_attempt_enter() alone writes the state.
 */
#include "core/reconfig.h"

#include <string.h>

uint32_t dysco_attempt_make(struct dysco_core *core, enum dysco_attempt_role role, uint16_t host,
			    const struct dysco_msg_control *msg)
{
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		struct dysco_attempt *a = dysco_attempt_at(core, i);

		if (a->role != DYSCO_PART_NONE) {
			continue;
		}
		memset(a, 0, sizeof(*a));
		a->host = host;
		a->nonce = msg->attempt.nonce;
		a->id = msg->id;
		a->left = msg->attempt.left;
		a->right = msg->attempt.right;
		a->kind = msg->attempt.kind;
		a->list = msg->list;
		a->role = (uint8_t)role;
		return i;
	}
	return DYSCO_NO_ATTEMPT;
}

void dysco_attempt_enter(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			 enum dysco_attempt_state state)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	core->attempt_moves++;
	a->state = (uint8_t)state;
	a->tries = 0;
	a->next_ns = now_ns + DYSCO_RETRY_FIRST_NS;
}

void dysco_attempt_heard(struct dysco_core *core, uint64_t now_ns, uint32_t index)
{
	dysco_attempt_at(core, index)->lease_ns = now_ns + DYSCO_LEASE_NS;
}

void dysco_attempt_heard_by(struct dysco_core *core, uint32_t index, uint32_t via, uint64_t now_ns)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->to_left == via || dysco_leg_at(core, via)->role != DYSCO_ROLE_CONTROL) {
		return;
	}
	dysco_ctl_close(core, now_ns, a->to_left, index);
	a->to_left = via;
	dysco_cold_at(core, via)->attempt = index;
	dysco_cold_at(core, via)->ended_ns = 0;
}

uint32_t dysco_attempt_find(const struct dysco_core *core, uint16_t host, uint64_t nonce)
{
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		const struct dysco_attempt *a = dysco_attempt_at(core, i);

		if (a->role != DYSCO_PART_NONE && a->host == host && a->nonce == nonce) {
			return i;
		}
	}
	return DYSCO_NO_ATTEMPT;
}

static void forget_in_leg(struct dysco_core *core, uint32_t slot, uint32_t index)
{
	if (slot != DYSCO_NO_SLOT && dysco_cold_at(core, slot)->attempt == index) {
		dysco_cold_at(core, slot)->attempt = DYSCO_NO_ATTEMPT;
	}
}

/* Its legs are free for others; control sessions linger, to answer what still comes. */
void dysco_attempt_end(struct dysco_core *core, uint64_t now_ns, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	core->attempt_moves++;
	forget_in_leg(core, a->old_slot, index);
	forget_in_leg(core, a->left_slot, index);
	forget_in_leg(core, a->new_slot, index);
	dysco_ctl_close(core, now_ns, a->to_left, index);
	dysco_ctl_close(core, now_ns, a->to_right, index);
	memset(a, 0, sizeof(*a));
}

static bool passes(const struct dysco_attempt *a, uint32_t slot)
{
	return (a->role == DYSCO_PART_BETWEEN || a->role == DYSCO_PART_INSERTED ||
		a->role == DYSCO_PART_KEPT) &&
	       (a->old_slot == slot || a->left_slot == slot);
}

void dysco_attempt_leg_gone(struct dysco_core *core, uint32_t slot)
{
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		struct dysco_attempt *a = dysco_attempt_at(core, i);

		if (a->role == DYSCO_PART_NONE) {
			continue;
		}
		a->to_left = a->to_left == slot ? DYSCO_NO_SLOT : a->to_left;
		a->to_right = a->to_right == slot ? DYSCO_NO_SLOT : a->to_right;
		a->asked_slot = a->asked_slot == slot ? DYSCO_NO_SLOT : a->asked_slot;
		if (passes(a, slot)) {
			dysco_kept_forget(core, i);
			dysco_attempt_end(core, 0, i);
		}
	}
}

void dysco_attempt_session_over(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
				struct dysco_actions *out)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;

	if (index != DYSCO_NO_ATTEMPT && dysco_attempt_is_anchor(core, index)) {
		dysco_anchor_session_over(core, now_ns, index, out);
	}
}

void dysco_attempts_over(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			 struct dysco_actions *out)
{
	uint32_t partner = dysco_leg_at(core, slot)->partner;

	dysco_attempt_session_over(core, now_ns, slot, out);
	if (partner != DYSCO_NO_SLOT) {
		dysco_attempt_session_over(core, now_ns, partner, out);
	}
}

/* ---- nonces that are over ---- */

void dysco_nonce_over(struct dysco_core *core, uint64_t nonce, bool completed)
{
	struct dysco_lasting *lasting = core->table->lasting;
	uint32_t at = lasting->over_at % DYSCO_NONCES_OVER;

	if (dysco_nonce_fate(core, nonce) != DYSCO_NONCE_UNKNOWN) {
		return;
	}
	lasting->nonces_over[at] = nonce;
	lasting->nonces_freed &= ~(1ull << at);
	lasting->nonces_freed |= (uint64_t)completed << at;
	lasting->over_at = at + 1;
}

enum dysco_nonce_fate dysco_nonce_fate(const struct dysco_core *core, uint64_t nonce)
{
	const struct dysco_lasting *lasting = core->table->lasting;

	for (uint32_t i = 0; i < DYSCO_NONCES_OVER; i++) {
		if (lasting->nonces_over[i] == nonce) {
			return lasting->nonces_freed >> i & 1 ? DYSCO_NONCE_COMPLETED
							      : DYSCO_NONCE_FAILED;
		}
	}
	return DYSCO_NONCE_UNKNOWN;
}

/* ---- names and messages ---- */

struct dysco_attempt_name dysco_attempt_name_of(const struct dysco_core *core, uint32_t index)
{
	struct dysco_attempt_name name = {0};

	if (index != DYSCO_NO_ATTEMPT) {
		const struct dysco_attempt *a = dysco_attempt_at(core, index);

		name = (struct dysco_attempt_name){
		    .nonce = a->nonce, .left = a->left, .right = a->right, .kind = a->kind};
	}
	return name;
}

struct dysco_msg_control dysco_attempt_message(const struct dysco_core *core, uint32_t index)
{
	struct dysco_msg_control msg = {.id = dysco_attempt_at(core, index)->id,
					.attempt = dysco_attempt_name_of(core, index)};

	return msg;
}
