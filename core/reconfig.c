/* SPDX-License-Identifier: BSD-2-Clause */
/* Reconfiguration's front door: commands, messages and timers to whom they concern. */
#include "core/anchor.h"
#include "core/reconfig.h"

#include <string.h>

/* ---- commands ---- */

static bool faces_right(const struct dysco_leg *leg)
{
	return leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT;
}

/* The new path: hosts of the session's family, none twice, none of them this one. */
static bool path_ok(const struct dysco_core *core, const struct dysco_leg *leg,
		    const struct dysco_address_list *path)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, leg->host);

	if (!host || path->count == 0 || path->count > DYSCO_HOPS_MAX || path->next != 0) {
		return false;
	}
	for (uint8_t i = 0; i < path->count; i++) {
		if (dysco_host_has(host, &path->hops[i].addr) ||
		    dysco_addr_is_ip4(&path->hops[i].addr) !=
			dysco_addr_is_ip4(&leg->wire_tuple.src)) {
			return false;
		}
		for (uint8_t j = 0; j < i; j++) {
			if (dysco_addr_equal(&path->hops[i].addr, &path->hops[j].addr)) {
				return false;
			}
		}
	}
	return true;
}

/* An ordinary change that has not cut is in nobody's way: nothing is on its new path. */
bool dysco_core_attempt_gives_way(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, dysco_cold_at(core, slot)->attempt);

	return a->role == DYSCO_PART_LEFT_ANCHOR && a->kind == DYSCO_KIND_ORDINARY &&
	       a->old_slot == slot && !a->cut_made &&
	       (a->state < DYSCO_ATTEMPT_CUTTING || a->state == DYSCO_ATTEMPT_CANCELLING);
}

/* R, and who is between, may never hear of it: their leases end, or R hears of the recovery. */
static void give_way(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		     struct dysco_actions *out)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;

	if (dysco_attempt_at(core, index)->state != DYSCO_ATTEMPT_CANCELLING) {
		dysco_anchor_cancel(core, now_ns, index, DYSCO_NACK_TIMEOUT, out);
	}
	dysco_anchor_end_failed(core, now_ns, index, out);
}

static enum dysco_nack cannot_start(const struct dysco_core *core, uint32_t slot, uint8_t kind,
				    const struct dysco_address_list *path)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (slot == DYSCO_NO_SLOT || slot > core->high_slot || leg->mode == DYSCO_MODE_FREE ||
	    !faces_right(leg)) {
		return DYSCO_NACK_UNKNOWN;
	}
	if (!path_ok(core, leg, path)) {
		return DYSCO_NACK_INVALID;
	}
	if (dysco_cold_at(core, slot)->attempt != DYSCO_NO_ATTEMPT &&
	    !(kind == DYSCO_KIND_RECOVERY && dysco_core_attempt_gives_way(core, slot))) {
		return DYSCO_NACK_BUSY;
	}
	return kind == DYSCO_KIND_LATE ? dysco_leg_not_settled(leg) : dysco_leg_not_ready(leg);
}

static void failed(struct dysco_actions *out, uint32_t slot, enum dysco_nack reason)
{
	dysco_event(out, DYSCO_EVENT_RECONFIG_FAILED, slot, (enum dysco_reason)reason);
}

static uint32_t start(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint64_t nonce,
		      uint8_t kind, const struct dysco_address_list *path,
		      struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_msg_control msg = {.id = dysco_cold_at(core, slot)->id, .list = *path};
	uint32_t index;
	struct dysco_attempt *a;

	msg.attempt = (struct dysco_attempt_name){.nonce = nonce,
						  .left = leg->wire_tuple.src,
						  .right = path->hops[path->count - 1].addr,
						  .kind = kind};
	index = dysco_attempt_make(core, DYSCO_PART_LEFT_ANCHOR, leg->host, &msg);
	if (index == DYSCO_NO_ATTEMPT) {
		return index;
	}
	a = dysco_attempt_at(core, index);
	a->old_slot = slot;
	a->started_ns = now_ns;
	a->to_right = dysco_ctl_open(core, now_ns, slot, index,
				     kind != DYSCO_KIND_ORDINARY ? &a->right : NULL);
	if (a->to_right == DYSCO_NO_SLOT ||
	    (kind == DYSCO_KIND_RECOVERY && !dysco_recovery_begin(core, index))) {
		dysco_attempt_end(core, now_ns, index);
		return DYSCO_NO_ATTEMPT;
	}
	dysco_cold_at(core, slot)->attempt = index;
	dysco_attempt_enter(core, now_ns, index, DYSCO_ATTEMPT_REQUESTING);
	dysco_attempt_heard(core, now_ns, index);
	dysco_anchor_lock(core, index, out);
	return index;
}

uint32_t dysco_left_start(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint64_t nonce,
			  uint8_t kind, const struct dysco_address_list *path,
			  struct dysco_actions *out, enum dysco_nack *reason)
{
	*reason = cannot_start(core, slot, kind, path);
	if (*reason != DYSCO_NACK_NONE) {
		return DYSCO_NO_ATTEMPT;
	}
	if (dysco_cold_at(core, slot)->attempt != DYSCO_NO_ATTEMPT) {
		give_way(core, now_ns, slot, out);
	}
	*reason = DYSCO_NACK_RESOURCES;
	return start(core, now_ns, slot, nonce ? nonce : dysco_random(core) | 1, kind, path, out);
}

uint32_t dysco_core_reconfigure(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
				uint8_t kind, const struct dysco_address_list *path,
				struct dysco_actions *out)
{
	enum dysco_nack reason;
	uint32_t index;

	out->count = 0;
	out->used = 0;
	index = dysco_left_start(core, now_ns, slot, 0, kind, path, out, &reason);
	if (index == DYSCO_NO_ATTEMPT) {
		failed(out, slot, reason);
	}
	return index;
}

static bool is_anchor(const struct dysco_attempt *a)
{
	return a->role == DYSCO_PART_LEFT_ANCHOR || a->role == DYSCO_PART_RIGHT_ANCHOR;
}

bool dysco_attempt_is_anchor(const struct dysco_core *core, uint32_t index)
{
	return is_anchor(dysco_attempt_at(core, index));
}

bool dysco_core_attempt_cancel(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			       struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	if (index == DYSCO_NO_ATTEMPT || index >= core->table->n_attempts ||
	    dysco_attempt_at(core, index)->role != DYSCO_PART_LEFT_ANCHOR) {
		return false;
	}
	dysco_anchor_cancel(core, now_ns, index, DYSCO_NACK_CANCELLED, out);
	return true;
}

bool dysco_core_attempt_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			    struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	if (index == DYSCO_NO_ATTEMPT || index >= core->table->n_attempts ||
	    dysco_attempt_at(core, index)->role == DYSCO_PART_NONE) {
		return false;
	}
	if (is_anchor(dysco_attempt_at(core, index))) {
		dysco_anchor_due(core, now_ns, index, out);
	} else if (dysco_attempt_at(core, index)->role == DYSCO_PART_TRIGGER) {
		dysco_trigger_due(core, now_ns, index, out);
	} else {
		dysco_lease_over(core, now_ns, index, out);
	}
	return true;
}

bool dysco_core_freeze(struct dysco_core *core, uint32_t slot, const struct dysco_offsets *delta,
		       bool frozen)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (slot == DYSCO_NO_SLOT || slot > core->high_slot ||
	    dysco_leg_at(core, slot)->role != DYSCO_ROLE_LEFT ||
	    dysco_leg_at(core, slot)->mode == DYSCO_MODE_FREE) {
		return false;
	}
	cold->delta_right = delta->seq_out;
	cold->delta_left = delta->seq_in;
	cold->ts_right = delta->ts_out;
	cold->ts_left = delta->ts_in;
	cold->thawed = !frozen;
	return true;
}

/* ---- time ---- */

bool dysco_attempt_due_at(const struct dysco_core *core, uint64_t now_ns, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool repeats = is_anchor(a) || a->role == DYSCO_PART_TRIGGER;

	return a->role != DYSCO_PART_NONE && now_ns >= (repeats ? a->next_ns : a->lease_ns);
}

/* ---- messages ---- */

void dysco_reply(struct dysco_core *core, const struct dysco_mail *mail,
		 enum dysco_message_type type, enum dysco_nack reason, uint16_t flags)
{
	struct dysco_msg_control msg = {.id = mail->msg.id, .attempt = mail->msg.attempt};

	msg.attempt.reason = (uint8_t)reason;
	msg.attempt.flags = flags;
	if (mail->new_path) {
		dysco_ctl_along(core, mail->w->out, mail->via, type, &msg);
	} else {
		dysco_ctl_send(core, mail->w->out, mail->via, type, &msg);
	}
}

bool dysco_attempt_is_two_paths(const struct dysco_attempt *a)
{
	return is_anchor(a) &&
	       (a->state == DYSCO_ATTEMPT_CUTTING || a->state == DYSCO_ATTEMPT_TWO_PATHS ||
		a->state == DYSCO_ATTEMPT_DONE ||
		(a->state == DYSCO_ATTEMPT_CANCELLING && a->cut_made));
}

/* The session goes on at this host, or has ended in good order. */
static bool session_lives(const struct dysco_core *core, const struct dysco_mail *mail)
{
	uint32_t slot = dysco_leg_by_id(core, mail->host, &mail->msg.id, DYSCO_NO_SLOT);

	while (slot != DYSCO_NO_SLOT) {
		const struct dysco_leg *leg = dysco_leg_at(core, slot);

		if (dysco_leg_runs(leg) && dysco_leg_state(leg) != DYSCO_STATE_RESET) {
			return true;
		}
		slot = dysco_leg_by_id(core, mail->host, &mail->msg.id, slot);
	}
	return false;
}

/*
 * What an anchor answers that knows the attempt as over, or does not know it (12.10).
 * Only so many nonces are remembered: of one that was forgotten, and whose session
 * lives, CUT is a late copy or will be given up, DONE and RELEASE are of an attempt
 * that was completed. NACK would make the other anchor reset it.
 */
static void answer_as_anchor(struct dysco_core *core, const struct dysco_mail *mail,
			     enum dysco_nonce_fate fate)
{
	bool forgotten = fate == DYSCO_NONCE_UNKNOWN && session_lives(core, mail);
	bool completed = fate == DYSCO_NONCE_COMPLETED || forgotten;

	switch (mail->type) {
	case DYSCO_MSG_LOCKED:
	case DYSCO_MSG_READY:
		/* R that has heard nothing of the end yet would agree, and go back by itself. */
		if (fate != DYSCO_NONCE_COMPLETED) {
			dysco_reply(core, mail, DYSCO_MSG_CANCEL, DYSCO_NACK_EXPIRED, 0);
		}
		break;
	case DYSCO_MSG_CANCEL:
		/* Agents between would take a late answer for the last word, and lose RELEASE. */
		if (fate != DYSCO_NONCE_COMPLETED) {
			dysco_nonce_over(core, mail->msg.attempt.nonce, false); /* LOCK may come */
			dysco_reply(core, mail, DYSCO_MSG_CANCELLED, DYSCO_NACK_NONE, 0);
		}
		break;
	case DYSCO_MSG_RELEASE:
		if (completed) {
			dysco_reply(core, mail, DYSCO_MSG_RELEASED, DYSCO_NACK_NONE, 0);
		} else {
			dysco_reply(core, mail, DYSCO_MSG_NACK, DYSCO_NACK_EXPIRED, 0);
		}
		break;
	case DYSCO_MSG_DONE:
		if (completed) {
			if (!(mail->msg.attempt.flags & DYSCO_CONTROL_SEEN)) {
				dysco_reply(core, mail, DYSCO_MSG_DONE, DYSCO_NACK_NONE,
					    DYSCO_CONTROL_SEEN);
			}
			break;
		}
		dysco_reply(core, mail, DYSCO_MSG_NACK, DYSCO_NACK_EXPIRED, 0);
		break;
	case DYSCO_MSG_CUT:
		if (!completed) {
			dysco_reply(core, mail, DYSCO_MSG_NACK, DYSCO_NACK_EXPIRED, 0);
		}
		break;
	default:
		break;
	}
}

/* No record of it here. An agent between must not speak for the right anchor. */
static void stray(struct dysco_core *core, const struct dysco_mail *mail)
{
	enum dysco_nonce_fate fate = dysco_nonce_fate(core, mail->msg.attempt.nonce);
	const struct dysco_host *host = dysco_setup_host(core->setup, mail->host);
	bool to_left_anchor = mail->type == DYSCO_MSG_LOCKED || mail->type == DYSCO_MSG_READY;

	if (mail->type == DYSCO_MSG_TRIGGER) {
		dysco_trigger_arrived(core, mail);
		return;
	}
	if (mail->type == DYSCO_MSG_LOCK) {
		if (fate == DYSCO_NONCE_FAILED) {
			dysco_reply(core, mail, DYSCO_MSG_NACK, DYSCO_NACK_EXPIRED, 0);
		} else if (fate == DYSCO_NONCE_UNKNOWN) {
			dysco_lock_requested(core, mail);
		}
		return;
	}
	if (fate != DYSCO_NONCE_UNKNOWN ||
	    (host && dysco_host_has(host, to_left_anchor ? &mail->msg.attempt.left
							 : &mail->msg.attempt.right))) {
		answer_as_anchor(core, mail, fate);
	}
}

/* On the new path: from one leg of the box's host to the other; RELEASE opens its lock. */
static void inserted_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	const struct dysco_leg *leg = dysco_leg_at(core, mail->via);

	dysco_attempt_heard(core, mail->w->now_ns, index);
	if (mail->new_path) {
		dysco_ctl_along(core, mail->w->out, leg->partner,
				(enum dysco_message_type)mail->type, &mail->msg);
	}
	if (mail->type == DYSCO_MSG_RELEASE) {
		dysco_nonce_over(core, mail->msg.attempt.nonce, true);
		dysco_attempt_end(core, mail->w->now_ns, index);
	}
}

/* Is this host one of the anchors? Then the message ends here. */
static bool names_host(const struct dysco_core *core, const struct dysco_mail *mail)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, mail->host);

	return host && (dysco_host_has(host, &mail->msg.attempt.left) ||
			dysco_host_has(host, &mail->msg.attempt.right));
}

/*
 * A lock is renewed on the legs of both paths, too, so that NATs see something of them: from
 * end to end on the new one, from agent to agent on the old one. The same message comes by the
 * control session; what is asked for there is asked for once.
 */
static bool only_renews(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	bool renews = mail->new_path &&
		      (mail->type == DYSCO_MSG_LOCK || mail->type == DYSCO_MSG_LOCKED) &&
		      dysco_attempt_at(core, index)->role != DYSCO_PART_INSERTED;

	if (renews && index != DYSCO_NO_ATTEMPT) {
		dysco_attempt_heard(core, mail->w->now_ns, index);
	}
	return renews;
}

void dysco_mail_arrived(struct dysco_core *core, const struct dysco_mail *mail)
{
	uint32_t index = dysco_attempt_find(core, mail->host, mail->msg.attempt.nonce);
	const struct dysco_leg *via = dysco_leg_at(core, mail->via);

	if (only_renews(core, mail, index)) {
		return;
	}
	switch (index ? dysco_attempt_at(core, index)->role : (uint8_t)DYSCO_PART_NONE) {
	case DYSCO_PART_LEFT_ANCHOR:
		dysco_left_mail(core, mail, index);
		break;
	case DYSCO_PART_RIGHT_ANCHOR:
		dysco_right_mail(core, mail, index);
		break;
	case DYSCO_PART_BETWEEN:
		dysco_between_mail(core, mail, index);
		break;
	case DYSCO_PART_INSERTED:
		inserted_mail(core, mail, index);
		break;
	case DYSCO_PART_KEPT:
		dysco_kept_mail(core, mail, index);
		break;
	case DYSCO_PART_TRIGGER:
		dysco_trigger_mail(core, mail, index);
		break;
	default:
		/* A box whose lock is open already still passes on what goes along the new path. */
		if (mail->new_path && via->partner != DYSCO_NO_SLOT && !names_host(core, mail) &&
		    dysco_cold_at(core, mail->via)->attempt == DYSCO_NO_ATTEMPT) {
			dysco_ctl_along(core, mail->w->out, via->partner,
					(enum dysco_message_type)mail->type, &mail->msg);
		} else {
			stray(core, mail);
		}
		break;
	}
}
