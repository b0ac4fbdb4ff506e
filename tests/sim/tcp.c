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

enum { KEEP_TRIES = 9 };

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
	c->timer_ns = c->second_ns = c->read_ns = c->keep_ns = c->delack_ns = UINT64_MAX;
	if (end == SIM_END_CLEAN && c->state == SIM_TCP_TIME_WAIT) {
		c->timer_ns = w->now_ns + SIM_TIME_WAIT_NS;
	}
}

/* ---- making connections ---- */

/* Numbers near the wrap, where mistakes with them show. */
static void begin_real(struct sim_world *w, struct sim_conn *c)
{
	if (sim_chance(w, 400)) {
		c->iss = 0u - sim_random(w, c->app.total + 1000);
		sim_has(w, SIM_HAS_WRAP);
	}
	c->ts_base = sim_chance(w, 400) ? 0u - sim_random(w, 6000) : sim_random(w, UINT32_MAX);
}

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
	if (c->app.real) {
		begin_real(w, c);
	}
	c->snd_una = c->snd_nxt = c->iss;
	c->snd_max = c->recover = c->iss;
	c->rto_ns = SIM_RTO_NS;
	c->timer_ns = c->second_ns = c->read_ns = c->keep_ns = c->wake_ns = UINT64_MAX;
	c->delack_ns = UINT64_MAX;
	return c;
}

/* What both sides offer is in force (RFC 7323 2.2, 3.2, RFC 2018 2). */
static void take_offer(struct sim_conn *c, const struct sim_segment *s)
{
	struct sim_options o;

	if (!c->app.real) {
		return;
	}
	sim_options_read(&o, s);
	c->scaled = c->app.real_wscale && o.has_wscale;
	c->peer_wscale = c->scaled ? o.wscale : 0;
	c->sack_on = c->app.sack && o.sack_ok;
	c->ts_on = c->app.timestamps && o.has_ts;
	c->ts_recent = o.tsval;
	c->granted = c->ts_acked = c->rcv_nxt;
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
			c->snd_una = c->snd_nxt = c->snd_max = c->recover = c->iss;
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

/* Payload and FIN, as far as the window takes them; true: it wants an acknowledgement. */
bool sim_tcp_take_data(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	uint32_t first = s->seq + ((s->flags & SIM_SYN) ? 1 : 0);
	uint32_t edge = c->rcv_nxt + c->app.buffer - c->unread;
	uint32_t before = c->rcv_nxt;

	uint32_t begin = after(c->rcv_nxt, first) ? c->rcv_nxt : first;
	uint32_t end = after(first + s->payload_bytes, edge) ? edge : first + s->payload_bytes;

	for (uint32_t seq = begin; after(end, seq); seq++) {
		check_byte(w, c, seq - c->irs - 1, s->payload[seq - first]);
	}
	if (after(end, begin)) {
		sim_range_add(c->held, &c->n_held, SIM_HELD, begin, end);
	}
	if (s->flags & SIM_FIN) {
		c->fin_known = true;
		c->rcv_fin = first + s->payload_bytes;
	}
	if (!c->fin_rcvd) {
		c->rcv_nxt = sim_range_end(c->held, c->n_held, c->rcv_nxt);
		c->unread += c->rcv_nxt - before;
		sim_range_drop(c->held, &c->n_held, c->rcv_nxt);
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

/* Selective acknowledgements, and duplicate ones (RFC 5681 3.2, RFC 6582). */
static void take_sacks(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	bool again = s->ack == c->snd_una && after(c->snd_max, c->snd_una) && !s->payload_bytes &&
		     s->window && !(s->flags & (SIM_SYN | SIM_FIN));
	struct sim_options o;

	sim_options_read(&o, s);
	sim_tcp_check_promises(w, c, s, &o);
	for (uint8_t i = 0; i < o.n_sack && c->sack_on; i++) {
		if (after(o.sack[i].begin, s->ack) && after(o.sack[i].end, c->snd_una)) {
			sim_range_add(c->sacked, &c->n_sacked, SIM_HELD, o.sack[i].begin,
				      o.sack[i].end);
		}
	}
	if (after(s->ack, c->snd_una)) {
		c->dup_acks = 0;
	} else if (again && ++c->dup_acks == 3 && !after(c->recover, c->snd_una)) {
		c->recover = c->snd_max;
		sim_tcp_resend(w, c);
	}
}

/* False: too old by its timestamp, or without one (RFC 7323 5.3, 3.2). */
static bool passes_paws(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	struct sim_options o;

	if (!c->ts_on || (s->flags & SIM_RST)) {
		return true;
	}
	sim_options_read(&o, s);
	if (!o.has_ts) {
		return false;
	}
	if (after(c->ts_recent, o.tsval)) {
		w->outcomes[SIM_N_PAWS]++;
		sim_tcp_send_ack(w, c);
		return false;
	}
	if (!after(s->seq, c->ts_acked)) {
		c->ts_recent = o.tsval;
	}
	return true;
}

/* False: not acceptable, nothing more to do with this segment. */
static bool take_ack(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	bool partial = c->app.real && after(s->ack, c->snd_una) && after(c->recover, s->ack);

	if (!(s->flags & SIM_ACK)) {
		return false;
	}
	if (after(s->ack, c->snd_max)) {
		sim_tcp_send_ack(w, c);
		return false;
	}
	if (c->app.real) {
		take_sacks(w, c, s);
	}
	if (after(s->ack, c->snd_una)) {
		c->snd_una = s->ack;
		if (after(c->snd_una, c->snd_nxt)) {
			c->snd_nxt = c->snd_una;
		}
		c->tries = 0;
		c->rto_ns = SIM_RTO_NS;
		c->timer_ns = UINT64_MAX;
		if (c->app.real) {
			sim_range_drop(c->sacked, &c->n_sacked, c->snd_una);
		}
	}
	if (!after(c->snd_una, s->ack)) {
		c->snd_wnd = (uint32_t)s->window << c->peer_wscale;
	}
	if (partial) {
		sim_tcp_resend(w, c); /* the next hole */
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
	take_offer(c, s);
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
	c->snd_una = c->snd_nxt = s->ack; /* also where it is a SYN-ACK's, of a simultaneous open */
	c->timer_ns = UINT64_MAX;
	c->tries = 0;
	c->rto_ns = SIM_RTO_NS;
	established(w, c);
}

/*
 * In the window, or not altogether below what was acknowledged (RFC 9293 3.10.7.4, as Linux
 * does it); a FIN, and a probe of a window that is shut, may lie just above it.
 */
static bool is_acceptable(const struct sim_conn *c, const struct sim_segment *s)
{
	return !after(c->ts_acked, sim_segment_end(s)) &&
	       !after(s->seq, c->rcv_nxt + c->app.buffer + 1);
}

static void in_open(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	bool answer, in_order;

	if (s->flags & SIM_SYN) {
		sim_tcp_send_ack(w, c); /* RFC 5961 4.2 */
		return;
	}
	if (!passes_paws(w, c, s)) {
		return;
	}
	if (!is_acceptable(c, s)) {
		sim_tcp_send_ack(w, c);
		return;
	}
	if (!take_ack(w, c, s)) {
		return;
	}
	in_order = c->n_held == 0 && s->seq == c->rcv_nxt && !(s->flags & SIM_FIN);
	if (c->sack_on && s->payload_bytes && !after(sim_segment_end(s), c->rcv_nxt)) {
		c->repeated = (struct sim_range){s->seq, s->seq + s->payload_bytes};
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
	if (answer && in_order && c->app.delays_acks && c->delack_ns == UINT64_MAX) {
		c->delack_ns = w->now_ns + SIM_DELACK_NS;
	} else if (answer) {
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
	w->from_agent = packet->meta.origin == SIM_BY_AGENT;
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
		c->n_sacked = 0; /* RFC 2018 8: the peer may have dropped it */
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

	app->burst =
	    app->step && app->step < app->total - app->burst ? app->burst + app->step : app->total;
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
	if (c->delack_ns <= w->now_ns) {
		sim_tcp_send_ack(w, c);
	}
	maybe_over(w, c);
	sim_tcp_schedule(w, c);
}
