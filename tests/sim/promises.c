// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an endpoint is told of the other one is held against the truth: both are
 * in the same world, so nobody can promise what the peer did not.
 */
#include "tests/sim/tcp.h"

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The connection at the other end, NULL: none, or not the one it talks to. */
static const struct sim_conn *peer_of(struct sim_world *w, const struct sim_conn *c)
{
	uint8_t conn = w->flows[c->flow].conn[!c->side];
	const struct sim_conn *peer = conn == SIM_NONE ? NULL : &w->conns[conn];

	return peer && &w->conns[w->flows[c->flow].conn[c->side]] == c ? peer : NULL;
}

static bool peer_has(const struct sim_conn *peer, uint32_t begin, uint32_t end)
{
	return !after(end, peer->rcv_nxt) ||
	       !after(end, sim_range_end(peer->held, peer->n_held,
					 after(peer->rcv_nxt, begin) ? peer->rcv_nxt : begin));
}

/* Nothing is acknowledged that the peer does not have, no room shown that it has not. */
void sim_tcp_check_promises(struct sim_world *w, const struct sim_conn *c,
			    const struct sim_segment *s, const struct sim_options *o)
{
	const struct sim_conn *peer = peer_of(w, c);
	uint32_t edge = s->ack + ((uint32_t)s->window << c->peer_wscale);
	uint32_t shift = peer ? peer->irs - c->iss : 0; /* from our numbers to its */

	if (!peer || peer->state == SIM_TCP_SYN_SENT) {
		return;
	}
	if (after(s->ack + shift, peer->rcv_nxt)) {
		sim_fail(w, "flow %u side %u: %u bytes acknowledged that did not arrive", c->flow,
			 c->side, s->ack + shift - peer->rcv_nxt);
	}
	/*
	 * L's ACK with its window, late, has one that was counted from another number: it lies
	 * below what is expected, and so tells the endpoint nothing.
	 */
	if (after(edge + shift, peer->granted) && !(w->from_agent && after(c->rcv_nxt, s->seq))) {
		sim_fail(w, "flow %u side %u: right edge %u beyond what was granted", c->flow,
			 c->side, edge + shift - peer->granted);
	}
	for (uint8_t i = 0; i < o->n_sack; i++) {
		if (!after(o->sack[i].end, o->sack[i].begin) ||
		    !peer_has(peer, o->sack[i].begin + shift, o->sack[i].end + shift)) {
			sim_fail(w, "flow %u side %u: SACK %u-%u of what did not arrive", c->flow,
				 c->side, o->sack[i].begin, o->sack[i].end);
		}
	}
	if (o->has_ts && (int32_t)(sim_tcp_clock(w, c) - o->tsecr) < 0) {
		sim_fail(w, "flow %u side %u: TSecr from the future", c->flow, c->side);
	}
	if (c->ts_on && (!o->has_ts || (int32_t)(sim_tcp_clock(w, peer) - o->tsval) < 0)) {
		sim_fail(w, "flow %u side %u: TSval that the peer has not reached", c->flow,
			 c->side);
	}
}
