// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two ends: a TCP (RFC 9293) of a few bytes, with window scaling,
 * timestamps, SACK, and RFC 5961. It never gives up. Its timestamp clock counts
 * what the end has sent and received, so that it is monotonic and bounded.
 */
#include "tests/explore/explore.h"

#include <string.h>

enum { OPTIONS_MAX = 40, SACKS_MAX = 3 };

uint32_t xp_pattern(uint8_t side, uint32_t position)
{
	return (0x41u + 0x20u * side + position) & 0xff;
}

uint32_t xp_end_clock(const struct xp_end *e, uint8_t side)
{
	return 1000u * (side + 1u) + e->max + e->rcv_nxt;
}

static const struct xp_app *app_of(const struct xp *x, uint8_t side)
{
	return &x->config->app[side];
}

/* ---- sending ---- */

static uint32_t put_syn_options(const struct xp *x, const struct xp_end *e, uint8_t *at)
{
	uint32_t n = 0;

	at[n++] = 2; /* MSS */
	at[n++] = 4;
	sim_put16(at + n, 1460);
	n += 2;
	if (e->sack) {
		at[n++] = 4;
		at[n++] = 2;
	}
	if (e->shift_out) {
		at[n++] = 3;
		at[n++] = 3;
		at[n++] = e->shift_out;
	}
	while (n % 4) {
		at[n++] = 1;
	}
	(void)x;
	return n;
}

static uint32_t put_timestamps(const struct xp_end *e, uint8_t side, uint8_t *at)
{
	at[0] = at[1] = 1;
	at[2] = 8;
	at[3] = 10;
	sim_put32(at + 4, xp_end_clock(e, side));
	sim_put32(at + 8, e->ts_recent);
	return 12;
}

/* Blocks of what is held beyond what is acknowledged, the lowest first. */
static uint32_t put_sack(const struct xp_end *e, uint8_t *at)
{
	uint32_t n = 0, position = e->rcv_nxt; /* of the byte after the first missing one */

	while (n < SACKS_MAX && e->held >> position) {
		uint32_t from, to;

		while (!((e->held >> position) & 1)) {
			position++;
		}
		from = position;
		while (position < 32 && ((e->held >> position) & 1)) {
			position++;
		}
		to = position;
		sim_put32(at + 4 + 8 * n, e->irs + 1 + from);
		sim_put32(at + 8 + 8 * n, e->irs + 1 + to);
		n++;
		if (position >= 32) {
			break;
		}
	}
	if (n == 0) {
		return 0;
	}
	at[0] = at[1] = 1;
	at[2] = 5;
	at[3] = (uint8_t)(2 + 8 * n);
	return 4 + 8 * n;
}

static uint16_t put_options(const struct xp *x, const struct xp_end *e, uint8_t side, uint8_t flags,
			    uint8_t *at)
{
	uint32_t n = 0;

	if (flags & SIM_RST) {
		return 0;
	}
	if (flags & SIM_SYN) {
		n += put_syn_options(x, e, at);
	}
	if (e->ts) {
		n += put_timestamps(e, side, at + n);
	}
	if (e->sack && !(flags & SIM_SYN)) {
		n += put_sack(e, at + n);
	}
	return (uint16_t)n;
}

/* What the peer may send is told in the unit of the scale, rounded down, and never taken back. */
static uint16_t window_to_tell(const struct xp *x, struct xp_end *e, uint8_t flags)
{
	uint8_t shift = (flags & SIM_SYN) ? 0 : e->shift_out;
	uint32_t window = x->config->buffer > e->unread ? 0u + x->config->buffer - e->unread : 0u;

	window >>= shift;
	if (!(flags & SIM_RST) && e->rcv_nxt + (window << shift) > e->granted) {
		e->granted = (uint8_t)(e->rcv_nxt + (window << shift));
	}
	return (uint16_t)window;
}

static void send(struct xp *x, uint8_t side, uint8_t flags, uint32_t number, uint32_t bytes)
{
	struct xp_end *e = &x->end[side];
	uint8_t options[OPTIONS_MAX], payload[32], packet[256];
	struct sim_segment s = {.tuple = xp_session(),
				.seq = x->config->iss[side] + number,
				.flags = flags,
				.options = options,
				.payload = payload,
				.payload_bytes = (uint16_t)bytes};

	if (side == 1) {
		s.tuple = dysco_tuple_reverse(&s.tuple);
	}
	if (flags & SIM_ACK) {
		s.ack = e->irs + e->rcv_nxt;
	}
	s.window = window_to_tell(x, e, flags);
	s.options_bytes = put_options(x, e, side, flags, options);
	for (uint32_t i = 0; i < bytes && i < sizeof(payload); i++) {
		payload[i] = (uint8_t)xp_pattern(side, number - 1 + i);
	}
	xp_queue(x, side, true, packet, (uint32_t)sim_segment_write(packet, &s));
}

static void send_ack(struct xp *x, uint8_t side)
{
	send(x, side, SIM_ACK, x->end[side].max, 0);
}

static void send_syn(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];

	e->nxt = 1;
	e->max = e->max ? e->max : 1;
	send(x, side, e->state == XP_TCP_SYN_SENT ? SIM_SYN : SIM_SYN | SIM_ACK, 0, 0);
}

/* One segment, with whatever may go, a FIN included (RFC 9293 3.8.6); false: nothing may. */
static bool output_one(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];
	uint32_t last = 1u + e->written; /* number of the FIN */
	uint32_t bytes = 0;
	bool fin;

	if (e->nxt < last && e->nxt < e->edge) {
		bytes = last < e->edge ? last - e->nxt : (uint32_t)e->edge - e->nxt;
		bytes = bytes < x->config->mss ? bytes : x->config->mss;
	}
	fin = e->closed && e->nxt + bytes == last && last < e->edge;
	if (bytes == 0 && !fin) {
		return false;
	}
	send(x, side, (uint8_t)(SIM_ACK | (bytes ? SIM_PSH : 0) | (fin ? SIM_FIN : 0)), e->nxt,
	     bytes);
	e->nxt = (uint8_t)(e->nxt + bytes + fin);
	e->max = e->nxt > e->max ? e->nxt : e->max;
	return true;
}

static void output(struct xp *x, uint8_t side)
{
	if (x->end[side].state != XP_TCP_OPEN) {
		return;
	}
	while (output_one(x, side)) {
	}
}

/* ---- receiving ---- */

static void reset(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];

	if (!x->w.reset_sent) {
		xp_fail(x, "end %u is reset, and nobody has aborted", side);
	}
	xp_say(x, "    end %u is reset", side);
	e->state = XP_TCP_DEAD;
	e->reset = 1;
}

static void reset_came(struct xp *x, uint8_t side, const struct sim_segment *s)
{
	struct xp_end *e = &x->end[side];
	uint32_t offset = s->seq - e->irs - e->rcv_nxt;

	if (e->state == XP_TCP_SYN_SENT) {
		if ((s->flags & SIM_ACK) && s->ack == x->config->iss[side] + 1) {
			reset(x, side);
		}
	} else if (offset == 0) {
		reset(x, side);
	} else if (offset < x->config->buffer) {
		send_ack(x, side); /* RFC 5961 3.2 */
	}
}

static void negotiate(struct xp *x, uint8_t side, const struct xp_options *o)
{
	struct xp_end *e = &x->end[side];

	e->ts = e->ts && o->has_ts;
	e->sack = e->sack && o->has_sack_ok;
	if (o->has_shift && e->shift_out) {
		e->shift_in = o->shift;
	} else {
		e->shift_out = 0;
	}
	if (e->ts) {
		e->ts_recent = o->tsval;
	}
}

/*
 * In the window, at least partly (RFC 9293 3.10.7.4)? An empty segment just
 * above it is too, as in Linux: else two ends whose windows are full of lost
 * bytes answer each other for ever.
 */
static bool acceptable(const struct xp *x, const struct xp_end *e, const struct sim_segment *s)
{
	uint32_t offset = s->seq - e->irs - e->rcv_nxt;
	uint32_t length = sim_segment_end(s) - s->seq;
	uint32_t window = x->config->buffer > e->unread ? 0u + x->config->buffer - e->unread : 0u;

	if (length == 0) {
		return offset <= window;
	}
	return window > 0 && (offset < window || offset + length - 1 < window);
}

static void take_ack(struct xp *x, uint8_t side, const struct sim_segment *s)
{
	struct xp_end *e = &x->end[side];
	uint32_t ack = s->ack - x->config->iss[side];
	uint32_t edge = ack + ((uint32_t)s->window << e->shift_in);

	if (ack > e->max) {
		return; /* xp_check_given() has said so */
	}
	if (ack > e->una) {
		e->una = (uint8_t)ack;
		e->nxt = e->nxt < e->una ? e->una : e->nxt;
	}
	if (edge > e->edge && edge < 0x80) {
		e->edge = (uint8_t)edge;
	}
}

/* true: it wants an acknowledgement. */
static bool take_data(struct xp *x, uint8_t side, const struct sim_segment *s)
{
	struct xp_end *e = &x->end[side];
	uint32_t first = s->seq - e->irs - 1; /* position of the first byte */
	uint32_t limit = e->rcv_nxt + (uint32_t)x->config->buffer - e->unread;

	for (uint32_t i = 0; i < s->payload_bytes; i++) {
		if (first + i < 32 && first + i + 1 < limit) {
			e->held |= 1u << (first + i);
		}
	}
	if (s->flags & SIM_FIN) {
		e->fin_known = (uint8_t)(first + s->payload_bytes + 1);
	}
	while (!e->fin_rcvd && e->rcv_nxt > 0 && ((e->held >> (e->rcv_nxt - 1)) & 1)) {
		e->rcv_nxt++;
		e->unread++;
	}
	if (e->fin_known && e->rcv_nxt == e->fin_known && !e->fin_rcvd) {
		e->fin_rcvd = 1;
		e->rcv_nxt++;
	}
	if (!app_of(x, side)->slow || e->fin_rcvd) {
		e->unread = 0;
	}
	return sim_segment_end(s) != s->seq;
}

static void maybe_over(struct xp_end *e)
{
	if (e->fin_rcvd && e->closed && e->una == 2u + e->written) {
		e->state = XP_TCP_OVER;
	}
}

static void in_open(struct xp *x, uint8_t side, const struct sim_segment *s,
		    const struct xp_options *o)
{
	struct xp_end *e = &x->end[side];

	/* PAWS (RFC 7323 5.3) */
	if (e->ts && o->has_ts && (int32_t)(o->tsval - e->ts_recent) < 0) {
		xp_say(x, "    end %u: PAWS", side);
		send_ack(x, side);
		return;
	}
	if (!acceptable(x, e, s)) {
		send_ack(x, side);
		return;
	}
	if (s->flags & SIM_SYN) {
		send_ack(x, side); /* RFC 5961 4.2 */
		return;
	}
	if (!(s->flags & SIM_ACK)) {
		return;
	}
	if (e->ts && o->has_ts && s->seq - e->irs <= e->rcv_nxt) {
		e->ts_recent = o->tsval;
	}
	take_ack(x, side, s);
	if (take_data(x, side, s)) {
		send_ack(x, side);
	}
	output(x, side);
	maybe_over(e);
}

static void in_listen(struct xp *x, uint8_t side, const struct sim_segment *s,
		      const struct xp_options *o)
{
	struct xp_end *e = &x->end[side];

	if ((s->flags & (SIM_SYN | SIM_ACK)) != SIM_SYN) {
		return;
	}
	negotiate(x, side, o);
	e->irs = s->seq;
	e->rcv_nxt = 1;
	e->edge = (uint8_t)s->window;
	e->state = XP_TCP_SYN_RCVD;
	send_syn(x, side);
}

static void in_syn_sent(struct xp *x, uint8_t side, const struct sim_segment *s,
			const struct xp_options *o)
{
	struct xp_end *e = &x->end[side];

	if ((s->flags & (SIM_SYN | SIM_ACK)) != (SIM_SYN | SIM_ACK) ||
	    s->ack != x->config->iss[side] + 1) {
		return;
	}
	negotiate(x, side, o);
	e->irs = s->seq;
	e->rcv_nxt = 1;
	e->una = e->nxt = 1;
	e->edge = (uint8_t)(1 + s->window);
	e->state = XP_TCP_OPEN;
	send_ack(x, side);
	output(x, side);
}

static void in_syn_rcvd(struct xp *x, uint8_t side, const struct sim_segment *s,
			const struct xp_options *o)
{
	struct xp_end *e = &x->end[side];

	if ((s->flags & SIM_SYN) && s->seq == e->irs) {
		send_syn(x, side);
	} else if ((s->flags & SIM_ACK) && s->ack - x->config->iss[side] - 1 < 0x80) {
		e->state = XP_TCP_OPEN;
		e->una = e->nxt = 1;
		in_open(x, side, s, o);
	}
}

/* After a reset the stack knows nothing: it answers what comes (RFC 9293 3.10.7.1). */
static void in_dead(struct xp *x, uint8_t side, const struct sim_segment *s)
{
	uint8_t packet[64];
	struct sim_segment reset = {
	    .tuple = dysco_tuple_reverse(&s->tuple), .seq = s->ack, .flags = SIM_RST};

	if (s->flags & SIM_ACK) {
		xp_queue(x, side, true, packet, (uint32_t)sim_segment_write(packet, &reset));
	}
}

static bool of_session(const struct dysco_tuple *tuple)
{
	struct dysco_tuple session = xp_session(), back = dysco_tuple_reverse(&session);

	return dysco_tuple_equal(tuple, &session) || dysco_tuple_equal(tuple, &back);
}

void xp_end_arrived(struct xp *x, uint8_t side, const uint8_t *data, uint32_t bytes)
{
	struct xp_end *e = &x->end[side];
	struct xp_options o;
	struct sim_segment s;

	xp_check_bytes(x, side ? "destination" : "initiator", data, bytes);
	if (x->failed || !sim_segment_read(&s, data, bytes)) {
		return;
	}
	if ((s.flags & SIM_RST) && !of_session(&s.tuple)) {
		return; /* of a new path that did not come about: no stack knows it */
	}
	xp_options_read(&o, &s);
	xp_check_given(x, side, &s, &o);
	if (x->failed) {
		return;
	}
	if ((s.flags & SIM_RST) && e->state != XP_TCP_LISTEN && e->state < XP_TCP_OVER) {
		reset_came(x, side, &s);
	} else if (s.flags & SIM_RST) {
		return;
	} else if (e->state == XP_TCP_LISTEN) {
		in_listen(x, side, &s, &o);
	} else if (e->state == XP_TCP_SYN_SENT) {
		in_syn_sent(x, side, &s, &o);
	} else if (e->state == XP_TCP_SYN_RCVD) {
		in_syn_rcvd(x, side, &s, &o);
	} else if (e->state == XP_TCP_OPEN) {
		in_open(x, side, &s, &o);
	} else if (e->state == XP_TCP_DEAD) {
		in_dead(x, side, &s);
	} else if (sim_segment_end(&s) != s.seq) {
		send_ack(x, side);
	}
}

/* ---- application and timers ---- */

void xp_end_open(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];

	memset(e, 0, sizeof(*e));
	e->ts = x->config->ts;
	e->sack = x->config->sack;
	e->shift_out = x->config->shift[side];
	if (side == 0) {
		e->state = XP_TCP_SYN_SENT;
		send_syn(x, side);
	}
}

void xp_end_write(struct xp *x, uint8_t side)
{
	x->end[side].written++;
	output(x, side);
}

void xp_end_close(struct xp *x, uint8_t side)
{
	x->end[side].closed = 1;
	output(x, side);
}

void xp_end_read(struct xp *x, uint8_t side)
{
	x->end[side].unread = 0;
	send_ack(x, side);
}

void xp_end_abort(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];

	x->w.reset_sent = 1;
	e->aborted = 1;
	send(x, side, SIM_RST | SIM_ACK, e->max, 0);
	e->state = XP_TCP_DEAD;
}

/* An empty segment below the window; the peer has to answer (RFC 9293 3.8.4). */
void xp_end_keepalive(struct xp *x, uint8_t side)
{
	x->end[side].kept++;
	send(x, side, SIM_ACK, x->end[side].una - 1u, 0);
}

static bool window_shut(const struct xp_end *e)
{
	return e->una == e->max && e->max < 1u + e->written + e->closed;
}

bool xp_end_armed(const struct xp *x, uint8_t side)
{
	const struct xp_end *e = &x->end[side];

	switch (e->state) {
	case XP_TCP_SYN_SENT:
	case XP_TCP_SYN_RCVD:
		return true;
	case XP_TCP_OPEN:
		return e->una < e->max || window_shut(e);
	default:
		return false;
	}
}

/* Retransmission, or a probe of a window that is shut. */
void xp_end_timer(struct xp *x, uint8_t side)
{
	struct xp_end *e = &x->end[side];

	if (e->state != XP_TCP_OPEN) {
		send_syn(x, side);
	} else if (window_shut(e)) {
		send(x, side, SIM_ACK, e->una - 1u, 0);
	} else {
		e->nxt = e->una;
		output_one(x, side);
	}
}

/* Over, or reset, or alive with nothing left to do. */
bool xp_end_quiet(const struct xp *x, uint8_t side)
{
	const struct xp_end *e = &x->end[side];

	if (e->state == XP_TCP_OVER || e->state == XP_TCP_DEAD) {
		return true;
	}
	if (e->state != XP_TCP_OPEN || e->una != e->max || e->written != app_of(x, side)->units) {
		return false;
	}
	/* It cannot know of a RST that was lost while it has nothing to send. */
	return app_of(x, side)->closes == XP_STAY_OPEN || x->w.reset_sent;
}
