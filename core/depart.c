/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SYN leaves a host (paper II-A): at the initiator's end it may get a chain
 * from a policy; out of a box it takes its next subsession.
 */
#include "core/internal.h"

#include <string.h>

/* ---- the SYN on the wire ---- */

/* Puts the message of this leg into the SYN and sends it. */
static void send_syn(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	struct dysco_msg_syn msg = {.id = cold->id,
				    .session = cold->session,
				    .subsession = leg->wire_tuple,
				    .list = cold->list,
				    .attempt = dysco_new_path_name(core, slot)};
	struct dysco_header hdr = {.type = DYSCO_MSG_SYN};
	const struct dysco_key *key = dysco_sign(core, &hdr);
	uint8_t message[DYSCO_MESSAGE_MAX];
	size_t mtu = w->in->mtu ? w->in->mtu : DYSCO_MTU_DEFAULT;
	struct dysco_copy copy;

	cold->key_id = key ? key->id : 0;
	if (!dysco_copy_input(w, &copy)) {
		dysco_drop(core, w, slot, DYSCO_REASON_SYN_TOO_LONG);
		return;
	}
	dysco_edit_remove_option(&copy.p, copy.data, &copy.bytes, DYSCO_EXID_TAG);
	dysco_edit_apply(
	    &copy.p, copy.data,
	    dysco_edit_tuple(&copy.p, copy.data, copy.data + copy.bytes, &leg->wire_tuple));
	/* A header full of options goes without the mark: the payload is the truth. */
	dysco_edit_add_option(&copy.p, copy.data, &copy.bytes, copy.capacity, DYSCO_EXID_MARK,
			      NULL);
	if (!dysco_edit_insert_payload(&copy.p, copy.data, &copy.bytes, copy.capacity, message,
				       dysco_message_write_syn(message, &hdr, &msg, key), mtu)) {
		dysco_drop(core, w, slot, DYSCO_REASON_SYN_TOO_LONG);
		return;
	}
	dysco_step_note_syn(dysco_leg_at(core, slot), &w->p, w->in->data,
			    w->in->data + w->in->bytes, DYSCO_OUT);
	dysco_step_see(dysco_leg_at(core, slot), &w->p, DYSCO_OUT, w->in->bytes, w->now_ns);
	dysco_emit(w, DYSCO_ACT_SEND, slot, &copy);
}

/* ---- legs towards the destination ---- */

/* Source and destination of the next subsession; DYSCO_REASON_NONE or why there can be none. */
static enum dysco_reason wire_addresses(const struct dysco_host *host,
					const struct dysco_tuple *session,
					const struct dysco_address_list *list,
					struct dysco_tuple *wire)
{
	const struct dysco_addr *next = &list->hops[list->next].addr;
	bool ip4 = dysco_addr_is_ip4(&session->dst);
	const struct dysco_addr *own =
	    dysco_host_has(host, &session->src) ? &session->src : dysco_host_address(host, ip4);

	if (dysco_addr_is_ip4(next) != ip4) {
		return DYSCO_REASON_FAMILY_MIX;
	}
	if (!own) {
		return DYSCO_REASON_NO_FAMILY;
	}
	wire->src = *own;
	wire->dst = *next;
	return DYSCO_REASON_NONE;
}

/* Gives a leg its wire side and lets it run; the record is complete but for that. */
static enum dysco_reason open_wire(struct dysco_core *core, uint32_t slot,
				   const struct dysco_host *host)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	struct dysco_tuple wire;
	enum dysco_reason reason = wire_addresses(host, &cold->session, &cold->list, &wire);

	if (reason != DYSCO_REASON_NONE) {
		return reason;
	}
	if (!dysco_ports_choose(core, leg->host, &wire)) {
		return DYSCO_REASON_NO_PORTS;
	}
	leg->wire_tuple = wire;
	if (dysco_leg_bind(core, slot, DYSCO_IN) != 0) {
		memset(&leg->wire_tuple, 0, sizeof(leg->wire_tuple));
		return DYSCO_REASON_LEGS_FULL;
	}
	__atomic_store_n(&leg->mode, DYSCO_MODE_FAST, __ATOMIC_RELEASE);
	dysco_count_boxes(core, slot, 1);
	return DYSCO_REASON_NONE;
}

static void set_policy(struct dysco_core *core, uint32_t slot, uint16_t policy, const char *why)
{
	const struct dysco_policy *p = &core->setup->policies[policy];
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	memcpy(cold->policy, p->name, sizeof(cold->policy));
	memcpy(cold->why, why, sizeof(cold->why));
	cold->retries = p->retries ? p->retries : 1;
	dysco_leg_at(core, slot)->flags = p->fail == DYSCO_FAIL_OPEN ? DYSCO_LEG_FAIL_OPEN : 0;
	dysco_chain_advance(core, policy);
}

/* ---- the first agent ---- */

static uint32_t new_first(struct dysco_core *core, struct dysco_work *w,
			  const struct dysco_address_list *list, uint8_t own)
{
	uint32_t slot = dysco_leg_alloc(core);
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (slot == DYSCO_NO_SLOT) {
		return slot;
	}
	leg->role = DYSCO_ROLE_FIRST;
	leg->host = w->in->host;
	leg->attachment = w->in->attachment;
	leg->created_ns = w->now_ns;
	leg->host_tuple = w->p.tuple;
	dysco_session_id_make(core, &cold->id);
	cold->session = w->p.tuple;
	cold->list = *list;
	cold->own_hops = own;
	cold->isn = w->p.seq;
	cold->syn_count = 1;
	cold->l2 = w->in->l2;
	dysco_leg_named(core, slot);
	return slot;
}

static enum dysco_reason start_session(struct dysco_core *core, struct dysco_work *w,
				       const struct dysco_host *host, uint32_t *slot)
{
	char why[sizeof(((struct dysco_leg_cold *)0)->why)] = "";
	struct dysco_address_list list;
	enum dysco_reason reason;
	uint8_t own;

	reason = dysco_chain_first(core, w->in->policy, host, &w->p.tuple, &list, &own, why,
				   sizeof(why));
	if (reason != DYSCO_REASON_NONE) {
		return reason;
	}
	*slot = new_first(core, w, &list, own);
	if (*slot == DYSCO_NO_SLOT) {
		return DYSCO_REASON_LEGS_FULL;
	}
	set_policy(core, *slot, w->in->policy, why);
	reason = dysco_leg_bind(core, *slot, DYSCO_OUT) == 0 ? open_wire(core, *slot, host)
							     : DYSCO_REASON_LEGS_FULL;
	if (reason != DYSCO_REASON_NONE) {
		dysco_leg_free(core, *slot);
		*slot = DYSCO_NO_SLOT;
	}
	return reason;
}

/* A SYN that no leg knows: a policy may give it a chain. */
static void first_syn(struct dysco_core *core, struct dysco_work *w)
{
	const struct dysco_policy *policy;
	const struct dysco_host *host = dysco_setup_host(core->setup, w->in->host);
	enum dysco_reason reason = DYSCO_REASON_NO_FAMILY;
	uint32_t slot = DYSCO_NO_SLOT;

	if (w->in->policy >= core->setup->n_policies) {
		dysco_pass(w, DYSCO_NO_SLOT);
		return;
	}
	policy = &core->setup->policies[w->in->policy];
	if (host) {
		reason = start_session(core, w, host, &slot);
	}
	if (reason == DYSCO_REASON_NONE) {
		dysco_count(core, DYSCO_COUNTER_SESSIONS_STARTED);
		send_syn(core, w, slot);
		dysco_event(w->out, DYSCO_EVENT_SESSION_STARTED, slot, DYSCO_REASON_NONE);
	} else if (policy->fail == DYSCO_FAIL_OPEN) {
		dysco_count(core, DYSCO_COUNTER_BYPASS);
		dysco_pass(w, DYSCO_NO_SLOT);
		dysco_event(w->out, DYSCO_EVENT_BYPASSED, DYSCO_NO_SLOT, reason);
	} else {
		dysco_drop(core, w, DYSCO_NO_SLOT, reason);
	}
}

/* Fail-open at the first agent: the leg stays, so that the session's packets pass as they are. */
static void bypass(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->mode != DYSCO_MODE_PASS) {
		dysco_count_boxes(core, slot, -1);
		__atomic_store_n(&leg->mode, DYSCO_MODE_PASS, __ATOMIC_RELEASE);
		dysco_withdraw(core, slot);
		dysco_count(core, DYSCO_COUNTER_BYPASS);
		dysco_event(w->out, DYSCO_EVENT_BYPASSED, slot, DYSCO_REASON_NONE);
	}
}

static void first_syn_again(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	bool same = cold->isn == w->p.seq;

	if (same && dysco_leg_outran_syn(leg, DYSCO_OUT)) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
		return;
	}
	if (dysco_leg_is_over(leg) || (!same && dysco_leg_is_embryonic(leg))) {
		if (dysco_leg_state(leg) == DYSCO_STATE_SYN_SENT) {
			dysco_withdraw(core, slot); /* its host tries anew */
		}
		dysco_leg_retire(core, w->now_ns, slot, w->out);
		first_syn(core, w);
		return;
	}
	if (!same) {
		dysco_forward(core, w, slot); /* let the peer's TCP judge it (RFC 5961) */
		return;
	}
	cold->syn_count++;
	dysco_count(core, DYSCO_COUNTER_SYN_RETRANSMITTED);
	if (leg->mode == DYSCO_MODE_FAST && (leg->flags & DYSCO_LEG_FAIL_OPEN) &&
	    dysco_leg_state(leg) == DYSCO_STATE_SYN_SENT && cold->syn_count > cold->retries) {
		bypass(core, w, slot);
	}
	if (leg->mode == DYSCO_MODE_PASS) {
		leg->run[DYSCO_OUT].last_ns = w->now_ns;
		dysco_pass(w, slot);
		return;
	}
	send_syn(core, w, slot);
}

/* ---- out of a middlebox ---- */

/* The box changed the five-tuple: from here on the session looks as the box made it. */
static enum dysco_reason follow_box(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	struct dysco_hop *last = &cold->list.hops[cold->list.count - 1];
	uint32_t other = dysco_find(core, &w->p.tuple, w->in->host, DYSCO_OUT);

	if (dysco_tuple_equal(&leg->host_tuple, &w->p.tuple)) {
		return DYSCO_REASON_NONE;
	}
	if (other != DYSCO_NO_SLOT && other != slot) {
		if (!dysco_leg_is_over(dysco_leg_at(core, other))) {
			return DYSCO_REASON_PORT_CONFLICT;
		}
		dysco_leg_retire(core, w->now_ns, other, w->out);
	}
	dysco_leg_unbind(core, slot, DYSCO_OUT);
	if (last->policy == 0 && dysco_addr_equal(&last->addr, &cold->session.dst)) {
		last->addr = w->p.tuple.dst;
	}
	leg->host_tuple = w->p.tuple;
	cold->session = w->p.tuple;
	dysco_leg_named(core, slot);
	dysco_count(core, DYSCO_COUNTER_TAGGED);
	return dysco_leg_bind(core, slot, DYSCO_OUT) == 0 ? DYSCO_REASON_NONE
							  : DYSCO_REASON_LEGS_FULL;
}

/* A policy of this agent may add hops to what is left of the list. */
static enum dysco_reason add_hops(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
				  const struct dysco_host *host)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	char why[sizeof(cold->why)] = "";
	struct dysco_address_list list = cold->list;
	enum dysco_reason reason;
	uint8_t own;
	bool exit;

	/* A new path is as the left anchor says (docs/protocol.md 12.4). */
	if (cold->attempt != DYSCO_NO_ATTEMPT || w->in->policy >= core->setup->n_policies ||
	    dysco_chain_has_policy(&list, core->setup->policies[w->in->policy].tag)) {
		return DYSCO_REASON_NONE;
	}
	reason = dysco_chain_add(core, w->in->policy, host, &cold->session, &list, list.next, &own,
				 &exit, why, sizeof(why));
	if (reason == DYSCO_REASON_NONE && own > 0) {
		cold->list = list;
		cold->own_hops = own;
		set_policy(core, slot, w->in->policy, why);
	} else if (reason != DYSCO_REASON_NONE &&
		   core->setup->policies[w->in->policy].fail == DYSCO_FAIL_OPEN) {
		dysco_count(core, DYSCO_COUNTER_BYPASS);
		reason = DYSCO_REASON_NONE;
	}
	return reason;
}

static void leave_box(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	const struct dysco_host *host = dysco_setup_host(core->setup, w->in->host);
	enum dysco_reason reason = DYSCO_REASON_NO_FAMILY;

	if (host) {
		reason = follow_box(core, w, slot);
	}
	if (reason == DYSCO_REASON_NONE) {
		reason = add_hops(core, w, slot, host);
	}
	if (reason == DYSCO_REASON_NONE) {
		reason = open_wire(core, slot, host);
	}
	if (reason != DYSCO_REASON_NONE) {
		dysco_drop(core, w, slot, reason);
		return;
	}
	cold->isn = w->p.seq;
	cold->syn_count = 1;
	cold->l2 = w->in->l2;
	dysco_leg_at(core, slot)->attachment = w->in->attachment;
	send_syn(core, w, slot);
}

/* Fail-open in mid-chain: the hops this agent added are left out, the rest stays. */
static void drop_own_hops(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	struct dysco_address_list *list = &cold->list;
	const struct dysco_host *host = dysco_setup_host(core->setup, leg->host);
	uint8_t own = cold->own_hops;

	dysco_count_boxes(core, slot, -1);
	__atomic_store_n(&leg->mode, DYSCO_MODE_PUNT, __ATOMIC_RELEASE);
	dysco_withdraw_apart(core, w->now_ns, slot);
	memset(&leg->wire_tuple, 0, sizeof(leg->wire_tuple));
	for (uint8_t i = list->next; i + own < list->count; i++) {
		list->hops[i] = list->hops[i + own];
	}
	list->count = (uint8_t)(list->count - own);
	cold->own_hops = 0;
	leg->flags = 0;
	dysco_count(core, DYSCO_COUNTER_BYPASS);
	dysco_event(w->out, DYSCO_EVENT_BYPASSED, slot, DYSCO_REASON_NONE);
	if (host) {
		open_wire(core, slot, host); /* else it stays pending and expires */
	}
}

static void leave_box_again(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (dysco_addr_is_ip4(&w->p.tuple.src) != dysco_addr_is_ip4(&leg->wire_tuple.src)) {
		dysco_drop(core, w, slot, DYSCO_REASON_FAMILY_MIX); /* its tag brought it here */
		return;
	}
	if (cold->isn != w->p.seq) {
		/* What a box sends on its own account follows the session it belongs to. */
		dysco_forward(core, w, slot);
		return;
	}
	cold->syn_count++;
	if (dysco_leg_outran_syn(leg, DYSCO_OUT)) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
		return;
	}
	dysco_leg_revive(core, slot);
	dysco_count(core, DYSCO_COUNTER_SYN_RETRANSMITTED);
	if ((leg->flags & DYSCO_LEG_FAIL_OPEN) && cold->own_hops > 0 &&
	    dysco_leg_state(leg) == DYSCO_STATE_SYN_SENT &&
	    (cold->refused || cold->syn_count > cold->retries)) {
		drop_own_hops(core, w, slot);
	}
	if (leg->mode != DYSCO_MODE_FAST) {
		dysco_drop(core, w, slot, DYSCO_REASON_PENDING);
		return;
	}
	send_syn(core, w, slot);
}

/* ---- tags (paper II-A, IV-B) ---- */

uint32_t dysco_tag_of(const struct dysco_core *core, uint32_t slot)
{
	const uint8_t *id = dysco_cold_at(core, slot)->id.b;

	return (slot << 12) | ((uint32_t)id[0] << 4) | (id[1] & 0xfu);
}

/* The RIGHT leg that a tag in this SYN names; false: it has no tag. */
static bool tagged_leg(const struct dysco_core *core, const struct dysco_work *w, uint32_t *slot)
{
	const uint8_t *end = w->in->data + w->in->bytes;
	uint16_t at = dysco_packet_option(&w->p, w->in->data, end, DYSCO_EXID_TAG);
	dysco_be32 tag_be;
	uint32_t n;

	if (at == 0 || w->in->data[at + 1] != DYSCO_OPT_TAG_LEN) {
		return false;
	}
	memcpy(&tag_be, &w->in->data[at + 4], sizeof(tag_be));
	n = DYSCO_HOST32(tag_be) >> 12;
	*slot = DYSCO_NO_SLOT;
	if (n > 0 && n < core->table->capacity) {
		const struct dysco_leg *leg = dysco_leg_at(core, n);

		if (leg->role == DYSCO_ROLE_RIGHT && leg->host == w->in->host &&
		    leg->mode != DYSCO_MODE_FREE && leg->mode != DYSCO_MODE_DEAD &&
		    dysco_tag_of(core, n) == DYSCO_HOST32(tag_be)) {
			*slot = n;
		}
	}
	return true;
}

/* ---- events ---- */

/* A SYN comes from a host or out of a box. */
void dysco_syn_departed(struct dysco_core *core, struct dysco_work *w)
{
	uint32_t slot;
	bool tagged = tagged_leg(core, w, &slot);
	const struct dysco_leg *leg;

	if (tagged && slot == DYSCO_NO_SLOT) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE); /* tags never leave the host */
		return;
	}
	if (!tagged) {
		slot = dysco_find(core, &w->p.tuple, w->in->host, DYSCO_OUT);
	}
	leg = dysco_leg_at(core, slot);
	if ((tagged && (leg->flags & DYSCO_LEG_WITHDRAWN)) ||
	    (!tagged && dysco_withdraw_owed(core, w, slot))) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
	} else if (slot == DYSCO_NO_SLOT) {
		first_syn(core, w);
	} else if (leg->flags & DYSCO_LEG_WITHDRAWN) {
		dysco_leg_retire(core, w->now_ns, slot, w->out); /* it owes nothing */
		first_syn(core, w);
	} else if (leg->role == DYSCO_ROLE_FIRST) {
		first_syn_again(core, w, slot);
	} else if (leg->role == DYSCO_ROLE_RIGHT && dysco_leg_state(leg) == DYSCO_STATE_PENDING) {
		leave_box(core, w, slot);
	} else if (leg->role == DYSCO_ROLE_RIGHT) {
		leave_box_again(core, w, slot);
	} else if (dysco_leg_is_over(leg)) {
		dysco_leg_retire(core, w->now_ns, slot, w->out); /* reuse in the other direction */
		first_syn(core, w);
	} else if (dysco_leg_is_embryonic(leg)) {
		/* The loser of a simultaneous open was on its way when the winner took its place.
		 */
		dysco_drop(core, w, slot, DYSCO_REASON_SIMULTANEOUS);
	} else {
		dysco_forward(core, w, slot); /* let the peer's TCP judge it (RFC 5961) */
	}
}

/*
 * A stack without an agent acknowledges our message with the SYN that bore it;
 * the initiator's TCP takes a RST only for what it sent (RFC 9293 3.10.7.3).
 */
static void refuse(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_packet p = w->p;

	if (!(p.flags & DYSCO_TCP_ACK) || !dysco_seq_after(p.ack, leg->run[DYSCO_OUT].seq_end)) {
		dysco_forward(core, w, slot);
		return;
	}
	p.ack = leg->run[DYSCO_OUT].seq_end;
	dysco_step_see(leg, &p, DYSCO_IN, w->in->bytes, w->now_ns);
	dysco_emit_segment(core, w->out, DYSCO_ACT_DELIVER, slot, DYSCO_TCP_RST | DYSCO_TCP_ACK,
			   p.seq, p.ack, 0, NULL, 0);
}

/* A RST answers the SYN; of a fail-open chain the session is tried again without it. */
void dysco_syn_refused(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	if (!(dysco_leg_at(core, slot)->flags & DYSCO_LEG_FAIL_OPEN)) {
		refuse(core, w, slot);
		return;
	}
	dysco_cold_at(core, slot)->refused = 1;
	dysco_count(core, DYSCO_COUNTER_REFUSED);
	dysco_drop(core, w, slot, DYSCO_REASON_REFUSED_OPEN);
	dysco_event(w->out, DYSCO_EVENT_REFUSED, slot, DYSCO_REASON_NONE);
	if (dysco_leg_at(core, slot)->role == DYSCO_ROLE_FIRST) {
		bypass(core, w, slot);
	}
}
