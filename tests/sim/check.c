// SPDX-License-Identifier: BSD-2-Clause
/*
 * The properties (docs/simulator.md lists them): what a packet must look like
 * where it is, how connections must end, what must be left at the end.
 */
#include "tests/sim/world.h"

#include <string.h>

/* Every byte tells where in which stream it belongs. */
uint8_t sim_pattern(uint8_t flow, uint8_t side, uint32_t position)
{
	uint32_t x = position + 7919u * flow + 104729u * side;

	return (uint8_t)(x * 2654435761u >> 24);
}

static bool is_syn(const struct sim_segment *s)
{
	return (s->flags & (SIM_SYN | SIM_ACK)) == SIM_SYN;
}

static bool flow_of(const struct sim_world *w, const struct sim_meta *meta)
{
	return meta->flow < w->n_flows;
}

/* ---- on the wire ---- */

/* A session's own five-tuple may travel only where no chain is: not chained, bypassed, beyond an
 * exit. */
static bool may_be_bare(const struct sim_world *w, uint8_t from, const struct sim_meta *meta)
{
	const struct sim_flow *flow = &w->flows[meta->flow];
	const struct sim_node *node = &w->nodes[from];

	if (!flow->chained || flow->open) {
		return true;
	}
	return flow->exits && (node->way_back != SIM_NONE || node->host == SIM_NONE ||
			       (node->kind == SIM_BOX && meta->n_visits == flow->n_hops));
}

void sim_check_wire(struct sim_world *w, uint8_t from, const struct sim_packet *packet)
{
	const struct sim_meta *meta = &packet->meta;
	const char *wrong = sim_segment_wrong(packet->data, packet->bytes);
	struct sim_segment s;
	char text[96];

	if (wrong || !sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_fail(w, "wire from %u: %s", from, wrong ? wrong : "headers");
		return;
	}
	/* A translator that a new path's SYN has just reached has no legs on its far side yet. */
	if (meta->origin == SIM_BY_AGENT && meta->view_bytes &&
	    !(w->moving && w->nodes[from].box >= SIM_BOX_NAT &&
	      w->nodes[from].box <= SIM_BOX_PORT_NAT) &&
	    dysco_tuple_equal(&s.tuple, &meta->view)) {
		sim_fail(w, "wire from %u: an agent's RST left a box bare", from);
	}
	if (meta->origin == SIM_BY_ENEMY || meta->origin == SIM_BY_AGENT) {
		return;
	}
	if ((s.flags & SIM_RST) && flow_of(w, meta)) {
		w->flows[meta->flow].reset_sent = true;
	}
	if (sim_segment_has_exid(&s, DYSCO_EXID_TAG)) {
		sim_fail(w, "wire from %u: a tag left its host", from);
	}
	if (!is_syn(&s) &&
	    (packet->bytes > meta->view_bytes || sim_segment_has_exid(&s, DYSCO_EXID_MARK))) {
		sim_fail(w, "wire from %u: %u bytes of %u, or marked", from, packet->bytes,
			 meta->view_bytes);
	}
	if (meta->origin != SIM_BY_STACK && flow_of(w, meta) && !w->strays &&
	    dysco_tuple_equal(&s.tuple, &meta->view) && !may_be_bare(w, from, meta) &&
	    (s.payload_bytes || is_syn(&s) || !w->flows[meta->flow].disturbed)) {
		sim_fail(w, "wire from %u: flow %u travels without its chain: %s", from, meta->flow,
			 sim_tuple_text(&s.tuple, text));
	}
}

/* ---- at a box or an endpoint ---- */

/* The hop that must come n-th on the way of this side. */
static uint32_t hop_set(const struct sim_flow *flow, uint8_t side, uint8_t n)
{
	return flow->hops[side == 0 ? n : flow->n_hops - 1 - n];
}

/* Rightward: from where it was last to where it is now. */
static bool may_go(const struct sim_world *w, uint8_t node, const struct sim_meta *meta)
{
	const struct sim_flow *flow = &w->flows[meta->flow];
	uint8_t before = meta->n_visits ? meta->visits[meta->n_visits - 1]
					: (meta->side ? flow->server : flow->client);

	return meta->side ? sim_way_has(w, meta->flow, node, before, meta->born_ns)
			  : sim_way_has(w, meta->flow, before, node, meta->born_ns);
}

static void check_step(struct sim_world *w, uint8_t node, const struct sim_meta *meta)
{
	if (!may_go(w, node, meta)) {
		sim_fail(w, "node %u: packet of flow %u (side %u) is not on a path of its chain",
			 node, meta->flow, meta->side);
	}
}

/* Numbers, windows and sizes are others on another path, behind a removed translator the ports. */
static void check_moved(struct sim_world *w, uint8_t node, const struct sim_meta *meta,
			const struct sim_segment *s)
{
	struct dysco_tuple back = dysco_tuple_reverse(&s->tuple);
	uint8_t to = w->flows[meta->flow].conn[!meta->side];
	char text[96];

	if (meta->origin != SIM_BY_ENDPOINT || w->flows[meta->flow].disturbed) {
		return;
	}
	check_step(w, node, meta);
	if (w->nodes[node].kind != SIM_BOX && to != SIM_NONE &&
	    !dysco_tuple_equal(&w->conns[to].tuple, &back)) {
		sim_fail(w, "node %u: flow %u comes as %s", node, meta->flow,
			 sim_tuple_text(&s->tuple, text));
	}
}

static void check_next_box(struct sim_world *w, uint8_t node, const struct sim_meta *meta)
{
	const struct sim_flow *flow = &w->flows[meta->flow];
	uint8_t side = meta->side;

	if (!flow->chained) {
		sim_fail(w, "box %u: flow %u has no chain", node, meta->flow);
	} else if (meta->n_visits >= flow->n_hops ||
		   !(hop_set(flow, side, meta->n_visits) & 1u << (node - w->first_box))) {
		sim_fail(w, "box %u: not box %u of flow %u's way (side %u)", node, meta->n_visits,
			 meta->flow, side);
	}
}

static bool conn_over(const struct sim_world *w, uint8_t conn)
{
	return conn == SIM_NONE || w->conns[conn].end != SIM_END_NONE;
}

/*
 * All packets of a connection pass the same boxes, on the way back in reversed
 * order; a SYN sent again after a refusal may choose anew.
 */
static void check_path(struct sim_world *w, uint8_t node, const struct sim_meta *meta, bool syn)
{
	struct sim_flow *flow = &w->flows[meta->flow];
	uint8_t side = meta->side, n = meta->n_visits;
	uint8_t inwards[SIM_VISITS];

	if (n == 0 && (flow->open || !flow->chained)) {
		return;
	}
	if (syn && conn_over(w, flow->conn[0]) && conn_over(w, flow->conn[1])) {
		return; /* a box held a copy of it until no agent knew that it was owed */
	}
	if (n != flow->n_hops || !flow->chained) {
		sim_fail(w, "node %u: packet of flow %u passed %u of %u boxes", node, meta->flow, n,
			 flow->n_hops);
		return;
	}
	for (uint8_t i = 0; i < n; i++) {
		inwards[i] = meta->visits[side == 0 ? i : n - 1 - i];
	}
	if (!flow->path_known || syn) {
		flow->path_known = true;
		memcpy(flow->path, inwards, n);
	} else if (memcmp(flow->path, inwards, n) != 0 && !flow->open && !flow->disturbed) {
		sim_fail(w, "node %u: flow %u changes its way", node, meta->flow);
	}
}

/* Byte for byte as the last endpoint or box let it out; a SYN inside a box may bear a tag more. */
static void check_view(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		       const struct sim_segment *s)
{
	bool box = w->nodes[node].kind == SIM_BOX;
	bool tagged = sim_segment_has_exid(s, DYSCO_EXID_TAG);
	uint32_t magic_be = 0;

	if (tagged && !(box && is_syn(s))) {
		sim_fail(w, "node %u: tag outside of a box's SYN", node);
	}
	if (sim_segment_has_exid(s, DYSCO_EXID_MARK)) {
		sim_fail(w, "node %u: mark in what is delivered", node);
	}
	if (s->payload_bytes >= sizeof(magic_be)) {
		memcpy(&magic_be, s->payload, sizeof(magic_be));
	}
	if (is_syn(s) && magic_be == DYSCO_BE32(DYSCO_MAGIC)) {
		sim_fail(w, "node %u: Dysco message delivered", node);
	}
	if (packet->bytes > packet->meta.view_bytes + (tagged ? DYSCO_OPT_TAG_LEN : 0u)) {
		sim_fail(w, "node %u: packet grew from %u to %u bytes", node,
			 packet->meta.view_bytes, packet->bytes);
	}
	if (!is_syn(s) && sim_segment_hash(packet->data, packet->bytes) != packet->meta.view_hash) {
		sim_fail(w, "node %u: packet of flow %u is not what was sent", node,
			 packet->meta.flow);
	}
}

static bool uses(const struct sim_flow *flow, const struct dysco_tuple *tuple)
{
	struct dysco_tuple reverse = dysco_tuple_reverse(tuple);

	return dysco_tuple_equal(&flow->tuple, tuple) || dysco_tuple_equal(&flow->tuple, &reverse);
}

/*
 * An agent that nobody asked for a RST sends its host one where another has gone
 * by, which the host may have refused (RFC 5961 3.2), and where legs go idle: of
 * a chain given up, or beyond where a RST was lost. Behind a translator the
 * session has another five-tuple: then any session will do.
 */
static bool reset_has_cause(const struct sim_world *w, const struct dysco_tuple *tuple)
{
	bool found = false, cause = false, any = false;

	for (uint8_t i = 0; i < w->n_flows; i++) {
		const struct sim_flow *flow = &w->flows[i];
		bool may = flow->reset_sent || flow->open || flow->disturbed;

		any = any || may;
		if (uses(flow, tuple)) {
			found = true;
			cause = cause || may;
		}
	}
	return found ? cause : any;
}

/* What an agent makes for a host is a RST of a session, no more, and not of a living one. */
static void check_agents_own(struct sim_world *w, uint8_t node, const struct sim_segment *s)
{
	if (!(s->flags & SIM_RST) || s->payload_bytes) {
		sim_fail(w, "node %u: an agent's own packet, flags %02x, %u bytes", node, s->flags,
			 s->payload_bytes);
	} else if (!w->agents_reset &&
		   (sim_tcp_knows(w, node, &s->tuple) || !reset_has_cause(w, &s->tuple))) {
		sim_fail(w, "node %u: RST made by an agent without cause", node);
	}
}

static bool uses_none(const struct sim_world *w, const struct dysco_tuple *tuple)
{
	for (uint8_t i = 0; i < w->n_conns; i++) {
		struct dysco_tuple back = dysco_tuple_reverse(&w->conns[i].tuple);

		if (dysco_tuple_equal(&back, tuple)) {
			return false;
		}
	}
	return true;
}

/*
 * A box of a new path sees the handshake that the anchors' agents make, one of
 * an old path the RST that ends it; an end sees acknowledgements of what it
 * sent before the cut. What a box that was never told says to an anchor much
 * later may reach a stack, which does not know it; a late copy of the SYN-ACK of a
 * path that is in use gets a challenge ACK (RFC 5961 4.2).
 */
static void check_reconfigurer(struct sim_world *w, uint8_t node, const struct sim_segment *s)
{
	bool late_syn_ack = s->flags == (SIM_SYN | SIM_ACK) && sim_tcp_knows(w, node, &s->tuple);

	if (uses_none(w, &s->tuple)) {
		return; /* a message for legs that are gone, with the wire's header: a stray */
	}
	if (s->payload_bytes) {
		sim_fail(w, "node %u: an agent's own packet has %u bytes", node, s->payload_bytes);
	} else if (w->nodes[node].kind != SIM_BOX && (s->flags & ~SIM_PSH) != SIM_ACK &&
		   !late_syn_ack && (!(s->flags & SIM_RST) || !reset_has_cause(w, &s->tuple))) {
		check_agents_own(w, node, s);
	}
}

bool sim_is_withdraw(const struct sim_segment *s)
{
	struct dysco_header hdr;

	return is_syn(s) &&
	       dysco_message_open(&hdr, s->payload, s->payload_bytes, NULL, 0) == DYSCO_DECODE_OK &&
	       hdr.type == DYSCO_MSG_WITHDRAW;
}

void sim_check_delivery(struct sim_world *w, uint8_t node, const struct sim_packet *packet)
{
	const struct sim_meta *meta = &packet->meta;
	const char *wrong = sim_segment_wrong(packet->data, packet->bytes);
	struct sim_segment s;
	char text[96];

	if (wrong || !sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_fail(w, "node %u: %s", node, wrong ? wrong : "headers");
	} else if (meta->origin == SIM_BY_ENEMY) {
		if (w->nodes[node].host != SIM_NONE && !w->enemy_may_enter) {
			sim_fail(w, "node %u: hostile packet delivered", node);
		}
	} else if (meta->origin == SIM_BY_AGENT) {
		if (sim_is_withdraw(&s) && w->nodes[node].host == SIM_NONE) {
			return; /* nobody there takes it out */
		}
		if (!w->moving) {
			check_agents_own(w, node, &s);
		} else {
			check_reconfigurer(w, node, &s);
		}
	} else if (meta->origin == SIM_BY_STACK || !flow_of(w, meta)) {
		return;
	} else if (w->flows[meta->flow].moved) {
		check_moved(w, node, meta, &s);
	} else if (!dysco_tuple_equal(&s.tuple, &meta->view)) {
		/* A RST may overtake the SYN that is with the agent: a stack that knows nothing of
		   it does nothing. */
		if (!w->strays && !w->flows[meta->flow].disturbed && !(s.flags & SIM_RST)) {
			sim_fail(w, "node %u: flow %u bears the wire's header %s", node, meta->flow,
				 sim_tuple_text(&s.tuple, text));
		}
	} else {
		check_view(w, node, packet, &s);
		if (meta->origin == SIM_BY_BOX) {
			return;
		}
		if (w->nodes[node].kind == SIM_BOX) {
			check_next_box(w, node, meta);
		} else if (s.payload_bytes || is_syn(&s) || !w->flows[meta->flow].disturbed) {
			check_path(w, node, meta, is_syn(&s));
		}
	}
}

/* ---- cores ---- */

void sim_check_core(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];
	const char *broken = dysco_core_invariants(&a->core);
	uint64_t drops = 0;

	if (broken) {
		sim_fail(w, "core %u: %s", agent, broken);
	}
	for (uint32_t i = 0; i < w->actions.count; i++) {
		drops += w->actions.list[i].kind == DYSCO_ACT_DROP &&
			 w->actions.list[i].reason != DYSCO_REASON_NONE;
	}
	a->drops += drops;
	drops = 0;
	for (uint32_t i = 1; i < DYSCO_REASON_COUNT; i++) {
		drops += a->core.stats.drops[i];
	}
	if (drops != a->drops || a->core.stats.drops[DYSCO_REASON_NONE]) {
		sim_fail(w, "core %u: %llu drops counted, %llu done", agent,
			 (unsigned long long)drops, (unsigned long long)a->drops);
	}
}

/* ---- connections ---- */

bool sim_flows_over(const struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_flows; i++) {
		const struct sim_flow *flow = &w->flows[i];

		if (!flow->opened || !conn_over(w, flow->conn[0]) || !conn_over(w, flow->conn[1])) {
			return false;
		}
	}
	return true;
}

static uint8_t end_of(const struct sim_world *w, const struct sim_flow *flow, uint8_t side)
{
	return flow->conn[side] == SIM_NONE ? SIM_END_NONE : w->conns[flow->conn[side]].end;
}

static void count_flow(struct sim_world *w, const struct sim_flow *flow)
{
	static const uint8_t outcome[] = {
	    [SIM_END_NONE] = SIM_N_TIMEOUT,    [SIM_END_CLEAN] = SIM_N_COMPLETE,
	    [SIM_END_RESET] = SIM_N_RESET,     [SIM_END_REFUSED] = SIM_N_REFUSED,
	    [SIM_END_ABORTED] = SIM_N_ABORTED, [SIM_END_TIMEOUT] = SIM_N_TIMEOUT,
	};

	w->outcomes[SIM_N_FLOWS]++;
	w->outcomes[outcome[end_of(w, flow, 0)]]++;
	w->outcomes[SIM_N_BYTES] += flow->delivered[0] + flow->delivered[1];
	w->outcomes[SIM_N_CHAINED] += flow->path_known;
	w->outcomes[SIM_N_BYPASSED] +=
	    flow->open && !flow->path_known && end_of(w, flow, 0) == SIM_END_CLEAN;
}

static void check_flow(struct sim_world *w, uint8_t i)
{
	const struct sim_flow *flow = &w->flows[i];
	uint8_t ends[2] = {end_of(w, flow, 0), end_of(w, flow, 1)};
	bool whole =
	    flow->delivered[0] == flow->app[0].total && flow->delivered[1] == flow->app[1].total;

	switch (flow->must) {
	case SIM_MUST_COMPLETE:
		if (ends[0] != SIM_END_CLEAN || ends[1] != SIM_END_CLEAN || !whole) {
			sim_fail(w,
				 "flow %u does not complete: ends %u %u, delivered %u of %u and %u "
				 "of %u",
				 i, ends[0], ends[1], flow->delivered[0], flow->app[0].total,
				 flow->delivered[1], flow->app[1].total);
		}
		break;
	case SIM_MUST_FAIL:
		if (ends[0] == SIM_END_CLEAN || ends[0] == SIM_END_NONE || flow->delivered[0] ||
		    flow->delivered[1]) {
			sim_fail(w, "flow %u should fail: ends %u %u, delivered %u and %u", i,
				 ends[0], ends[1], flow->delivered[0], flow->delivered[1]);
		}
		break;
	case SIM_MUST_REFUSE:
		if (ends[0] != SIM_END_REFUSED) {
			sim_fail(w, "flow %u should be refused: ends %u", i, ends[0]);
		}
		break;
	case SIM_MUST_RESET:
		if (ends[0] != SIM_END_RESET || ends[1] != SIM_END_RESET) {
			sim_fail(w, "flow %u should be reset at both ends: %u %u", i, ends[0],
				 ends[1]);
		}
		break;
	default:
		if (!conn_over(w, flow->conn[0]) || !conn_over(w, flow->conn[1])) {
			sim_fail(w, "flow %u never ends: %u %u", i, ends[0], ends[1]);
		}
		break;
	}
}

void sim_check_flows(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_flows && !w->failed; i++) {
		count_flow(w, &w->flows[i]);
		check_flow(w, i);
	}
}

void sim_check_leaks(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_agents && !w->failed; i++) {
		const struct sim_agent *a = &w->agents[i];

		if (!a->alive || a->core.live_legs || a->dp.n_keys) {
			sim_fail(w, "agent %u: %u legs and %u keys left", i, a->core.live_legs,
				 a->dp.n_keys);
		}
		for (uint32_t b = 0; b < DYSCO_BOXES_MAX && !w->failed; b++) {
			if (a->core.box_sessions[b]) {
				sim_fail(w, "agent %u: box %u still counts %u sessions", i, b,
					 a->core.box_sessions[b]);
			}
		}
	}
	if (w->free_packet != SIM_PACKETS && !w->failed) {
		sim_fail(w, "simulator: %u packets lost", SIM_PACKETS - w->free_packet);
	}
}
