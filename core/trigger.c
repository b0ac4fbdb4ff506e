/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A box asks its left neighbour for another chain, its own removal for one
 * (docs/protocol.md 12.11; paper III-A). The question is repeated until the
 * neighbour, as left anchor, says how its attempt has ended. The attempt's nonce
 * is the question's plus 1.
 */
#include "core/reconfig.h"

/* ---- the box ---- */

static void ask(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	msg.list = a->list;
	dysco_ctl_send(core, out, a->to_left, DYSCO_MSG_TRIGGER, &msg);
}

static uint32_t start(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      const struct dysco_address_list *path, struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_msg_control msg = {.id = dysco_cold_at(core, slot)->id, .list = *path};
	struct dysco_attempt *a;
	uint32_t index;

	msg.attempt = (struct dysco_attempt_name){.nonce = (dysco_random(core) & ~1ull) | 2,
						  .left = leg->wire_tuple.dst,
						  .right = path->hops[path->count - 1].addr};
	index = dysco_attempt_make(core, DYSCO_PART_TRIGGER, leg->host, &msg);
	if (index == DYSCO_NO_ATTEMPT) {
		return index;
	}
	a = dysco_attempt_at(core, index);
	a->to_left = dysco_ctl_open(core, now_ns, slot, index, NULL);
	if (a->to_left == DYSCO_NO_SLOT) {
		dysco_attempt_end(core, now_ns, index);
		return DYSCO_NO_ATTEMPT;
	}
	a->asked_slot = slot;
	a->started_ns = now_ns;
	dysco_attempt_enter(core, now_ns, index, DYSCO_ATTEMPT_REQUESTING);
	ask(core, index, out);
	return index;
}

uint32_t dysco_core_trigger(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			    const struct dysco_address_list *path, struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t index = DYSCO_NO_ATTEMPT;

	out->count = 0;
	out->used = 0;
	if (slot != DYSCO_NO_SLOT && slot <= core->high_slot && leg->mode == DYSCO_MODE_FAST &&
	    leg->role == DYSCO_ROLE_LEFT && dysco_leg_state(leg) < DYSCO_STATE_TIME_WAIT &&
	    path->count > 0 && path->count <= DYSCO_HOPS_MAX) {
		index = start(core, now_ns, slot, path, out);
	}
	if (index == DYSCO_NO_ATTEMPT) {
		dysco_event(out, DYSCO_EVENT_RECONFIG_FAILED, slot,
			    (enum dysco_reason)DYSCO_NACK_INVALID);
	}
	return index;
}

static void answered(struct dysco_core *core, uint64_t now_ns, uint32_t index, uint8_t reason,
		     struct dysco_actions *out)
{
	uint32_t slot = dysco_attempt_at(core, index)->asked_slot;

	dysco_event(
	    out, reason == DYSCO_NACK_NONE ? DYSCO_EVENT_RECONFIGURED : DYSCO_EVENT_RECONFIG_FAILED,
	    slot, (enum dysco_reason)reason);
	dysco_attempt_end(core, now_ns, index);
}

void dysco_trigger_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	if (mail->type == DYSCO_MSG_TRIGGER_REPLY || mail->type == DYSCO_MSG_NACK) {
		answered(core, mail->w->now_ns, index, mail->msg.attempt.reason, mail->w->out);
	}
}

void dysco_trigger_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		       struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	a->tries++;
	a->next_ns = now_ns + DYSCO_RETRY_MAX_NS;
	if (a->tries > 2 * DYSCO_TRIES_MAX) {
		answered(core, now_ns, index, DYSCO_NACK_TIMEOUT, out);
	} else {
		ask(core, index, out);
	}
}

/* ---- its left neighbour ---- */

/* The leg that faces the box: of this session, at this host, towards the right. */
static uint32_t right_leg(const struct dysco_core *core, const struct dysco_mail *mail)
{
	uint32_t slot = dysco_leg_of_session(core, mail->host, &mail->msg);
	uint8_t role = dysco_leg_at(core, slot)->role;

	if (slot != DYSCO_NO_SLOT && role == DYSCO_ROLE_LEFT) {
		slot = dysco_leg_at(core, slot)->partner;
		role = dysco_leg_at(core, slot)->role;
	}
	return role == DYSCO_ROLE_RIGHT || role == DYSCO_ROLE_FIRST ? slot : DYSCO_NO_SLOT;
}

bool dysco_leaves_mandatory(const struct dysco_core *core, uint32_t slot,
			    const struct dysco_address_list *path)
{
	const struct dysco_address_list *list = &dysco_cold_at(core, slot)->list;
	const struct dysco_addr *right = &path->hops[path->count - 1].addr;

	for (uint8_t i = list->next; slot != DYSCO_NO_SLOT && i < list->count; i++) {
		if (dysco_addr_equal(&list->hops[i].addr, right)) {
			return false;
		}
		if (list->hops[i].flags & DYSCO_HOP_MANDATORY) {
			return true;
		}
	}
	return false;
}

/* Does this agent do what boxes ask for? One host as the path puts nothing in. */
static bool permitted(const struct dysco_core *core, uint32_t slot,
		      const struct dysco_address_list *path)
{
	return (core->setup->triggers == DYSCO_TRIGGERS_ALL ||
		(core->setup->triggers == DYSCO_TRIGGERS_REMOVAL && path->count == 1)) &&
	       !dysco_leaves_mandatory(core, slot, path);
}

/* Others may have come between since it asked: they would be left out with it, unasked. */
static bool is_neighbour(const struct dysco_core *core, uint32_t slot,
			 const struct dysco_mail *mail)
{
	return slot != DYSCO_NO_SLOT &&
	       dysco_addr_equal(&dysco_leg_at(core, slot)->wire_tuple.dst,
				&dysco_leg_at(core, mail->via)->wire_tuple.dst);
}

void dysco_trigger_arrived(struct dysco_core *core, const struct dysco_mail *mail)
{
	uint64_t nonce = mail->msg.attempt.nonce + 1;
	enum dysco_nonce_fate fate = dysco_nonce_fate(core, nonce);
	uint32_t index = dysco_attempt_find(core, mail->host, nonce);
	uint32_t slot = right_leg(core, mail);
	enum dysco_nack reason = DYSCO_NACK_NONE;

	if (index != DYSCO_NO_ATTEMPT) {
		dysco_attempt_at(core, index)->to_left = mail->via; /* under way: the end is told */
		return;
	}
	if (fate != DYSCO_NONCE_UNKNOWN) {
		dysco_reply(core, mail, DYSCO_MSG_TRIGGER_REPLY,
			    fate == DYSCO_NONCE_COMPLETED ? DYSCO_NACK_NONE : DYSCO_NACK_EXPIRED,
			    0);
		return;
	}
	if (!permitted(core, slot, &mail->msg.list)) {
		dysco_reply(core, mail, DYSCO_MSG_TRIGGER_REPLY, DYSCO_NACK_POLICY, 0);
		return;
	}
	if (!is_neighbour(core, slot, mail)) {
		dysco_reply(core, mail, DYSCO_MSG_TRIGGER_REPLY, DYSCO_NACK_CHANGED, 0);
		return;
	}
	index = dysco_left_start(core, mail->w->now_ns, slot, nonce, DYSCO_KIND_ORDINARY,
				 &mail->msg.list, mail->w->out, &reason);
	if (index == DYSCO_NO_ATTEMPT) {
		dysco_reply(core, mail, DYSCO_MSG_TRIGGER_REPLY, reason, 0);
		return;
	}
	dysco_attempt_at(core, index)->to_left = mail->via;
	dysco_cold_at(core, mail->via)->attempt = index;
	dysco_cold_at(core, mail->via)->ended_ns = 0;
}

/* The left anchor's attempt has ended: who asked for it is told. */
void dysco_trigger_answer(struct dysco_core *core, uint32_t index, enum dysco_nack reason,
			  struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	if (a->role == DYSCO_PART_LEFT_ANCHOR && a->to_left != DYSCO_NO_SLOT) {
		msg.attempt.nonce = a->nonce - 1;
		msg.attempt.reason = (uint8_t)reason;
		dysco_ctl_send(core, out, a->to_left, DYSCO_MSG_TRIGGER_REPLY, &msg);
	}
}
