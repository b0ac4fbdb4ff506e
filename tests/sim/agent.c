// SPDX-License-Identifier: BSD-2-Clause
/*
 * Agents: the datapath of their hosts, and the core behind it. Every call of
 * the core is followed by its self-check, and its answer is held against the
 * contract of core/core.h before it is carried out.
 */
#include "tests/sim/world.h"
#include "tests/sim/mutant.h"

#include <string.h>

enum { TICK_NS = 250000000, TICK_SLOTS = 32, PUNT_DELAY_US = 400 };

void sim_agent_start(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];
	struct dysco_core_seed seed = {.sender = w->seed * 16 + agent + 1,
				       .counter = a->last_counter + 1000};

	memset(seed.secret, agent + 1, sizeof(seed.secret));
	memcpy(seed.secret + 8, &w->seed, sizeof(w->seed));
	seed.secret[0] = (uint8_t)(a->starts + 1);
	if (a->starts > 1) {
		seed.secret[1] = (uint8_t)(a->starts + 64); /* the lowest bit above is not used */
	}
	sim_mutate_restart(w, agent);
	dysco_core_start(&a->core, &a->dp.table, &a->setup, &seed);
	a->core.knows_late = true;
	a->core.keeps_chains = w->mutant != SIM_MUTANT_STALE_CHAIN;
	a->alive = true;
	a->starts++;
	a->drops = 0;
	w->actions.count = 0;
	dysco_sim_heartbeat(&a->dp, w->now_ns);
	sim_say(w, "agent %u starts, %u legs", agent, a->core.live_legs);
	sim_check_core(w, agent);
	sim_at(w, w->now_ns + TICK_NS, SIM_EV_TICK, agent);
}

void sim_agent_crash(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];

	sim_say(w, "agent %u crashes", agent);
	a->alive = false;
	a->last_counter = a->core.counter;
	memset(&a->core, 0xa5, sizeof(a->core));
}

/* ---- what the core wants done ---- */

static struct sim_host *host_by_id(struct sim_world *w, uint16_t id)
{
	for (uint8_t i = 0; i < w->n_hosts; i++) {
		if (w->hosts[i].id == id) {
			return &w->hosts[i];
		}
	}
	return NULL;
}

/* The endpoint or box of a host that has this address, or the box that gets everything. */
static uint8_t node_of_host(const struct sim_world *w, const struct sim_host *host,
			    const struct dysco_addr *addr, uint8_t fallback)
{
	uint8_t node = host->box != SIM_NONE ? host->box : sim_node_of(w, addr);

	return node == SIM_NONE || w->nodes[node].host != (uint8_t)(host - w->hosts) ? fallback
										     : node;
}

/* Control, or an answer that goes back where the packet came from, and not that packet itself. */
static bool is_agents_own(const struct sim_world *w, const struct dysco_action *action,
			  const struct sim_packet *from)
{
	const uint8_t *data = w->actions.arena + action->offset;
	const struct sim_host *host = &w->hosts[from->host];
	bool out = from->direction == DYSCO_OUT;
	struct sim_segment s, was;
	uint32_t magic_be = 0;

	if (!w->moving || !sim_segment_read(&s, data, action->bytes) ||
	    !sim_segment_read(&was, from->data, from->bytes)) {
		return false;
	}
	if (s.payload_bytes >= sizeof(magic_be)) {
		memcpy(&magic_be, s.payload, sizeof(magic_be));
	}
	return ((s.flags & ~was.flags) & SIM_RST) || out != (action->kind == DYSCO_ACT_SEND) ||
	       (magic_be == DYSCO_BE32(DYSCO_MAGIC) && !(s.flags & SIM_SYN)) ||
	       w->agents[host->agent].dp.legs[action->slot].role == DYSCO_ROLE_CONTROL;
}

/* A packet of the arena enters the world; it inherits what `from` carried. */
static void let_out(struct sim_world *w, const struct dysco_action *action,
		    const struct sim_packet *from)
{
	struct sim_host *host = host_by_id(w, action->attachment);
	struct sim_packet *packet = sim_packet_new(w);
	struct sim_segment s;
	uint8_t node;

	if (!packet) {
		return;
	}
	if (action->bytes > SIM_PACKET_BYTES || !host) {
		sim_fail(w, "core: %u bytes for attachment %u", action->bytes, action->attachment);
		sim_packet_free(w, packet);
		return;
	}
	packet->meta.origin = SIM_BY_AGENT;
	packet->meta.flow = SIM_NONE;
	if (from && !is_agents_own(w, action, from)) {
		packet->meta = from->meta;
	}
	packet->bytes = (uint16_t)action->bytes;
	memcpy(packet->data, w->actions.arena + action->offset, action->bytes);
	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_fail(w, "core: makes what is no TCP packet");
		sim_packet_free(w, packet);
		return;
	}
	sim_mutate_output(w, action, from, packet);
	if (action->kind == DYSCO_ACT_SEND) {
		node = node_of_host(w, host, &s.tuple.src, from ? from->to : SIM_NONE);
	} else {
		node = node_of_host(w, host, &s.tuple.dst, from ? from->to : SIM_NONE);
	}
	if (node == SIM_NONE) {
		sim_fail(w, "core: packet of an address that host %u does not have", host->id);
		sim_packet_free(w, packet);
	} else if (action->kind == DYSCO_ACT_SEND) {
		sim_send(w, node, packet);
	} else {
		sim_deliver(w, node, packet);
	}
}

static void pass_on(struct sim_world *w, const struct sim_packet *from)
{
	struct sim_packet *packet = from ? sim_packet_new(w) : NULL;

	if (!packet) {
		sim_fail(w, "core: PASS without a packet");
		return;
	}
	memcpy(packet, from, offsetof(struct sim_packet, data) + from->bytes);
	if (from->direction == DYSCO_OUT) {
		sim_send(w, from->to, packet);
	} else {
		sim_deliver(w, from->to, packet);
	}
}

/* Control, and the handshake of a new path, end at an agent without a reason to give. */
static bool may_end_here(const struct sim_world *w, const struct sim_packet *from)
{
	struct sim_segment s;

	return from && (from->meta.origin == SIM_BY_AGENT ||
			(w->moving && sim_segment_read(&s, from->data, from->bytes) &&
			 s.payload_bytes == 0 && !(s.flags & SIM_FIN)));
}

/* from: the punted packet, or NULL. Its answer is the first action that moves or ends a packet. */
static void carry_out(struct sim_world *w, uint8_t agent, const struct sim_packet *from)
{
	uint32_t answers = 0;

	for (uint32_t i = 0; i < w->actions.count && !w->failed; i++) {
		struct dysco_action action = w->actions.list[i];

		switch (action.kind) {
		case DYSCO_ACT_SEND:
		case DYSCO_ACT_DELIVER:
			let_out(w, &action, from);
			answers++;
			break;
		case DYSCO_ACT_PASS:
			pass_on(w, from);
			answers++;
			break;
		case DYSCO_ACT_DROP:
			sim_say(w, "  core %u drops: reason %u", agent, action.reason);
			if (action.reason == DYSCO_REASON_NONE && !may_end_here(w, from)) {
				sim_fail(w, "core %u: a drop without a reason", agent);
			}
			answers++;
			break;
		default:
			sim_say(w, "  core %u event %u slot %u reason %u", agent, action.event,
				action.slot, action.reason);
			w->outcomes[SIM_N_TRACES] += action.event == DYSCO_EVENT_TRACE;
			if (action.event == DYSCO_EVENT_PROBED) {
				sim_probe_answered(w, agent, action.slot);
			}
			break;
		}
	}
	if (from && from->meta.origin != SIM_BY_AGENT && !w->failed &&
	    (answers == 0 || (answers != 1 && !w->moving))) {
		sim_fail(w, "core %u: %u answers to one packet", agent, answers);
	}
}

void sim_agent_answered(struct sim_world *w, uint8_t agent, const struct sim_packet *from)
{
	w->outcomes[SIM_N_CORE_CALLS]++;
	sim_check_core(w, agent);
	if (!w->failed) {
		sim_mutate_actions(w, agent, from);
		carry_out(w, agent, from);
	}
	if (w->moving && !w->failed) {
		sim_reconf_watch(w, agent);
	}
}

/* ---- packets ---- */

static struct sim_agent *agent_of(struct sim_world *w, const struct sim_packet *packet)
{
	return &w->agents[w->hosts[packet->host].agent];
}

/* True: it goes on in its direction. */
static bool through_datapath(struct sim_world *w, uint8_t node, struct sim_packet *packet,
			     enum dysco_direction direction)
{
	struct sim_host *host = &w->hosts[w->nodes[node].host];
	struct dysco_sim_frame frame = {.host = host->id,
					.direction = (uint8_t)direction,
					.data = packet->data,
					.bytes = packet->bytes};
	struct dysco_sim_result result;
	enum dysco_sim_fate fate;

	packet->to = node;
	packet->host = w->nodes[node].host;
	packet->direction = (uint8_t)direction;
	fate = dysco_sim_packet(&agent_of(w, packet)->dp, w->now_ns, &frame, &result);
	sim_mutate_fast(w, packet, &result, &fate);
	w->outcomes[SIM_N_TRANSLATED] += result.translated;
	packet->policy = result.policy;
	if (fate == DYSCO_SIM_PUNT) {
		sim_at(w, w->now_ns + sim_random(w, PUNT_DELAY_US) * SIM_US, SIM_EV_PUNT,
		       sim_packet_index(w, packet));
	} else if (fate == DYSCO_SIM_DROP) {
		sim_say(w, "  datapath of agent %u drops: reason %u", host->agent,
			(unsigned int)result.reason);
		sim_packet_free(w, packet);
	}
	return fate == DYSCO_SIM_ONWARD;
}

void sim_host_out(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	if (through_datapath(w, node, packet, DYSCO_OUT)) {
		sim_send(w, node, packet);
	}
}

void sim_host_in(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;

	if (!through_datapath(w, node, packet, DYSCO_IN)) {
		return;
	}
	if (sim_segment_read(&s, packet->data, packet->bytes)) {
		node = node_of_host(w, &w->hosts[packet->host], &s.tuple.dst, node);
	}
	sim_deliver(w, node, packet);
}

void sim_agent_punted(struct sim_world *w, struct sim_packet *packet)
{
	struct sim_host *host = &w->hosts[packet->host];
	struct sim_agent *a = &w->agents[host->agent];
	struct dysco_input in = {.attachment = host->id,
				 .host = host->id,
				 .direction = packet->direction,
				 .policy = packet->policy,
				 .data = packet->data,
				 .bytes = packet->bytes,
				 .mtu = 1500};

	if (!a->alive) {
		a->dp.stats.drops[DYSCO_REASON_SLOW_PATH]++;
	} else if (!sim_mutate_punt(w, packet)) {
		w->outcomes[SIM_N_PUNTED]++;
		dysco_core_packet_received(&a->core, w->now_ns, &in, &w->actions);
		sim_enemy_sniff(w, packet);
		sim_agent_answered(w, host->agent, packet);
	}
	sim_packet_free(w, packet);
}

/* ---- time and commands ---- */

void sim_agent_tick(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];
	bool more = true;

	if (!a->alive) {
		return;
	}
	dysco_sim_heartbeat(&a->dp, w->now_ns);
	for (uint32_t i = 0; more && !w->failed && !sim_mutate_tick(w); i++) {
		more = dysco_core_time_passed(&a->core, w->now_ns, TICK_SLOTS, &w->actions);
		sim_agent_answered(w, agent, NULL);
		if (i > DYSCO_SIM_LEGS_MAX) {
			sim_fail(w, "core %u: time_passed never ends", agent);
		}
	}
	sim_adopted_tick(w, agent);
	sim_at(w, w->now_ns + (sim_flows_over(w) ? 2 : 1) * (uint64_t)TICK_NS, SIM_EV_TICK, agent);
}

/* A leg of this flow at this agent, DYSCO_NO_SLOT: none that lives. */
static uint32_t leg_of_flow(const struct sim_agent *a, const struct sim_flow *flow)
{
	for (uint32_t slot = 1; slot < a->dp.table.capacity; slot++) {
		if (a->dp.legs[slot].mode == DYSCO_MODE_FAST &&
		    dysco_tuple_equal(&a->dp.cold[slot].session, &flow->tuple)) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* All that use or used the five-tuple may see the traces. */
static void disturb(struct sim_world *w, const struct dysco_tuple *tuple)
{
	for (uint8_t i = 0; i < w->n_flows; i++) {
		if (dysco_tuple_equal(&w->flows[i].tuple, tuple)) {
			w->flows[i].disturbed = true;
		}
	}
}

void sim_agent_kill(struct sim_world *w, uint8_t flow)
{
	uint8_t first = (uint8_t)sim_random(w, w->n_agents);

	for (uint8_t i = 0; i < w->n_agents; i++) {
		uint8_t agent = (uint8_t)((first + i) % w->n_agents);
		struct sim_agent *a = &w->agents[agent];
		uint32_t slot = leg_of_flow(a, &w->flows[flow]);

		if (!a->alive || slot == DYSCO_NO_SLOT) {
			continue;
		}
		disturb(w, &w->flows[flow].tuple);
		sim_say(w, "agent %u kills flow %u", agent, flow);
		if (dysco_core_kill(&a->core, w->now_ns, slot, &w->actions)) {
			sim_agent_answered(w, agent, NULL);
			return;
		}
	}
}

bool sim_agent_freeze(struct sim_world *w, uint8_t node, const struct dysco_tuple *tuple)
{
	const struct sim_node *box = &w->nodes[node];
	const struct sim_host *host = &w->hosts[box->host];
	struct sim_agent *a = &w->agents[host->agent];
	struct dysco_leg_key key = {dysco_tuple_reverse(tuple), host->id, DYSCO_OUT, 0};
	uint32_t slot = a->dp.table.ops->find(&a->dp.table, &key);
	struct dysco_offsets delta = {.seq_out = box->delta[0][0],
				      .seq_in = box->delta[1][0],
				      .ts_out = box->delta[0][1],
				      .ts_in = box->delta[1][1]};

	if (sim_mutate_freeze(w)) {
		memset(&delta, 0, sizeof(delta));
	}
	return a->alive && slot != DYSCO_NO_SLOT &&
	       dysco_core_freeze(&a->core, slot, &delta, !box->thawed);
}

void sim_agent_trace(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];
	uint32_t slot = 1 + sim_random(w, a->dp.table.capacity - 1);

	for (uint32_t i = 0; a->alive && i < a->dp.table.capacity; i++) {
		if (a->dp.legs[slot].mode == DYSCO_MODE_FAST) {
			dysco_core_trace(&a->core, slot, &w->actions);
			sim_agent_answered(w, agent, NULL);
			return;
		}
		slot = slot + 1 < a->dp.table.capacity ? slot + 1 : 1;
	}
}
