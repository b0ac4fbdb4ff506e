/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of a session at one of its anchors: in two paths (docs/protocol.md
 * 12.5) through core/twopath.h, afterwards those that reach below the floor (12.6).
 * The running fields of both legs hold the same numbers, the host's, so that
 * either leg can be the one that stays.
 */
#include "core/reconfig.h"
#include "core/segment.h"

#include <string.h>

#define FLOOR_KEPT (1u << 30) /* bytes past it that are acknowledged */

static uint32_t slot_on(const struct dysco_attempt *a, enum dysco_path path)
{
	return path == DYSCO_PATH_OLD ? a->old_slot : a->new_slot;
}

static enum dysco_path other_path(enum dysco_path path)
{
	return path == DYSCO_PATH_OLD ? DYSCO_PATH_NEW : DYSCO_PATH_OLD;
}

/* How far the windows of packets of this direction are scaled (RFC 7323 2.2). */
uint8_t dysco_shift_of(const struct dysco_leg *leg, enum dysco_direction direction)
{
	const struct dysco_syn_options *o = leg->options;
	bool both = (o[0].flags & DYSCO_SYN_NOTED) && (o[1].flags & DYSCO_SYN_NOTED) &&
		    o[0].wscale != DYSCO_NO_WSCALE && o[1].wscale != DYSCO_NO_WSCALE;

	return both ? o[direction].wscale : 0;
}

/* The last window of a direction, in bytes: that of a SYN is not scaled (RFC 7323 2.2). */
uint32_t dysco_window_of(const struct dysco_leg *leg, enum dysco_direction direction)
{
	const struct dysco_leg_run *run = &leg->run[direction];

	return (uint32_t)run->window
	       << ((run->seen & DYSCO_SEEN_CONFIRM) ? dysco_shift_of(leg, direction) : 0);
}

static void copy_numbers(const struct dysco_leg *from, struct dysco_leg *to,
			 enum dysco_direction direction)
{
	const struct dysco_leg_run *f = &from->run[direction];
	struct dysco_leg_run *t = &to->run[direction];

	t->last_ns = f->last_ns;
	t->seq_end = f->seq_end;
	t->ack = f->ack;
	t->fin_end = f->fin_end;
	t->window = f->window;
	t->seen = f->seen;
	to->fins = from->fins;
}

/* host: the packet in host numbers. */
static void note(struct dysco_work *w, const struct dysco_attempt *a, enum dysco_path path,
		 const struct dysco_packet *host)
{
	enum dysco_direction direction = w->in->direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN;
	struct dysco_leg *leg = dysco_leg_at(w->core, slot_on(a, path));

	dysco_step_see(leg, host, direction, w->in->bytes, w->now_ns);
	copy_numbers(leg, dysco_leg_at(w->core, slot_on(a, other_path(path))), direction);
}

/* Checksums are made anew on the way: a packet that was damaged must not become a good one. */
static bool read_input(const struct dysco_work *w, struct dysco_segment *s, uint8_t shift)
{
	if (!dysco_edit_checksum_ok(&w->p, w->in->data, w->in->bytes)) {
		return false;
	}
	dysco_segment_read(s, &w->p, w->in->data, shift);
	return true;
}

static bool emit(struct dysco_work *w, enum dysco_action_kind kind, uint32_t slot,
		 const struct dysco_segment *s, uint8_t shift, const struct dysco_tuple *to)
{
	struct dysco_copy copy = {.data = &w->out->arena[w->out->used]};

	copy.bytes = dysco_segment_write(copy.data, sizeof(w->out->arena) - w->out->used, &w->p,
					 w->in->data, s, shift, to);
	copy.capacity = copy.bytes;
	if (copy.bytes == 0) {
		return false;
	}
	dysco_emit(w, kind, slot, &copy);
	return true;
}

/* ---- beginning and end ---- */

uint32_t dysco_relay_next_cut(const struct dysco_core *core, const struct dysco_attempt *a)
{
	return a->kind == DYSCO_KIND_RECOVERY
		   ? a->fixed_cut
		   : dysco_leg_at(core, a->old_slot)->run[DYSCO_OUT].seq_end;
}

uint32_t dysco_granted(const struct dysco_leg *leg, enum dysco_direction direction)
{
	return leg->run[direction].base == DYSCO_BASE_AGENTS ? 0 : dysco_window_of(leg, direction);
}

void dysco_relay_begin(struct dysco_core *core, struct dysco_attempt *a)
{
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_leg *new = dysco_leg_at(core, a->new_slot);
	const struct dysco_leg_run *out = &old->run[DYSCO_OUT], *in = &old->run[DYSCO_IN];

	uint32_t cut = dysco_relay_next_cut(core, a);
	uint32_t acked = a->kind == DYSCO_KIND_RECOVERY ? a->fixed_cut : in->ack;

	dysco_two_start(&a->two, cut, acked, in->ack + dysco_granted(old, DYSCO_IN), in->seq_end,
			out->ack, out->ack + dysco_granted(old, DYSCO_OUT));
	a->two.sent_end = out->seq_end; /* a recovery sends again what lies between */
	if (a->kind == DYSCO_KIND_RECOVERY) {
		a->two.held_end = in->seq_end;
		a->two.holds = true;
	}
	copy_numbers(old, new, DYSCO_OUT);
	copy_numbers(old, new, DYSCO_IN);
	memcpy(new->options, old->options, sizeof(new->options));
	new->offsets.seq_out = a->isn + 1 - a->two.cut;
	new->offsets.seq_in = a->two.peer_cut - (a->peer_isn + 1);
	new->offsets.ts_out = 0;
	new->offsets.ts_in = a->ts_in;
	new->flags |= DYSCO_LEG_OFFSETS;
}

void dysco_relay_peer_cut(struct dysco_core *core, struct dysco_attempt *a, uint32_t cut)
{
	struct dysco_leg *new = dysco_leg_at(core, a->new_slot);

	dysco_two_peer_cut(&a->two, cut + a->offset_in);
	new->offsets.seq_in = a->two.peer_cut - (a->peer_isn + 1);
}

static uint16_t window_left(const struct dysco_leg *leg, uint32_t edge, uint32_t ack)
{
	uint32_t left = dysco_after(edge, ack) ? (edge - ack) >> dysco_shift_of(leg, DYSCO_IN) : 0;

	return (uint16_t)(left < UINT16_MAX ? left : UINT16_MAX);
}

/* No window scale, no number and no time that it has not got from its peer. */
static bool tell_host(struct dysco_core *core, const struct dysco_attempt *a,
		      struct dysco_actions *out)
{
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	const struct dysco_two *two = &a->two;
	uint8_t options[DYSCO_TIMESTAMP_BYTES];
	size_t n = 0;

	if (dysco_leg_has_timestamps(old)) {
		if (!two->has_ts || !two->host_has_ts) {
			return false; /* without them it could not take it (RFC 7323 3.2) */
		}
		n = dysco_put_timestamp(options, two->tsval, two->host_tsval);
	}
	return dysco_emit_ack(core, out, a->old_slot, two->seq_end, two->acked,
			      window_left(old, two->edge, two->acked), options, n);
}

/*
 * The acknowledgement of all below the cut may have been lost, or come when the old path is
 * no more. One at the base of the new path does not say it (docs/protocol.md 12.5), so a host
 * that has sent nothing since would send again what nobody waits for.
 */
void dysco_relay_peer_done(struct dysco_core *core, uint64_t now_ns, struct dysco_attempt *a,
			   struct dysco_actions *out)
{
	struct dysco_two *two = &a->two;
	struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	uint32_t used = out->used;
	struct dysco_packet p;

	if (dysco_two_sent_done(two)) {
		return;
	}
	two->acked = two->cut;
	if (!tell_host(core, a, out)) {
		return;
	}
	dysco_packet_parse(&p, &out->arena[used], &out->arena[out->used], out->used - used);
	dysco_step_see(old, &p, DYSCO_IN, out->used - used, now_ns);
	copy_numbers(old, dysco_leg_at(core, a->new_slot), DYSCO_IN);
}

void dysco_relay_end(struct dysco_core *core, struct dysco_attempt *a, enum dysco_path path)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot_on(a, path));
	const struct dysco_two *two = &a->two;

	/* The window belongs to the acknowledgement: what is granted stays what was granted. */
	leg->run[DYSCO_IN].window = window_left(leg, two->edge, two->acked);
	leg->run[DYSCO_IN].ack = two->acked;
	leg->run[DYSCO_OUT].ack = two->host_ack;
	if (path == DYSCO_PATH_NEW && !two->cut_far) {
		leg->floor = two->cut;
		leg->peer_base = two->peer_cut;
		leg->flags |= DYSCO_LEG_FLOOR;
	}
}

/* ---- floors ---- */

/*
 * What our host sent long ago is acknowledged, by what its peer said last. Of an adopted
 * session less may have come by than the host has acknowledged.
 */
static bool answer_host(struct dysco_work *w, uint32_t slot, const struct dysco_segment *asked)
{
	const struct dysco_leg *leg = dysco_leg_at(w->core, slot);
	struct dysco_tuple to = dysco_tuple_reverse(&leg->host_tuple);
	struct dysco_segment s = {
	    .flags = DYSCO_TCP_ACK,
	    .seq = dysco_seq_max(leg->run[DYSCO_IN].seq_end, leg->run[DYSCO_OUT].ack),
	    .ack = leg->run[DYSCO_IN].ack,
	    .edge = leg->run[DYSCO_IN].ack + leg->run[DYSCO_IN].window,
	    .has_ts = asked->has_ts,
	    .tsval = asked->tsecr,
	    .tsecr = asked->tsval};

	return emit(w, DYSCO_ACT_DELIVER, slot, &s, 0, &to);
}

/* Long past the floor nobody sends what is below, and comparison would take it for what is above.
 */
static bool floor_counts(const struct dysco_leg *leg)
{
	return (leg->flags & DYSCO_LEG_FLOOR) && leg->run[DYSCO_IN].ack - leg->floor <= FLOOR_KEPT;
}

/* ---- two paths ---- */

/* A floor of an earlier reconfiguration holds on; true: the segment lay below it, and is answered.
 */
static bool below_old_floor(struct dysco_work *w, const struct dysco_attempt *a,
			    struct dysco_segment *s)
{
	const struct dysco_leg *old = dysco_leg_at(w->core, a->old_slot);

	return floor_counts(old) && dysco_two_floor(old->floor, s) == DYSCO_FLOOR_ANSWER &&
	       answer_host(w, a->old_slot, s);
}

/* An empty segment with both bases of an earlier reconfiguration's new path, which is our old one.
 */
static bool at_old_bases(const struct dysco_leg *old, const struct dysco_segment *s)
{
	return floor_counts(old) && s->bytes == 0 &&
	       !(s->flags & (DYSCO_TCP_SYN | DYSCO_TCP_FIN | DYSCO_TCP_RST)) &&
	       s->seq == old->floor && s->ack == old->peer_base;
}

/* What the host echoes has been delivered to it (RFC 7323 4.3). */
static void note_times(struct dysco_two *two, const struct dysco_segment *s)
{
	if (!s->has_ts || (s->flags & DYSCO_TCP_RST)) {
		return;
	}
	two->tsval = two->has_ts ? two->tsval : s->tsecr;
	two->has_ts = true;
	two->host_tsval = s->tsval;
	two->host_has_ts = true;
}

void dysco_relay_out(struct dysco_core *core, struct dysco_work *w, struct dysco_attempt *a)
{
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	uint8_t shift = dysco_shift_of(old, DYSCO_OUT);
	struct dysco_segment s;
	struct dysco_parts parts;
	bool sent = false;

	if (!read_input(w, &s, shift)) {
		dysco_drop(core, w, a->old_slot, DYSCO_REASON_BAD_PACKET);
		return;
	}
	note_times(&a->two, &s);
	if (below_old_floor(w, a, &s)) {
		return;
	}
	dysco_two_route(&a->two, &s, &parts);
	for (uint8_t i = 0; i < parts.count; i++) {
		struct dysco_part *part = &parts.part[i];
		uint32_t slot = slot_on(a, part->path);
		const struct dysco_leg *leg = dysco_leg_at(core, slot);

		if (part->path == DYSCO_PATH_OLD && at_old_bases(old, &part->s)) {
			part->s.flags |= DYSCO_TCP_PSH; /* as without two paths: the host's */
		}
		dysco_offsets_out(&leg->offsets, &part->s);
		sent |= emit(w, DYSCO_ACT_SEND, slot, &part->s, shift, &leg->wire_tuple);
	}
	note(w, a, parts.part[parts.count - 1].path, &w->p);
	if (!sent) {
		dysco_drop(core, w, a->old_slot, DYSCO_REASON_FAMILY_MIX);
	}
}

/* A RST came by one path: the boxes of the other one, and whoever is behind them, get one too. */
static void reset_other(struct dysco_core *core, struct dysco_work *w, struct dysco_attempt *a,
			enum dysco_path path)
{
	struct dysco_segment s;

	dysco_two_reset_part(&a->two, path, &s);
	dysco_emit_segment(core, w->out, DYSCO_ACT_SEND, slot_on(a, path), s.flags, s.seq, s.ack, 0,
			   NULL, 0);
}

static bool deliver(struct dysco_work *w, struct dysco_attempt *a, enum dysco_path path,
		    const struct dysco_segment *s, uint8_t shift)
{
	uint32_t slot = slot_on(a, path);
	struct dysco_tuple to = dysco_tuple_reverse(&dysco_leg_at(w->core, slot)->host_tuple);
	struct dysco_packet host = w->p;
	uint32_t used = w->out->used;

	if (!emit(w, DYSCO_ACT_DELIVER, slot, s, shift, &to)) {
		return false;
	}
	dysco_packet_parse(&host, &w->out->arena[used], &w->out->arena[w->out->used],
			   w->out->used - used);
	note(w, a, path, &host);
	return true;
}

void dysco_relay_in(struct dysco_core *core, struct dysco_work *w, struct dysco_attempt *a,
		    enum dysco_path path)
{
	uint8_t shift = dysco_shift_of(dysco_leg_at(core, a->old_slot), DYSCO_IN);
	bool was_reset = a->two.reset, wanted;
	struct dysco_segment s;

	if (!read_input(w, &s, shift)) {
		dysco_drop(core, w, slot_on(a, path), DYSCO_REASON_BAD_PACKET);
		return;
	}
	dysco_offsets_in(&dysco_leg_at(core, slot_on(a, path))->offsets, &s);
	wanted = dysco_two_merge(&a->two, path, &s);
	if (path == DYSCO_PATH_NEW &&
	    ((wanted && s.bytes > 0) || dysco_after(a->two.acked, a->two.cut))) {
		a->seen |= DYSCO_ATTEMPT_TAKEN;
	}
	if (!wanted) {
		dysco_drop(core, w, slot_on(a, path), DYSCO_REASON_SAID);
	} else if (!deliver(w, a, path, &s, shift)) {
		dysco_drop(core, w, slot_on(a, path), DYSCO_REASON_FAMILY_MIX);
	}
	if (a->two.reset && !was_reset) {
		reset_other(core, w, a, other_path(path));
	}
}

bool dysco_core_overtakes(const struct dysco_core *core, const struct dysco_input *in)
{
	const struct dysco_attempt *a;
	struct dysco_packet p;
	uint32_t slot;

	if (in->direction != DYSCO_IN ||
	    dysco_packet_parse(&p, in->data, in->data + in->bytes, in->bytes) != DYSCO_PARSE_TCP ||
	    p.payload_bytes == 0 || (p.flags & ~DYSCO_TCP_PSH) != DYSCO_TCP_ACK) {
		return false;
	}
	slot = dysco_find(core, &p.tuple, in->host, DYSCO_IN);
	if (slot == DYSCO_NO_SLOT || dysco_cold_at(core, slot)->attempt == DYSCO_NO_ATTEMPT) {
		return false;
	}
	a = dysco_attempt_at(core, dysco_cold_at(core, slot)->attempt);
	return slot == a->new_slot && dysco_attempt_is_two_paths(a) && a->two.peer_known &&
	       !a->two.peer_cut_far && dysco_after(a->two.peer_cut, a->two.seq_end);
}

/* ---- afterwards ---- */

static bool send_rest(struct dysco_work *w, uint32_t slot, struct dysco_segment *s)
{
	struct dysco_leg *leg = dysco_leg_at(w->core, slot);

	dysco_step_see(leg, &w->p, DYSCO_OUT, w->in->bytes, w->now_ns);
	dysco_offsets_out(&leg->offsets, s);
	return emit(w, DYSCO_ACT_SEND, slot, s, 0, &leg->wire_tuple);
}

void dysco_relay_floor(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_segment s;
	bool done = true;

	if (!floor_counts(leg)) {
		leg->flags &= (uint8_t)~DYSCO_LEG_FLOOR;
		dysco_forward(core, w, slot);
		return;
	}
	if (!read_input(w, &s, 0)) {
		dysco_drop(core, w, slot, DYSCO_REASON_BAD_PACKET);
		return;
	}
	switch (dysco_two_floor(leg->floor, &s)) {
	case DYSCO_FLOOR_KEEP:
		if (!dysco_step_at_bases(leg, &w->p, DYSCO_OUT)) {
			dysco_forward(core, w, slot);
			break;
		}
		s.flags |= DYSCO_TCP_PSH; /* else it would be taken for the handshake's */
		__attribute__((fallthrough));
	case DYSCO_FLOOR_CUT:
		done = send_rest(w, slot, &s);
		break;
	default:
		done = answer_host(w, slot, &s);
		break;
	}
	if (!done) {
		dysco_drop(core, w, slot, DYSCO_REASON_FAMILY_MIX);
	}
}
