/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WITHDRAW (docs/protocol.md 7.7): a chain that was given up is called back. The
 * message goes where its SYN went, from hop to hop, in a SYN like that one, so
 * that NATs and firewalls take it for a copy. Legs of the chain end, and keep
 * their keys for a while: what comes of it late is dropped. Nothing depends on
 * its arrival, so nobody answers; who gave the chain up says it a few times.
 */
#include "core/internal.h"

#include <string.h>

#define TIMES	   3
#define FIRST_WAIT 1000u /* ms; then twice as long */
#define NS_PER_MS  1000000u

/* ---- giving a chain up ---- */

void dysco_withdraw(struct dysco_core *core, uint32_t slot)
{
	dysco_cold_at(core, slot)->withdrawals = TIMES;
}

/* A leg that is over: the wire side of `slot`, but for its key, and what names the session. */
static void copy_wire(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint32_t to)
{
	const struct dysco_leg *from = dysco_leg_at(core, slot);
	struct dysco_leg *leg = dysco_leg_at(core, to);
	struct dysco_leg_cold *cold = dysco_cold_at(core, to);

	leg->role = from->role;
	leg->host = from->host;
	leg->attachment = from->attachment;
	leg->created_ns = now_ns;
	leg->wire_tuple = from->wire_tuple;
	leg->run[DYSCO_OUT].window = from->run[DYSCO_OUT].window;
	*cold = *dysco_cold_at(core, slot);
	cold->own_hops = 0;
	cold->ended_ns = now_ns ? now_ns : 1;
	dysco_leg_named(core, to);
}

void dysco_withdraw_apart(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	struct dysco_leg_key key = dysco_leg_key_in(dysco_leg_at(core, slot));
	uint32_t apart =
	    dysco_legs_available(core, 1) ? dysco_leg_alloc(core) : (uint32_t)DYSCO_NO_SLOT;

	if (apart == DYSCO_NO_SLOT) {
		dysco_leg_unbind(core, slot, DYSCO_IN);
		return;
	}
	copy_wire(core, now_ns, slot, apart);
	core->table->ops->move(core->table, &key, apart);
	dysco_withdraw(core, apart);
}

/* ---- sending ---- */

static void send_withdraw(struct dysco_core *core, struct dysco_actions *out, uint32_t slot)
{
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = DYSCO_MSG_WITHDRAW};
	const struct dysco_key *key = dysco_sign(core, &hdr);

	dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_SYN, cold->isn, 0,
			   DYSCO_EXID_MARK, message,
			   dysco_message_write_withdraw(message, &hdr, &cold->id, key));
}

void dysco_withdraw_due(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			struct dysco_actions *out)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint16_t now_ms = (uint16_t)(now_ns / NS_PER_MS);
	uint8_t said = (uint8_t)(TIMES - cold->withdrawals);

	if (cold->withdrawals == 0 ||
	    (said > 0 && (uint16_t)(now_ms - cold->withdrew_ms) < FIRST_WAIT << (said - 1))) {
		return;
	}
	if (said == 0) {
		dysco_count(core, DYSCO_COUNTER_WITHDREW);
	}
	cold->withdrawals--;
	cold->withdrew_ms = now_ms;
	send_withdraw(core, out, slot);
}

/* ---- receiving ---- */

/*
 * The SYN has not come yet, or never will: what is dropped when it does is known by this leg.
 * What may never come does not take the last places from sessions that do.
 */
static void remember(struct dysco_core *core, struct dysco_work *w,
		     const struct dysco_session_id *id)
{
	bool room = dysco_legs_available(core, core->table->capacity / 4 + 1);
	uint32_t slot = room ? dysco_leg_alloc(core) : (uint32_t)DYSCO_NO_SLOT;
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (slot == DYSCO_NO_SLOT) {
		return;
	}
	leg->role = DYSCO_ROLE_LAST;
	leg->flags = DYSCO_LEG_WITHDRAWN;
	leg->host = w->in->host;
	leg->attachment = w->in->attachment;
	leg->created_ns = w->now_ns;
	leg->wire_tuple = dysco_tuple_reverse(&w->p.tuple);
	cold->id = *id;
	cold->session = w->p.tuple; /* it is known under no other name */
	cold->list.count = 1;
	cold->list.hops[0].addr = w->p.tuple.dst;
	cold->isn = w->p.seq;
	cold->l2 = w->in->l2;
	cold->ended_ns = w->now_ns ? w->now_ns : 1;
	dysco_leg_named(core, slot);
	if (dysco_leg_bind(core, slot, DYSCO_IN) != 0) {
		dysco_leg_free(core, slot);
	}
}

/*
 * Nobody has confirmed the handshake from the left, so nothing is lost; and the box does
 * not go on with a connection of its own to the right, as one that terminates them does.
 */
static bool may_end(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t right = leg->partner;

	return (leg->role == DYSCO_ROLE_LAST || leg->role == DYSCO_ROLE_LEFT) &&
	       dysco_cold_at(core, slot)->attempt == DYSCO_NO_ATTEMPT &&
	       !(leg->run[DYSCO_IN].seen & DYSCO_SEEN_CONFIRM) &&
	       (right == DYSCO_NO_SLOT ||
		(dysco_cold_at(core, right)->attempt == DYSCO_NO_ATTEMPT &&
		 !(dysco_leg_at(core, right)->run[DYSCO_OUT].seen & DYSCO_SEEN_CONFIRM)));
}

/*
 * The session lives on without its chain, and may pass this host: what is not a SYN
 * does, from now on. The box is told nothing: a RST of it could reach the living session.
 */
static void end_right(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->mode == DYSCO_MODE_DEAD) {
		dysco_leg_unbind(core, slot, DYSCO_OUT);
		return;
	}
	dysco_leg_ended(core, now_ns, slot);
	if (leg->mode == DYSCO_MODE_PUNT) {
		dysco_cold_at(core, slot)->syn_count = 0; /* none has come out yet */
	}
	leg->flags |= DYSCO_LEG_WITHDRAWN;
	__atomic_store_n(&leg->mode, DYSCO_MODE_PASS, __ATOMIC_RELEASE);
}

static void end_legs(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->flags & DYSCO_LEG_WITHDRAWN) {
		return;
	}
	dysco_leg_ended(core, w->now_ns, slot);
	leg->flags |= DYSCO_LEG_WITHDRAWN;
	__atomic_store_n(&leg->mode, DYSCO_MODE_DEAD, __ATOMIC_RELEASE);
	dysco_leg_unbind(core, slot, DYSCO_OUT);
	if (leg->partner != DYSCO_NO_SLOT) {
		end_right(core, w->now_ns, leg->partner);
	}
	dysco_count(core, DYSCO_COUNTER_WITHDRAWN);
	dysco_event(w->out, DYSCO_EVENT_WITHDRAWN, slot, DYSCO_REASON_NONE);
}

/* Is one more of the SYNs that went into the box to come out? */
static bool takes_one(struct dysco_core *core, uint32_t slot)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint32_t left = dysco_leg_at(core, slot)->partner;

	if (left == DYSCO_NO_SLOT || cold->syn_count >= dysco_cold_at(core, left)->syn_count) {
		return false;
	}
	cold->syn_count++;
	return true;
}

/* By their numbers SYNs of several chains are told apart that had one five-tuple in turn. */
static bool is_owed_by_number(struct dysco_core *core, const struct dysco_work *w)
{
	uint16_t host = w->in->host;
	uint32_t slot = dysco_leg_by_session(core, host, &w->p.tuple, DYSCO_NO_SLOT);

	for (; slot != DYSCO_NO_SLOT; slot = dysco_leg_by_session(core, host, &w->p.tuple, slot)) {
		if ((dysco_leg_at(core, slot)->flags & DYSCO_LEG_WITHDRAWN) &&
		    dysco_leg_at(core, slot)->role == DYSCO_ROLE_RIGHT &&
		    dysco_cold_at(core, slot)->isn == w->p.seq && takes_one(core, slot)) {
			return true;
		}
	}
	return false;
}

bool dysco_withdraw_owed(struct dysco_core *core, const struct dysco_work *w, uint32_t slot)
{
	return is_owed_by_number(core, w) ||
	       ((dysco_leg_at(core, slot)->flags & DYSCO_LEG_WITHDRAWN) && takes_one(core, slot));
}

void dysco_withdraw_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, w->in->host);
	struct dysco_session_id id;
	uint32_t right;

	dysco_message_read_withdraw(&id, w->in->data + w->p.payload);
	if (!host || !dysco_host_has(host, &w->p.tuple.dst)) {
		dysco_drop(core, w, DYSCO_NO_SLOT, DYSCO_REASON_NOT_ADDRESSED);
		return;
	}
	if (slot != DYSCO_NO_SLOT &&
	    (memcmp(&dysco_cold_at(core, slot)->id, &id, sizeof(id)) != 0 ||
	     !may_end(core, slot))) {
		dysco_drop(core, w, slot, DYSCO_REASON_CONTROL);
		return;
	}
	dysco_act(w->out, DYSCO_ACT_DROP, slot); /* it ends here */
	if (slot == DYSCO_NO_SLOT) {
		remember(core, w, &id);
		return;
	}
	end_legs(core, w, slot);
	right = dysco_leg_at(core, slot)->partner;
	if (right != DYSCO_NO_SLOT && dysco_leg_at(core, right)->wire_tuple.sport_be != 0) {
		send_withdraw(core, w->out, right); /* again each time that it comes */
	}
}
