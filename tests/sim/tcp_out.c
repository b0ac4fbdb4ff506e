// SPDX-License-Identifier: BSD-2-Clause
/* The sending half of the model TCP: see tcp.c. */
#include "tests/sim/tcp.h"

#include <string.h>

enum { OPTIONS_MAX = 40, UNITS_FLYING = 30 };

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void sim_tcp_emit(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s)
{
	struct sim_packet *packet = sim_packet_new(w);

	if (!packet) {
		return;
	}
	packet->meta.origin = SIM_BY_ENDPOINT;
	packet->meta.flow = c->flow;
	packet->meta.side = c->side;
	packet->bytes = (uint16_t)sim_segment_write(packet->data, s);
	sim_emit(w, c->node, packet);
}

uint32_t sim_tcp_clock(const struct sim_world *w, const struct sim_conn *c)
{
	return c->ts_base + (uint32_t)(w->now_ns / SIM_MS);
}

static uint16_t window_of(const struct sim_conn *c, uint8_t flags)
{
	uint32_t window = c->app.buffer - min32(c->unread, c->app.buffer);

	if (c->scaled && !(flags & SIM_SYN)) {
		window >>= c->app.wscale;
	}
	return (uint16_t)min32(window, UINT16_MAX);
}

/* What the peer may now believe of our window. */
static void note_sent(struct sim_conn *c, uint16_t window, uint8_t flags)
{
	uint8_t shift = c->scaled && !(flags & SIM_SYN) ? c->app.wscale : 0;
	uint32_t edge = c->rcv_nxt + ((uint32_t)window << shift);

	c->delack_ns = UINT64_MAX;
	if ((int32_t)(edge - c->granted) > 0) {
		c->granted = edge;
	}
}

/* No-operations stand for the options that a stack would send: only their room counts. */
static void send(struct sim_world *w, struct sim_conn *c, uint8_t flags, uint32_t seq,
		 uint32_t payload_bytes)
{
	uint8_t options[OPTIONS_MAX], payload[SIM_PACKET_BYTES];
	uint32_t position = seq + ((flags & SIM_SYN) ? 1 : 0) - c->iss - 1;
	struct sim_segment s = {
	    .tuple = c->tuple,
	    .seq = seq,
	    .ack = (flags & SIM_ACK) ? c->rcv_nxt : 0,
	    .flags = flags,
	    .window = window_of(c, flags),
	    .options = options,
	    .options_bytes = (flags & SIM_SYN) ? c->app.syn_options : c->app.options,
	    .payload = payload,
	    .payload_bytes = (uint16_t)payload_bytes,
	};

	c->ts_acked = c->rcv_nxt;
	if (c->app.real) {
		s.options_bytes = sim_options_put(w, options, c, flags);
		note_sent(c, s.window, flags);
	} else {
		memset(options, 1, sizeof(options));
	}
	for (uint32_t i = 0; i < payload_bytes; i++) {
		payload[i] = sim_pattern(c->flow, c->side, position + i);
	}
	sim_tcp_emit(w, c, &s);
}

static void arm(struct sim_world *w, struct sim_conn *c)
{
	if (c->timer_ns == UINT64_MAX) {
		c->timer_ns = w->now_ns + c->rto_ns;
	}
}

void sim_tcp_schedule(struct sim_world *w, struct sim_conn *c)
{
	uint64_t next = c->timer_ns;

	next = c->second_ns < next ? c->second_ns : next;
	next = c->read_ns < next ? c->read_ns : next;
	next = c->keep_ns < next ? c->keep_ns : next;
	next = c->delack_ns < next ? c->delack_ns : next;
	if (next < c->wake_ns) {
		c->wake_ns = next;
		sim_at(w, next, SIM_EV_CONN, (uint16_t)(c - w->conns));
	}
}

void sim_tcp_send_syn(struct sim_world *w, struct sim_conn *c)
{
	bool data = c->app.fast_open && c->state == SIM_TCP_SYN_SENT;
	uint32_t bytes = data ? min32(c->app.mss, c->app.burst) : 0;
	uint8_t flags = c->state == SIM_TCP_SYN_SENT ? SIM_SYN : SIM_SYN | SIM_ACK;

	c->snd_nxt = c->iss + 1 + bytes;
	if ((int32_t)(c->snd_nxt - c->snd_max) > 0) {
		c->snd_max = c->snd_nxt;
	}
	send(w, c, flags, c->iss, bytes);
	arm(w, c);
	sim_tcp_schedule(w, c);
}

void sim_tcp_send_ack(struct sim_world *w, struct sim_conn *c)
{
	send(w, c, SIM_ACK, c->snd_nxt, 0);
}

void sim_tcp_send_probe(struct sim_world *w, struct sim_conn *c)
{
	send(w, c, SIM_ACK, c->snd_una - 1, 0);
}

/* Bytes that were sent from this number on, without the FIN. */
static uint32_t sent_after(const struct sim_conn *c, uint32_t seq)
{
	uint32_t bytes = c->snd_max - c->iss - 1, at = seq - c->iss - 1;

	bytes = min32(bytes, c->app.total);
	return bytes > at ? bytes - at : 0;
}

static bool wants_fin(const struct sim_conn *c)
{
	return !c->paused && (!c->app.close_after_peer || c->fin_rcvd);
}

/* One segment; false: nothing more may go out now. */
static bool output_one(struct sim_world *w, struct sim_conn *c)
{
	uint32_t sent = c->snd_nxt - c->iss - 1;
	uint32_t limit = c->paused ? c->app.burst : c->app.total;
	uint32_t flying = c->snd_nxt - c->snd_una;
	uint32_t most = c->app.real ? min32(c->snd_wnd, UNITS_FLYING * c->app.unit) : c->snd_wnd;
	uint32_t window = most > flying ? most - flying : 0;
	uint32_t bytes;
	bool fin;

	if (sent > c->app.total) {
		return false; /* the FIN is out */
	}
	if (c->probing && window == 0) {
		window = 1;
	}
	bytes = min32(min32(limit - sent, window), c->app.unit);
	bytes = sim_range_next(c->sacked, c->n_sacked, c->snd_nxt, c->snd_nxt + bytes) - c->snd_nxt;
	fin = wants_fin(c) && sent + bytes == c->app.total && bytes < window;
	if (bytes == 0 && !fin) {
		return false;
	}
	send(w, c, (uint8_t)(SIM_ACK | (bytes ? SIM_PSH : 0) | (fin ? SIM_FIN : 0)), c->snd_nxt,
	     bytes);
	c->snd_nxt += bytes + (fin ? 1 : 0);
	c->fin_sent = c->fin_sent || fin;
	if ((int32_t)(c->snd_nxt - c->snd_max) > 0) {
		c->snd_max = c->snd_nxt;
	}
	return !c->probing;
}

void sim_tcp_resend(struct sim_world *w, struct sim_conn *c)
{
	uint32_t nxt = c->snd_nxt, limit = c->snd_una + c->app.unit;

	/* A FIN alone is left to the timer. */
	if (!sent_after(c, c->snd_una)) {
		return;
	}
	w->outcomes[SIM_N_FAST_RETRANSMIT]++;
	limit = sim_range_next(c->sacked, c->n_sacked, c->snd_una, limit);
	send(w, c, SIM_ACK, c->snd_una, min32(limit - c->snd_una, sent_after(c, c->snd_una)));
	c->snd_nxt = nxt;
}

void sim_tcp_output(struct sim_world *w, struct sim_conn *c)
{
	bool waits;

	if (c->state != SIM_TCP_OPEN) {
		return;
	}
	do {
		/* What the peer has already is not sent again. */
		c->snd_nxt = sim_range_end(c->sacked, c->n_sacked, c->snd_nxt);
	} while (!w->failed && output_one(w, c));
	waits = c->snd_nxt - c->iss - 1 < (c->paused ? c->app.burst : c->app.total) ||
		(wants_fin(c) && !c->fin_sent);
	if (c->snd_una != c->snd_nxt || waits) {
		arm(w, c);
	}
	sim_tcp_schedule(w, c);
}
