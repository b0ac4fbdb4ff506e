/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Late attach (docs/protocol.md 12.8): a session that began without Dysco gets a
 * leg at each end whose two sides are the same, and that only watches; from then
 * on it is a session with an empty chain, and can be given another.
 */
#include "core/reconfig.h"

#include <string.h>

static uint32_t options_pack(const struct dysco_syn_options *o)
{
	return (uint32_t)o->mss << 16 | (uint32_t)o->wscale << 8 | o->flags;
}

static struct dysco_syn_options options_unpack(uint32_t packed)
{
	struct dysco_syn_options o = {(uint16_t)(packed >> 16), (uint8_t)(packed >> 8),
				      (uint8_t)packed};

	return o;
}

static void fill(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		 const struct dysco_late *late)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	leg->role = late->initiator ? DYSCO_ROLE_FIRST : DYSCO_ROLE_LAST;
	leg->host = late->host;
	leg->attachment = late->attachment;
	leg->flags = core->knows_late || late->learns ? DYSCO_LEG_LATE : 0;
	leg->created_ns = now_ns;
	leg->host_tuple = late->tuple;
	leg->wire_tuple = late->tuple;
	leg->options[DYSCO_OUT] = late->options[DYSCO_OUT];
	leg->options[DYSCO_IN] = late->options[DYSCO_IN];
	/* Established, as soon as packets are seen to confirm it. */
	leg->run[DYSCO_OUT].seen = late->initiator ? DYSCO_SEEN_SYN : DYSCO_SEEN_SYNACK;
	leg->run[DYSCO_IN].seen = late->initiator ? DYSCO_SEEN_SYNACK : DYSCO_SEEN_SYN;
	leg->run[DYSCO_OUT].last_ns = now_ns;
	cold->session = late->initiator ? late->tuple : dysco_tuple_reverse(&late->tuple);
	cold->list.count = 1;
	cold->list.hops[0].addr = cold->session.dst;
	cold->l2 = late->l2;
}

static uint32_t adopt(struct dysco_core *core, uint64_t now_ns, const struct dysco_late *late,
		      const struct dysco_session_id *id)
{
	struct dysco_tuple back = dysco_tuple_reverse(&late->tuple);
	uint32_t slot;

	if (dysco_find(core, &late->tuple, late->host, DYSCO_OUT) != DYSCO_NO_SLOT ||
	    dysco_find(core, &back, late->host, DYSCO_IN) != DYSCO_NO_SLOT ||
	    !dysco_legs_available(core, 1)) {
		return DYSCO_NO_SLOT;
	}
	slot = dysco_leg_alloc(core);
	if (slot == DYSCO_NO_SLOT) {
		return slot;
	}
	fill(core, now_ns, slot, late);
	dysco_cold_at(core, slot)->id = *id;
	dysco_leg_named(core, slot);
	if (dysco_leg_bind(core, slot, DYSCO_OUT) != 0 ||
	    dysco_leg_bind(core, slot, DYSCO_IN) != 0) {
		dysco_leg_free(core, slot);
		return DYSCO_NO_SLOT;
	}
	__atomic_store_n(&dysco_leg_at(core, slot)->mode,
			 late->learns ? DYSCO_MODE_PUNT : DYSCO_MODE_FAST, __ATOMIC_RELEASE);
	return slot;
}

uint32_t dysco_core_adopt(struct dysco_core *core, uint64_t now_ns, const struct dysco_late *late)
{
	struct dysco_session_id id;

	dysco_session_id_make(core, &id);
	return adopt(core, now_ns, late, &id);
}

/* base: of the SYN, edge: of the SYN-ACK, whichever end tells. */
struct dysco_numbers dysco_late_numbers(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	bool left = leg->role == DYSCO_ROLE_FIRST;
	struct dysco_numbers n = {.base = options_pack(&leg->options[left ? DYSCO_OUT : DYSCO_IN]),
				  .edge = options_pack(&leg->options[left ? DYSCO_IN : DYSCO_OUT])};

	return n;
}

void dysco_core_late_options(struct dysco_core *core, uint32_t slot,
			     const struct dysco_syn_options options[2])
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (!(leg->options[DYSCO_OUT].flags & leg->options[DYSCO_IN].flags & DYSCO_SYN_NOTED)) {
		memcpy(leg->options, options, sizeof(leg->options));
	}
}

void dysco_late_locked(struct dysco_core *core, uint32_t slot, const struct dysco_numbers *numbers)
{
	const struct dysco_syn_options options[2] = {[DYSCO_OUT] = options_unpack(numbers->base),
						     [DYSCO_IN] = options_unpack(numbers->edge)};

	dysco_core_late_options(core, slot, options);
}

bool dysco_late_learns(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return leg->mode == DYSCO_MODE_PUNT && (leg->flags & DYSCO_LEG_LATE) &&
	       dysco_cold_at(core, slot)->attempt == DYSCO_NO_ATTEMPT;
}

void dysco_late_learn(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	dysco_leg_at(core, slot)->attachment = w->in->attachment;
	dysco_cold_at(core, slot)->l2 = w->in->l2;
	dysco_leg_set_fast(core, slot);
	dysco_forward(core, w, slot);
}

void dysco_core_late_known(struct dysco_core *core, uint32_t slot)
{
	dysco_leg_at(core, slot)->flags &= (uint8_t)~DYSCO_LEG_LATE;
}

void dysco_late_probe(struct dysco_core *core, uint32_t slot, struct dysco_actions *out)
{
	const struct dysco_leg_run *sent = &dysco_leg_at(core, slot)->run[DYSCO_OUT];

	dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_ACK, sent->seq_end - 1,
			   sent->ack, 0, NULL, 0);
}

/* A host answers what is outside its window with its numbers (RFC 9293 3.10.7.4). */
void dysco_core_late_provoke(struct dysco_core *core, uint32_t slot, struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	out->count = 0;
	out->used = 0;
	if (dysco_leg_is_over(leg)) {
		return; /* what it answers would keep the leg from being forgotten */
	}
	if (dysco_late_learns(core, slot)) {
		/* how to reach the host is not known yet: the peer's answer goes there */
		dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_ACK,
				   (uint32_t)dysco_random(core), 0, 0, NULL, 0);
	} else if (!(leg->run[DYSCO_OUT].seen & DYSCO_SEEN_ACK)) {
		dysco_emit_segment(core, out, DYSCO_ACT_DELIVER, slot, DYSCO_TCP_ACK,
				   (uint32_t)dysco_random(core), 0, 0, NULL, 0);
	} else if (!(leg->run[DYSCO_IN].seen & DYSCO_SEEN_ACK)) {
		dysco_late_probe(core, slot, out);
	}
}

uint32_t dysco_core_late_find(const struct dysco_core *core, uint16_t host,
			      const struct dysco_tuple *tuple)
{
	return dysco_find(core, tuple, host, DYSCO_OUT);
}

bool dysco_core_only_watches(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return (leg->mode == DYSCO_MODE_FAST || dysco_late_learns(core, slot)) &&
	       leg->partner == DYSCO_NO_SLOT &&
	       dysco_tuple_equal(&leg->host_tuple, &leg->wire_tuple);
}

bool dysco_core_late_forget(struct dysco_core *core, uint32_t slot)
{
	if (!dysco_core_only_watches(core, slot) ||
	    dysco_cold_at(core, slot)->attempt != DYSCO_NO_ATTEMPT) {
		return false;
	}
	dysco_leg_free(core, slot);
	return true;
}

/* An earlier adoption, by this end or for an attempt that failed: the session has the id that L
 * gives it. */
static uint32_t known_already(struct dysco_core *core, const struct dysco_late *late,
			      const struct dysco_session_id *id)
{
	uint32_t slot = dysco_find(core, &late->tuple, late->host, DYSCO_OUT);

	if (slot == DYSCO_NO_SLOT || !dysco_core_only_watches(core, slot) ||
	    dysco_leg_at(core, slot)->role != DYSCO_ROLE_LAST ||
	    dysco_cold_at(core, slot)->attempt != DYSCO_NO_ATTEMPT) {
		return DYSCO_NO_SLOT;
	}
	dysco_cold_at(core, slot)->id = *id;
	dysco_leg_named(core, slot);
	dysco_core_late_options(core, slot, late->options);
	return slot;
}

/* R learns of the session from LOCK, and has to see it with its own eyes before it answers. */
uint32_t dysco_late_arrived(struct dysco_core *core, const struct dysco_mail *mail)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, mail->host);
	struct dysco_late late = {.host = mail->host,
				  .attachment = mail->w->in->attachment,
				  .tuple = dysco_tuple_reverse(&mail->msg.subsession),
				  .l2 = mail->w->in->l2};

	uint32_t slot;

	late.options[DYSCO_OUT] = options_unpack(mail->msg.numbers.edge);
	late.options[DYSCO_IN] = options_unpack(mail->msg.numbers.base);
	if (!host || !dysco_host_has(host, &late.tuple.src)) {
		return DYSCO_NO_SLOT;
	}
	slot = known_already(core, &late, &mail->msg.id);
	if (slot != DYSCO_NO_SLOT) {
		return slot;
	}
	slot = adopt(core, mail->w->now_ns, &late, &mail->msg.id);
	if (slot != DYSCO_NO_SLOT) {
		dysco_event(mail->w->out, DYSCO_EVENT_ADOPTED, slot, DYSCO_REASON_NONE);
	}
	return slot;
}
