/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's front door: start, answers, and which packet goes where. */
#include "core/reconfig.h"

#include <string.h>

void dysco_core_start(struct dysco_core *core, struct dysco_table *table,
		      const struct dysco_setup *setup, const struct dysco_core_seed *seed)
{
	memset(core, 0, sizeof(*core));
	core->table = table;
	core->setup = setup;
	if (table->lasting->sender == 0) {
		table->lasting->sender = seed->sender;
	}
	core->sender = table->lasting->sender;
	core->counter = seed->counter;
	memcpy(core->secret, seed->secret, sizeof(core->secret));
	memcpy(core->random, seed->secret, sizeof(core->random));
	core->random[0] |= 1; /* all zero is a fixed point of the generator */
	dysco_legs_start(core);
	dysco_recount_boxes(core);
}

void dysco_core_setup_changed(struct dysco_core *core, const struct dysco_setup *setup)
{
	core->setup = setup;
	dysco_recount_boxes(core);
}

void dysco_count(struct dysco_core *core, enum dysco_counter counter)
{
	core->stats.counters[counter]++;
}

void dysco_core_stats(const struct dysco_core *core, struct dysco_core_stats *stats)
{
	const struct dysco_lasting *lasting = core->table->lasting;
	uint64_t packets[2] = {lasting->packets[DYSCO_OUT], lasting->packets[DYSCO_IN]};
	uint64_t bytes[2] = {lasting->bytes[DYSCO_OUT], lasting->bytes[DYSCO_IN]};

	for (uint32_t slot = 1; slot <= core->high_slot; slot++) {
		const struct dysco_leg *leg = dysco_leg_at(core, slot);

		for (int d = 0; d < 2 && leg->mode != DYSCO_MODE_FREE; d++) {
			packets[d] += leg->run[d].packets;
			bytes[d] += leg->run[d].bytes;
		}
	}
	*stats = core->stats;
	stats->counters[DYSCO_COUNTER_FAST_OUT] = packets[DYSCO_OUT];
	stats->counters[DYSCO_COUNTER_FAST_IN] = packets[DYSCO_IN];
	stats->counters[DYSCO_COUNTER_FAST_OUT_BYTES] = bytes[DYSCO_OUT];
	stats->counters[DYSCO_COUNTER_FAST_IN_BYTES] = bytes[DYSCO_IN];
}

struct dysco_action *dysco_act(struct dysco_actions *out, enum dysco_action_kind kind,
			       uint32_t slot)
{
	/* Only events can exceed the list; they fall off its end. */
	struct dysco_action *action = &out->list[out->count];

	if (out->count < DYSCO_ACTIONS_MAX) {
		out->count++;
	}
	memset(action, 0, sizeof(*action));
	action->kind = (uint8_t)kind;
	action->slot = slot;
	return action;
}

void dysco_event(struct dysco_actions *out, enum dysco_event_kind event, uint32_t slot,
		 enum dysco_reason reason)
{
	struct dysco_action *action = dysco_act(out, DYSCO_ACT_EVENT, slot);

	action->event = (uint8_t)event;
	action->reason = (uint8_t)reason;
}

void dysco_drop(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		enum dysco_reason reason)
{
	dysco_act(w->out, DYSCO_ACT_DROP, slot)->reason = (uint8_t)reason;
	core->stats.drops[reason]++;
	if (dysco_step_is_syn(&w->p)) {
		dysco_event(w->out, DYSCO_EVENT_DROPPED, slot, reason);
	}
}

void dysco_pass(struct dysco_work *w, uint32_t slot)
{
	dysco_act(w->out, DYSCO_ACT_PASS, slot);
}

static void reset_actions(struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
}

bool dysco_copy_input(struct dysco_work *w, struct dysco_copy *copy)
{
	struct dysco_actions *out = w->out;

	size_t limit = (w->p.flags & DYSCO_TCP_SYN) ? DYSCO_SYN_BYTES_MAX : DYSCO_PACKET_MAX;

	copy->capacity =
	    w->in->bytes > DYSCO_SYN_BYTES_MAX ? w->in->bytes : (size_t)DYSCO_SYN_BYTES_MAX;
	if (w->in->bytes > limit || copy->capacity > sizeof(out->arena) - out->used) {
		return false;
	}
	copy->data = &out->arena[out->used];
	copy->bytes = w->in->bytes;
	copy->p = w->p;
	memcpy(copy->data, w->in->data, w->in->bytes);
	return true;
}

void dysco_emit(struct dysco_work *w, enum dysco_action_kind kind, uint32_t slot,
		const struct dysco_copy *copy)
{
	struct dysco_action *action = dysco_act(w->out, kind, slot);

	action->attachment = w->in->attachment;
	action->l2 = w->in->l2;
	action->offset = (uint32_t)(copy->data - w->out->arena);
	action->bytes = (uint32_t)copy->bytes;
	w->out->used = action->offset + (uint32_t)copy->capacity;
}

void dysco_forward(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	bool outward = w->in->direction == DYSCO_OUT;
	struct dysco_tuple to = outward ? leg->wire_tuple : dysco_tuple_reverse(&leg->host_tuple);
	struct dysco_packet host = w->p; /* with the host's numbers */
	struct dysco_copy copy;

	if (!dysco_copy_input(w, &copy)) {
		dysco_drop(core, w, slot, DYSCO_REASON_SYN_TOO_LONG);
		return;
	}
	dysco_step_note_syn(leg, &w->p, w->in->data, w->in->data + w->in->bytes,
			    outward ? DYSCO_OUT : DYSCO_IN);
	if (leg->flags & DYSCO_LEG_OFFSETS) {
		dysco_edit_apply(&copy.p, copy.data,
				 dysco_edit_numbers(&copy.p, copy.data, copy.data + copy.bytes,
						    &leg->offsets, outward));
		host = outward ? w->p : copy.p;
	}
	dysco_edit_remove_option(&copy.p, copy.data, &copy.bytes, DYSCO_EXID_TAG);
	dysco_edit_apply(&copy.p, copy.data,
			 dysco_edit_tuple(&copy.p, copy.data, copy.data + copy.bytes, &to));
	dysco_step_see(leg, &host, outward ? DYSCO_OUT : DYSCO_IN, w->in->bytes, w->now_ns);
	dysco_emit(w, outward ? DYSCO_ACT_SEND : DYSCO_ACT_DELIVER, slot, &copy);
}

/* Numbers as they are; the tuple is that of the side it goes to. */
static bool emit_made(struct dysco_core *core, struct dysco_actions *out,
		      enum dysco_action_kind kind, uint32_t slot, uint8_t flags, uint32_t seq,
		      uint32_t ack, uint16_t window, uint16_t exid, const uint8_t *payload,
		      size_t bytes)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_tuple tuple =
	    kind == DYSCO_ACT_SEND ? leg->wire_tuple : dysco_tuple_reverse(&leg->host_tuple);
	struct dysco_action *action;
	size_t made;

	if (out->count >= DYSCO_ACTIONS_MAX) {
		return false;
	}
	made = dysco_edit_make_segment(&out->arena[out->used], sizeof(out->arena) - out->used,
				       &tuple, seq, ack, flags, window, exid, payload, bytes);
	if (made == 0) {
		return false;
	}
	action = dysco_act(out, kind, slot);
	action->attachment = leg->attachment;
	action->l2 = dysco_cold_at(core, slot)->l2;
	action->offset = out->used;
	action->bytes = (uint32_t)made;
	out->used += (uint32_t)made;
	return true;
}

/* What was written as payload of the packet at `at` becomes options: the header is longer. */
static void make_options(struct dysco_actions *out, uint32_t at, size_t options)
{
	uint8_t *data = &out->arena[at];
	struct dysco_packet p;

	dysco_packet_parse(&p, data, data + (out->used - at), out->used - at);
	data[p.l4 + 12] = (uint8_t)(data[p.l4 + 12] + (options / 4 << 4));
	dysco_edit_checksum(&p, data, out->used - at);
}

bool dysco_emit_segment(struct dysco_core *core, struct dysco_actions *out,
			enum dysco_action_kind kind, uint32_t slot, uint8_t flags, uint32_t seq,
			uint32_t ack, uint16_t exid, const uint8_t *payload, size_t bytes)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (kind == DYSCO_ACT_SEND && (leg->flags & DYSCO_LEG_OFFSETS)) {
		seq += leg->offsets.seq_out;
		ack -= leg->offsets.seq_in;
	}
	return emit_made(core, out, kind, slot, flags, seq, ack, leg->run[DYSCO_OUT].window, exid,
			 payload, bytes);
}

bool dysco_emit_tcp(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		    uint8_t flags, uint32_t seq, uint32_t ack, const uint8_t *rest, size_t options,
		    size_t n)
{
	uint32_t at = out->used;

	if (!emit_made(core, out, DYSCO_ACT_SEND, slot, flags, seq, ack,
		       dysco_leg_at(core, slot)->run[DYSCO_OUT].window, 0, rest, n)) {
		return false;
	}
	make_options(out, at, options);
	return true;
}

bool dysco_emit_ack(struct dysco_core *core, struct dysco_actions *out, uint32_t slot, uint32_t seq,
		    uint32_t ack, uint16_t window, const uint8_t *options, size_t n)
{
	uint32_t at = out->used;

	if (!emit_made(core, out, DYSCO_ACT_DELIVER, slot, DYSCO_TCP_ACK, seq, ack, window, 0,
		       options, n)) {
		return false;
	}
	make_options(out, at, n);
	return true;
}

void dysco_emit_reset(struct dysco_work *w, const struct dysco_tuple *tuple, uint32_t seq,
		      uint32_t ack)
{
	struct dysco_actions *out = w->out;
	struct dysco_action *action;
	size_t made =
	    dysco_edit_make_segment(&out->arena[out->used], sizeof(out->arena) - out->used, tuple,
				    seq, ack, DYSCO_TCP_RST | DYSCO_TCP_ACK, 0, 0, NULL, 0);

	if (made == 0 || out->count >= DYSCO_ACTIONS_MAX) {
		return;
	}
	action = dysco_act(out, DYSCO_ACT_SEND, DYSCO_NO_SLOT);
	action->attachment = w->in->attachment;
	action->l2 = w->in->l2;
	action->offset = out->used;
	action->bytes = (uint32_t)made;
	out->used += (uint32_t)made;
}

/*
 * An ICMP error about a packet of a subsession speaks of the session from here
 * on; one that leaves the host about a packet we delivered, of the subsession.
 */
static void map_icmp(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		     struct dysco_copy *copy)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_tuple back = dysco_tuple_reverse(&leg->wire_tuple);

	dysco_count(core, DYSCO_COUNTER_ICMP_MAPPED);
	if (leg->flags & DYSCO_LEG_OFFSETS) {
		dysco_edit_quoted_seq(&copy->p, copy->data, copy->bytes,
				      w->in->direction == DYSCO_OUT ? 0u - leg->offsets.seq_in
								    : 0u - leg->offsets.seq_out);
	}
	if (w->in->direction == DYSCO_OUT) {
		dysco_edit_icmp(&copy->p, copy->data, copy->bytes, &back, &back.dst, &back.src);
		dysco_emit(w, DYSCO_ACT_SEND, slot, copy);
		return;
	}
	dysco_edit_icmp(&copy->p, copy->data, copy->bytes, &leg->host_tuple, NULL,
			&leg->host_tuple.src);
	dysco_emit(w, DYSCO_ACT_DELIVER, slot, copy);
}

static void icmp_arrived(struct dysco_core *core, struct dysco_work *w)
{
	enum dysco_direction direction = w->in->direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN;
	struct dysco_tuple answer = dysco_tuple_reverse(&w->p.tuple);
	uint32_t slot = dysco_find(core, &answer, w->in->host, direction);
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_copy copy;

	if (slot == DYSCO_NO_SLOT || leg->mode == DYSCO_MODE_PASS) {
		dysco_pass(w, DYSCO_NO_SLOT);
		return;
	}
	if (!dysco_leg_runs(leg) || !dysco_copy_input(w, &copy)) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
		return;
	}
	map_icmp(core, w, slot, &copy);
}

/*
 * A leg in mode PUNT: a control session, an anchor of a reconfiguration, a session adopted a moment
 * ago, or a box still PENDING.
 */
static void punted_leg(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t index = dysco_cold_at(core, slot)->attempt;

	if (leg->role == DYSCO_ROLE_CONTROL) {
		dysco_ctl_segment_arrived(core, w, slot);
	} else if (index != DYSCO_NO_ATTEMPT && dysco_attempt_is_anchor(core, index)) {
		dysco_anchor_packet(core, w, slot, index);
	} else if (dysco_late_learns(core, slot)) {
		dysco_late_learn(core, w, slot);
	} else {
		dysco_drop(core, w, slot, DYSCO_REASON_PENDING);
	}
}

/* A packet that is no SYN: the datapath asked because of the leg's mode, or before it changed. */
static void other_arrived(struct dysco_core *core, struct dysco_work *w)
{
	enum dysco_direction direction = w->in->direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN;
	uint32_t slot = dysco_find(core, &w->p.tuple, w->in->host, direction);
	const uint8_t *end = w->in->data + w->in->bytes;
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	enum dysco_reason reason = DYSCO_REASON_PENDING;
	bool control = direction == DYSCO_IN && dysco_step_is_control(&w->p, w->in->data, end);

	if (control) {
		dysco_control_arrived(core, w, slot);
		return;
	}
	switch (dysco_step(slot ? leg : NULL, &w->p, direction, false, &reason)) {
	case DYSCO_VERDICT_FAST:
		dysco_forward(core, w, slot);
		break;
	case DYSCO_VERDICT_PASS:
		dysco_pass(w, slot);
		break;
	case DYSCO_VERDICT_PUNT:
		if (leg->mode == DYSCO_MODE_PUNT) {
			punted_leg(core, w, slot);
		} else if (dysco_step_is_floors(leg, &w->p, direction)) {
			dysco_relay_floor(core, w, slot);
		} else if (direction == DYSCO_OUT) {
			dysco_syn_superseded(core, w, slot);
		} else if (w->p.flags & DYSCO_TCP_SYN) {
			dysco_handshake_is_over(core, w, slot);
		} else {
			dysco_syn_refused(core, w, slot);
		}
		break;
	default:
		dysco_drop(core, w, slot, reason);
		break;
	}
}

void dysco_core_packet_received(struct dysco_core *core, uint64_t now_ns,
				const struct dysco_input *in, struct dysco_actions *out)
{
	struct dysco_work w = {.core = core, .in = in, .out = out, .now_ns = now_ns};

	reset_actions(out);
	switch (dysco_packet_parse(&w.p, in->data, in->data + in->bytes, in->bytes)) {
	case DYSCO_PARSE_TCP:
		break;
	case DYSCO_PARSE_ICMP_ERROR:
		icmp_arrived(core, &w);
		return;
	case DYSCO_PARSE_OTHER:
		dysco_pass(&w, DYSCO_NO_SLOT);
		return;
	case DYSCO_PARSE_FRAGMENT:
		w.p.flags = 0;
		dysco_drop(core, &w, DYSCO_NO_SLOT, DYSCO_REASON_FRAGMENT);
		return;
	default:
		w.p.flags = 0;
		dysco_drop(core, &w, DYSCO_NO_SLOT, DYSCO_REASON_BAD_PACKET);
		return;
	}
	if (!dysco_step_is_syn(&w.p)) {
		other_arrived(core, &w);
	} else if (in->direction == DYSCO_OUT) {
		dysco_syn_departed(core, &w);
	} else {
		dysco_syn_arrived(core, &w);
	}
}
