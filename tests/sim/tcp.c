// SPDX-License-Identifier: BSD-2-Clause
/*
 * The model endpoints: a small TCP (RFC 9293) that is right rather than fast.
 * Receiving side, timers and the application; what it sends is in tcp_out.c.
 *
 * No byte is stored. What a stream holds at a position is sim_pattern(), so a
 * byte is compared the moment it comes in, in order or not.
 */
#include "tests/sim/tcp.h"

#include <string.h>

enum { KEEP_TRIES = 9, HELD_BITS = 4096 };

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static struct sim_flow *flow_of(struct sim_world *w, const struct sim_conn *c)
{
	return &w->flows[c->flow];
}

void sim_tcp_end(struct sim_world *w, struct sim_conn *c, enum sim_tcp_end end)
{
	sim_say(w, "      conn %u of flow %u ends: %u", (unsigned int)(c - w->conns), c->flow,
		(unsigned int)end);
	if (c->end == SIM_END_NONE) {
		c->end = (uint8_t)end;
	}
	if (end != SIM_END_CLEAN) {
		flow_of(w, c)->disturbed = true;
		c->state = SIM_TCP_CLOSED;
	}
	c->timer_ns = c->second_ns = c->read_ns = c->keep_ns = UINT64_MAX;
	if (end == SIM_END_CLEAN && c->state == SIM_TCP_TIME_WAIT) {
		c->timer_ns = w->now_ns + SIM_TIME_WAIT_NS;
	}
}

/* ---- making connections ---- */

static struct sim_conn *conn_new(struct sim_world *w, uint8_t node, uint8_t flow, uint8_t side)
{
	struct sim_conn *c;

	if (w->n_conns == SIM_CONNS) {
		return NULL;
	}
	c = &w->conns[w->n_conns++];
	memset(c, 0, sizeof(*c));
	c->node = node;
	c->flow = flow;
	c->side = side;
	c->app = w->flows[flow].app[side];
	c->paused = c->app.burst < c->app.total;
	c->iss = sim_random(w, UINT32_MAX);
	c->snd_una = c->snd_nxt = c->iss;
	c->snd_max = c->iss;
	c->rto_ns = SIM_RTO_NS;
	c->timer_ns = c->second_ns = c->read_ns = c->keep_ns = c->wake_ns = UINT64_MAX;
	return c;
}

static bool conn_lives(const struct sim_world *w, uint8_t conn)
{
	return conn == SIM_NONE || w->conns[conn].state != SIM_TCP_CLOSED;
}

void sim_tcp_open(struct sim_world *w, uint8_t flow)
{
	struct sim_flow *f = &w->flows[flow];
	struct sim_conn *c;

	if (f->after != SIM_NONE && conn_lives(w, w->flows[f->after].conn[0])) {
		sim_at(w, w->now_ns + 300 * SIM_MS, SIM_EV_FLOW, flow);
		return;
	}
	f->opened = true;
	for (uint8_t side = 0; side <= f->simultaneous; side++) {
		c = conn_new(w, side ? f->server : f->client, flow, side);
		if (!c) {
			sim_fail(w, "simulator: more than %d connections", SIM_CONNS);
			return;
		}
		c->tuple = side ? dysco_tuple_reverse(&f->tuple) : f->tuple;
		c->state = SIM_TCP_SYN_SENT;
		if (f->after != SIM_NONE && w->flows[f->after].conn[side] != SIM_NONE) {
			/* RFC 6191: above everything the last incarnation sent. */
			c->iss = w->conns[w->flows[f->after].conn[side]].snd_max + 100000;
			c->snd_una = c->snd_nxt = c->snd_max = c->iss;
		}
		f->conn[side] = (uint8_t)(c - w->conns);
		sim_tcp_send_syn(w, c);
	}
}

static void accept_syn(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		       const struct sim_segment *s)
{
	uint8_t flow = packet->meta.flow;
	struct sim_conn *c;

	if (flow >= w->n_flows || packet->meta.side != 0) {
		return; /* the enemy's: never answered */
	}
	c = conn_new(w, node, flow, 1);
	if (!c) {
		return;
	}
	c->tuple = dysco_tuple_reverse(&s->tuple);
	c->state = SIM_TCP_SYN_RCVD;
	c->irs = s->seq;
	c->rcv_nxt = s->seq + 1;
	c->snd_wnd = s->window;
	if (w->flows[flow].conn[1] == SIM_NONE ||
	    w->conns[w->flows[flow].conn[1]].end > SIM_END_CLEAN) {
		w->flows[flow].conn[1] = (uint8_t)(c - w->conns);
	}
	sim_tcp_take_data(w, c, s);
	sim_tcp_send_syn(w, c);
}

/* ---- receiving ---- */

static void check_byte(struct sim_world *w, const struct sim_conn *c, uint32_t position,
		       uint8_t byte)
{
	const struct sim_flow *f = flow_of(w, c);

	if (position >= f->app[!c->side].total ||
	    byte != sim_pattern(c->flow, !c->side, position)) {
		sim_fail(w, "flow %u side %u: wrong byte at %u", c->flow, c->side, position);
	}
}

static bool held(struct sim_conn *c, uint32_t seq, bool set)
{
	uint64_t bit = 1ull << (seq % 64);
	uint64_t *word = &c->held[seq % HELD_BITS / 64];
	bool was = (*word & bit) != 0;

	if (set) {
		*word |= bit;
	} else {
		*word &= ~bit;
	}
	return was;
}

/* Payload and FIN, as far as the window takes them; true: it wants an acknowledgement. */
bool sim_tcp_take_data(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	uint32_t first = s->seq + ((s->flags & SIM_SYN) ? 1 : 0);
	uint32_t edge = c->rcv_nxt + c->app.buffer - c->unread;
	uint32_t before = c->rcv_nxt;

	for (uint32_t i = 0; i < s->payload_bytes; i++) {
		uint32_t seq = first + i;

		if (!after(c->rcv_nxt, seq) && after(edge, seq)) {
			check_byte(w, c, seq - c->irs - 1, s->payload[i]);
			held(c, seq, true);
		}
	}
	if (s->flags & SIM_FIN) {
		c->fin_known = true;
		c->rcv_fin = first + s->payload_bytes;
	}
	while (!c->fin_rcvd && held(c, c->rcv_nxt, false)) {
		c->rcv_nxt++;
		c->unread++;
	}
	if (c->fin_known && !c->fin_rcvd && c->rcv_nxt == c->rcv_fin) {
		c->fin_rcvd = true;
		c->rcv_nxt++;
		c->passive = !c->fin_sent;
	}
	if (&w->conns[flow_of(w, c)->conn[c->side]] == c) { /* not one that a late SYN made */
		flow_of(w, c)->delivered[!c->side] =
		    c->rcv_nxt - c->irs - 1 - (c->fin_rcvd ? 1 : 0);
	}
	if (!c->app.slow_reader || c->fin_rcvd) {
		c->unread = 0;
	} else if (c->unread && c->read_ns == UINT64_MAX) {
		c->read_ns = w->now_ns + SIM_READ_NS;
	}
	return s->payload_bytes || (s->flags & SIM_FIN) || c->rcv_nxt != before;
}

/* False: not acceptable, nothing more to do with this segment. */
static bool take_ack(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	if (!(s->flags & SIM_ACK)) {
		return false;
	}
	if (after(s->ack, c->snd_max)) {
		sim_tcp_send_ack(w, c);
		return false;
	}
	if (after(s->ack, c->snd_una)) {
		c->snd_una = s->ack;
		if (after(c->snd_una, c->snd_nxt)) {
			c->snd_nxt = c->snd_una;
		}
		c->tries = 0;
		c->rto_ns = SIM_RTO_NS;
		c->timer_ns = UINT64_MAX;
	}
	if (!after(c->snd_una, s->ack)) {
		c->snd_wnd = s->window;
	}
	return true;
}

static void reset_came(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	if (c->state == SIM_TCP_SYN_SENT) {
		if ((s->flags & SIM_ACK) && after(s->ack, c->iss) && !after(s->ack, c->snd_max)) {
			sim_tcp_end(w, c, SIM_END_REFUSED);
		}
	} else if (s->seq == c->rcv_nxt) {
		sim_tcp_end(w, c, SIM_END_RESET);
	} else if (after(s->seq, c->rcv_nxt) && after(c->rcv_nxt + c->app.buffer, s->seq)) {
		sim_tcp_send_ack(w, c); /* RFC 5961 3.2 */
	}
}

static void established(struct sim_world *w, struct sim_conn *c)
{
	c->state = SIM_TCP_OPEN;
	c->tries = 0;
	if (c->app.keepalive) {
		c->keep_ns = w->now_ns + SIM_KEEP_NS;
	}
	if (c->paused) {
		c->second_ns = w->now_ns + c->app.pause_ns;
	}
}

static void in_syn_sent(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	if ((s->flags & SIM_ACK) && (!after(s->ack, c->iss) || after(s->ack, c->snd_max))) {
		struct sim_segment reset = {.tuple = c->tuple, .seq = s->ack, .flags = SIM_RST};

		sim_tcp_emit(w, c, &reset);
		return;
	}
	if (!(s->flags & SIM_SYN)) {
		return;
	}
	c->irs = s->seq;
	c->rcv_nxt = s->seq + 1;
	c->snd_wnd = s->window;
	if (!(s->flags & SIM_ACK)) {
		c->state = SIM_TCP_SYN_RCVD; /* simultaneous open */
		sim_tcp_take_data(w, c, s);
		sim_tcp_send_syn(w, c);
		return;
	}
	c->snd_una = c->snd_nxt = s->ack;
	c->timer_ns = UINT64_MAX;
	c->rto_ns = SIM_RTO_NS;
	established(w, c);
	sim_tcp_take_data(w, c, s);
	sim_tcp_send_ack(w, c);
	sim_tcp_output(w, c);
}

static void maybe_over(struct sim_world *w, struct sim_conn *c)
{
	if (c->end == SIM_END_NONE && c->fin_rcvd && c->fin_sent && c->snd_una == c->snd_max) {
		c->state = c->passive ? SIM_TCP_CLOSED : SIM_TCP_TIME_WAIT;
		sim_tcp_end(w, c, SIM_END_CLEAN);
	}
}

static void in_syn_rcvd(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	if (!(s->flags & SIM_ACK)) {
		if ((s->flags & SIM_SYN) && s->seq == c->irs) {
			sim_tcp_send_syn(w, c);
		}
		return;
	}
	if (!after(s->ack, c->iss) || after(s->ack, c->snd_max)) {
		struct sim_segment reset = {.tuple = c->tuple, .seq = s->ack, .flags = SIM_RST};

		sim_tcp_emit(w, c, &reset);
		return;
	}
	c->snd_nxt = s->ack;
	established(w, c);
}

static void in_open(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	bool answer;

	if (s->flags & SIM_SYN) {
		sim_tcp_send_ack(w, c); /* RFC 5961 4.2 */
		return;
	}
	if (!take_ack(w, c, s)) {
		return;
	}
	answer = sim_tcp_take_data(w, c, s) || after(c->rcv_nxt, s->seq);
	if (c->app.abort_after && flow_of(w, c)->delivered[!c->side] >= c->app.abort_after) {
		struct sim_segment reset = {.tuple = c->tuple,
					    .seq = c->snd_max,
					    .ack = c->rcv_nxt,
					    .flags = SIM_RST | SIM_ACK};

		sim_tcp_emit(w, c, &reset);
		sim_tcp_end(w, c, SIM_END_ABORTED);
		return;
	}
	if (answer) {
		sim_tcp_send_ack(w, c);
	}
	sim_tcp_output(w, c);
	maybe_over(w, c);
}

static void segment_came(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	if (c->app.keepalive && c->end == SIM_END_NONE && c->state != SIM_TCP_SYN_SENT) {
		c->keep_ns = w->now_ns + SIM_KEEP_NS;
		c->keeps = 0;
	}
	if (s->flags & SIM_RST) {
		reset_came(w, c, s);
	} else if (c->state == SIM_TCP_SYN_SENT) {
		in_syn_sent(w, c, s);
	} else if (c->state == SIM_TCP_TIME_WAIT) {
		if (s->payload_bytes || (s->flags & SIM_FIN) || after(c->rcv_nxt, s->seq)) {
			sim_tcp_send_ack(w, c);
			c->timer_ns = w->now_ns + SIM_TIME_WAIT_NS;
		}
	} else {
		if (c->state == SIM_TCP_SYN_RCVD) {
			in_syn_rcvd(w, c, s);
		}
		if (c->state == SIM_TCP_OPEN) {
			in_open(w, c, s);
		}
	}
}

/* The connection a segment belongs to; a SYN may replace one in TIME_WAIT (RFC 9293 3.10.7.4). */
static struct sim_conn *conn_of(struct sim_world *w, uint8_t node, const struct sim_segment *s)
{
	struct dysco_tuple tuple = dysco_tuple_reverse(&s->tuple);

	for (uint8_t i = w->n_conns; i-- > 0;) {
		struct sim_conn *c = &w->conns[i];

		if (c->node != node || c->state == SIM_TCP_CLOSED ||
		    !dysco_tuple_equal(&c->tuple, &tuple)) {
			continue;
		}
		if (c->state == SIM_TCP_TIME_WAIT && (s->flags & (SIM_SYN | SIM_ACK)) == SIM_SYN &&
		    after(s->seq, c->rcv_nxt)) {
			c->state = SIM_TCP_CLOSED;
			c->timer_ns = UINT64_MAX;
			return NULL;
		}
		return c;
	}
	return NULL;
}

bool sim_tcp_knows(const struct sim_world *w, uint8_t node, const struct dysco_tuple *tuple)
{
	struct dysco_tuple own = dysco_tuple_reverse(tuple);

	for (uint8_t i = 0; i < w->n_conns; i++) {
		if (w->conns[i].node == node && w->conns[i].state != SIM_TCP_CLOSED &&
		    dysco_tuple_equal(&w->conns[i].tuple, &own)) {
			return true;
		}
	}
	return false;
}

void sim_tcp_receive(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;
	struct sim_conn *c;

	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_packet_free(w, packet);
		return;
	}
	c = conn_of(w, node, &s);
	if (c) {
		segment_came(w, c, &s);
		sim_tcp_schedule(w, c);
	} else if ((s.flags & (SIM_SYN | SIM_ACK | SIM_RST)) == SIM_SYN &&
		   dysco_addr_equal(&s.tuple.dst, &w->nodes[node].addr) &&
		   DYSCO_HOST16(s.tuple.dport_be) < 10000 && w->nodes[node].listen != SIM_REFUSE) {
		if (w->nodes[node].listen == SIM_ACCEPT) {
			accept_syn(w, node, packet, &s);
		}
	} else {
		bool known = packet->meta.origin == SIM_BY_ENDPOINT &&
			     dysco_tuple_equal(&packet->meta.view, &s.tuple);

		sim_stack_refuse(w, node, packet, known ? SIM_BY_ENDPOINT : SIM_BY_STACK);
	}
	sim_packet_free(w, packet);
}

/* ---- timers ---- */

static void retransmission_due(struct sim_world *w, struct sim_conn *c)
{
	c->timer_ns = UINT64_MAX;
	if (c->state == SIM_TCP_TIME_WAIT) {
		c->state = SIM_TCP_CLOSED;
		return;
	}
	if (++c->tries > SIM_TRIES) {
		sim_tcp_end(w, c, SIM_END_TIMEOUT);
		return;
	}
	w->outcomes[SIM_N_RETRANSMITTED]++;
	c->rto_ns = c->rto_ns < SIM_RTO_MAX_NS / 2 ? 2 * c->rto_ns : SIM_RTO_MAX_NS;
	if (c->state == SIM_TCP_OPEN) {
		c->snd_nxt = c->snd_una;
		c->probing = c->snd_wnd == 0;
		sim_tcp_output(w, c);
		c->probing = false;
	} else {
		sim_tcp_send_syn(w, c);
	}
}

static void keepalive_due(struct sim_world *w, struct sim_conn *c)
{
	c->keep_ns = w->now_ns + SIM_KEEP_NS;
	if (++c->keeps > KEEP_TRIES) {
		sim_tcp_end(w, c, SIM_END_TIMEOUT);
	} else {
		sim_tcp_send_probe(w, c);
	}
}

/* The application's pause is over. */
static void write_more(const struct sim_world *w, struct sim_conn *c)
{
	struct sim_app *app = &c->app;

	app->burst = app->step && app->step < app->total - app->burst ? app->burst + app->step
								      : app->total;
	c->paused = app->burst < app->total;
	if (c->paused) {
		c->second_ns = w->now_ns + app->pause_ns;
	}
}

void sim_tcp_timer(struct sim_world *w, uint8_t conn)
{
	struct sim_conn *c = &w->conns[conn];

	if (w->now_ns < c->wake_ns) {
		return;
	}
	c->wake_ns = UINT64_MAX;
	if (c->timer_ns <= w->now_ns) {
		retransmission_due(w, c);
	}
	if (c->second_ns <= w->now_ns) {
		c->second_ns = UINT64_MAX;
		write_more(w, c);
		sim_tcp_output(w, c);
	}
	if (c->read_ns <= w->now_ns) {
		c->read_ns = UINT64_MAX;
		c->unread = 0;
		sim_tcp_send_ack(w, c);
	}
	if (c->keep_ns <= w->now_ns) {
		keepalive_due(w, c);
	}
	maybe_over(w, c);
	sim_tcp_schedule(w, c);
}
