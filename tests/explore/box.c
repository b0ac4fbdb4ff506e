// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boxes. The strict one tracks the connection as Linux conntrack does with
 * nf_conntrack_tcp_be_liberal=0 and nf_conntrack_tcp_loose=0 (after Guido van
 * Rooij, "Real stateful TCP packet filtering in IP Filter"); what it would call
 * INVALID is a violation. It is stricter in one thing: an acknowledgement below
 * the initial number of what it acknowledges is wrong, however near.
 */
#include "tests/explore/explore.h"

#include <string.h>

static const char stale_reset[] = "a RST below what was acknowledged";

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

bool xp_box_closed(const struct xp_box *box)
{
	return !box->open || box->reset ||
	       (box->side[0].seen & box->side[1].seen & XP_SEEN_FIN) != 0;
}

/* ---- opening ---- */

static void begin_side(struct xp_track_side *side, const struct sim_segment *s,
		       const struct xp_options *o)
{
	memset(side, 0, sizeof(*side));
	side->isn = s->seq;
	side->end = side->max_end = sim_segment_end(s);
	side->max_window = s->window ? s->window : 1;
	side->shift = o->has_shift ? o->shift : 0;
	side->seen = XP_SEEN_SYN;
}

/* A recovery may begin with the numbers of the connection that the box was told the end of. */
static const char *syn_came(struct xp_box *box, const struct sim_segment *s,
			    const struct xp_options *o, bool recovers)
{
	if (box->open && s->seq == box->side[0].isn && !(recovers && box->reset)) {
		return NULL; /* again, perhaps long after the end */
	}
	if (!xp_box_closed(box)) {
		return "a SYN in a living connection";
	}
	memset(box, 0, sizeof(*box));
	box->open = 1;
	begin_side(&box->side[0], s, o);
	return NULL;
}

static const char *syn_ack_came(struct xp_box *box, const struct sim_segment *s,
				const struct xp_options *o)
{
	struct xp_track_side *opener = &box->side[0];

	if (!box->open || s->ack != opener->isn + 1) {
		return "a SYN-ACK to no SYN";
	}
	if (box->side[1].seen) {
		return s->seq == box->side[1].isn ? NULL : "another SYN-ACK";
	}
	begin_side(&box->side[1], s, o);
	if (!o->has_shift) {
		opener->shift = 0;
	} else if (opener->shift == 0) {
		box->side[1].shift = 0;
	}
	opener->max_end = s->ack + s->window;
	return NULL;
}

/* ---- afterwards ---- */

static uint32_t highest_sack(const struct sim_segment *s, const struct xp_options *o)
{
	uint32_t sack = s->ack;

	for (uint8_t i = 1; i < o->n_sack; i = (uint8_t)(i + 2)) {
		sack = after(o->sack[i], sack) ? o->sack[i] : sack;
	}
	return sack;
}

static const char *out_of_window(const struct xp_track_side *from, const struct xp_track_side *to,
				 const struct sim_segment *s, const struct xp_options *o)
{
	uint32_t end = sim_segment_end(s);

	if (after(s->seq, from->max_end)) {
		return "a number above the window";
	}
	if (!after(end, from->end - to->max_window - 1)) {
		return "a number below the window";
	}
	if (after(highest_sack(s, o), to->end)) {
		return "an acknowledgement of what was not seen";
	}
	if (!after(s->ack, to->isn)) {
		return "an acknowledgement of what was before the connection";
	}
	return NULL;
}

static void note(struct xp_track_side *from, struct xp_track_side *to, const struct sim_segment *s,
		 const struct xp_options *o)
{
	uint32_t window = (uint32_t)s->window << from->shift;
	uint32_t told = window + (highest_sack(s, o) - s->ack);
	uint32_t end = sim_segment_end(s);

	from->max_window = told > from->max_window ? told : from->max_window;
	from->end = after(end, from->end) ? end : from->end;
	if (after(s->ack + window, to->max_end)) {
		to->max_end = s->ack + window + (window == 0);
	}
	if (!(from->seen & XP_SEEN_ACK) || after(s->ack, from->max_ack)) {
		from->max_ack = s->ack;
	}
	from->seen |= XP_SEEN_ACK;
	from->seen |= (s->flags & SIM_FIN) ? XP_SEEN_FIN : 0;
}

static const char *segment_came(struct xp_box *box, int d, const struct sim_segment *s,
				const struct xp_options *o)
{
	struct xp_track_side *from = &box->side[d], *to = &box->side[!d];
	const char *wrong;

	if (!box->open || !from->seen || !to->seen) {
		return "a segment of no connection";
	}
	if ((s->flags & SIM_RST) && (to->seen & XP_SEEN_ACK) && after(to->max_ack, s->seq)) {
		return stale_reset;
	}
	wrong = out_of_window(from, to, s, o);
	if (!wrong) {
		note(from, to, s, o);
		box->reset = box->reset || (s->flags & SIM_RST);
	}
	return wrong;
}

/* A bare RST is a stack's answer to what it does not know: no agent sends one. */
static const char *track(struct xp_box *box, int d, const struct sim_segment *s, bool recovers)
{
	struct xp_options o;

	xp_options_read(&o, s);
	if ((s->flags & (SIM_RST | SIM_ACK)) == SIM_RST) {
		box->reset = box->reset || !after(box->side[!d].max_ack, s->seq);
		return NULL;
	}
	if ((s->flags & (SIM_SYN | SIM_ACK)) == SIM_SYN) {
		return d == 0 ? syn_came(box, s, &o, recovers) : "a SYN from the destination";
	}
	if (s->flags & SIM_SYN) {
		return d == 1 ? syn_ack_came(box, s, &o) : "a SYN-ACK from the initiator";
	}
	if (s->flags & SIM_RST && !box->side[1].seen) {
		box->reset = 1; /* refused */
		return NULL;
	}
	return segment_came(box, d, s, &o);
}

/* ---- a box that shifts numbers ---- */

static void shift_sack(uint8_t *options, size_t bytes, uint32_t by)
{
	for (size_t i = 0; i + 1 < bytes && options[i] != 0;) {
		if (options[i] == 1) {
			i++;
			continue;
		}
		for (size_t at = i + 2; options[i] == 5 && at + 4 <= i + options[i + 1]; at += 4) {
			uint32_t edge = (uint32_t)options[at] << 24 |
					(uint32_t)options[at + 1] << 16 |
					(uint32_t)options[at + 2] << 8 | options[at + 3];

			edge -= by;
			options[at] = (uint8_t)(edge >> 24);
			options[at + 1] = (uint8_t)(edge >> 16);
			options[at + 2] = (uint8_t)(edge >> 8);
			options[at + 3] = (uint8_t)edge;
		}
		i += options[i + 1] < 2 ? 2 : options[i + 1];
	}
}

static void let_out_shifted(struct xp *x, uint8_t host, int d, struct sim_segment *s)
{
	uint8_t packet[SIM_PACKET_BYTES], options[40];
	uint32_t own = d == 0 ? XP_DELTA_RIGHT : XP_DELTA_LEFT;
	uint32_t other = d == 0 ? XP_DELTA_LEFT : XP_DELTA_RIGHT;

	memcpy(options, s->options, s->options_bytes);
	shift_sack(options, s->options_bytes, other);
	s->options = options;
	s->seq += own;
	if (s->flags & SIM_ACK) {
		s->ack -= other;
	}
	xp_queue(x, host, true, packet, (uint32_t)sim_segment_write(packet, s));
}

/* ---- ---- */

void xp_box_arrived(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes)
{
	struct dysco_tuple session = xp_session(), back = dysco_tuple_reverse(&session);
	const char *wrong = NULL;
	struct sim_segment s;
	int d;

	xp_check_bytes(x, "box", data, bytes);
	if (x->failed || !sim_segment_read(&s, data, bytes)) {
		return;
	}
	d = dysco_tuple_equal(&s.tuple, &session) ? 0 : 1;
	if (d == 1 && !dysco_tuple_equal(&s.tuple, &back)) {
		if (s.flags & SIM_RST) {
			return; /* no stack knows it */
		}
		xp_fail(x, "box of host %u is given a packet of another five-tuple", host);
		return;
	}
	switch (x->config->box[host]) {
	case XP_BOX_STRICT:
		wrong = track(&x->box[host], d, &s, x->w.dead != 0);
		if (wrong == stale_reset && x->w.reset_sent) {
			return; /* its sender had not seen the last acknowledgement: as may happen
				   to any */
		}
		if (wrong) {
			xp_fail(x, "strict box of host %u: %s", host, wrong);
			return;
		}
		break;
	case XP_BOX_DELTA:
		let_out_shifted(x, host, d, &s);
		return;
	default:
		break;
	}
	xp_queue(x, host, true, data, bytes);
}
