// SPDX-License-Identifier: BSD-2-Clause
/*
 * The simulated fast path: one packet of a Dysco host from parser to verdict
 * to edit, in the order of the tc programs.
 */
#include <string.h>

#include "datapath/sim/sim.h"
#include "datapath/step.h"
#include "rewrite/numbers.h"

void dysco_sim_heartbeat(struct dysco_sim *sim, uint64_t now_ns)
{
	sim->heard = true;
	sim->heartbeat_ns = now_ns;
}

static bool agent_runs(const struct dysco_sim *sim, uint64_t now_ns)
{
	return sim->heard && now_ns - sim->heartbeat_ns <= DYSCO_SIM_GRACE_NS;
}

static enum dysco_sim_fate drop(struct dysco_sim *sim, struct dysco_sim_result *result,
				enum dysco_reason reason)
{
	result->reason = reason;
	sim->stats.drops[reason]++;
	return DYSCO_SIM_DROP;
}

/* To the core; without an agent nobody can answer, and the packet must not get past its chain. */
static enum dysco_sim_fate punt(struct dysco_sim *sim, uint64_t now_ns,
				struct dysco_sim_result *result)
{
	if (!agent_runs(sim, now_ns)) {
		return drop(sim, result, DYSCO_REASON_NO_AGENT);
	}
	sim->stats.counters[DYSCO_COUNTER_PUNTED]++;
	return DYSCO_SIM_PUNT;
}

static uint32_t lookup(struct dysco_sim *sim, const struct dysco_tuple *tuple,
		       const struct dysco_sim_frame *frame)
{
	struct dysco_leg_key key = {
	    .tuple = *tuple, .host = frame->host, .direction = frame->direction};

	return sim->table.ops->find(&sim->table, &key);
}

static bool rule_matches(const struct dysco_sim_rule *rule, const struct dysco_packet *p,
			 uint16_t host)
{
	bool at = rule->n_at == 0;

	for (uint8_t i = 0; i < rule->n_at; i++) {
		at = at || rule->at[i] == host;
	}
	return at && (rule->dport_be == 0 || rule->dport_be == p->tuple.dport_be) &&
	       (dysco_addr_is_zero(&rule->dst) || dysco_addr_equal(&rule->dst, &p->tuple.dst));
}

static uint16_t classify(const struct dysco_sim *sim, const struct dysco_packet *p, uint16_t host)
{
	for (uint16_t i = 0; i < sim->n_rules; i++) {
		if (rule_matches(&sim->rules[i], p, host)) {
			return i;
		}
	}
	return DYSCO_NO_POLICY;
}

/*
 * A SYN from the host that belongs to no leg: let out by a box under a tag,
 * sent by a local socket that has a subsession's five-tuple, first of a chain,
 * or none of our business.
 */
static enum dysco_sim_fate classify_syn(struct dysco_sim *sim, uint64_t now_ns,
					const struct dysco_sim_frame *frame,
					const struct dysco_packet *p,
					struct dysco_sim_result *result)
{
	struct dysco_leg_key back = {dysco_tuple_reverse(&p->tuple), frame->host, DYSCO_IN, 0};
	const uint8_t *end = frame->data + frame->bytes;

	result->policy = classify(sim, p, frame->host);
	if (dysco_packet_option(p, frame->data, end, DYSCO_EXID_TAG) != 0) {
		return punt(sim, now_ns, result);
	}
	if (sim->table.ops->find(&sim->table, &back) != DYSCO_NO_SLOT) {
		return drop(sim, result, DYSCO_REASON_PORT_CONFLICT);
	}
	if (result->policy == DYSCO_NO_POLICY) {
		return DYSCO_SIM_ONWARD;
	}
	if (!agent_runs(sim, now_ns) && sim->rules[result->policy].fail == DYSCO_FAIL_OPEN) {
		sim->stats.counters[DYSCO_COUNTER_BYPASS]++;
		return DYSCO_SIM_ONWARD;
	}
	return punt(sim, now_ns, result);
}

/* Of ours by its payload or its option, or in the place of a session that had a chain. */
static bool concerns_us(struct dysco_sim *sim, const struct dysco_sim_frame *frame,
			const struct dysco_packet *p)
{
	struct dysco_leg_key key = {dysco_tuple_reverse(&p->tuple), frame->host, DYSCO_OUT, 0};
	const uint8_t *end = frame->data + frame->bytes;
	dysco_be32 magic_be = 0;

	if ((size_t)p->payload + sizeof(magic_be) <= frame->bytes) {
		memcpy(&magic_be, frame->data + p->payload, sizeof(magic_be));
	}
	return magic_be == DYSCO_BE32(DYSCO_MAGIC) ||
	       dysco_packet_option(p, frame->data, end, DYSCO_EXID_MARK) != 0 ||
	       sim->table.ops->find(&sim->table, &key) != DYSCO_NO_SLOT;
}

static enum dysco_sim_fate inspect_syn(struct dysco_sim *sim, uint64_t now_ns,
				       const struct dysco_sim_frame *frame,
				       const struct dysco_packet *p,
				       struct dysco_sim_result *result)
{
	if (concerns_us(sim, frame, p)) {
		return punt(sim, now_ns, result);
	}
	if (p->payload_bytes > 0) {
		sim->stats.counters[DYSCO_COUNTER_FOREIGN_SYN_DATA]++;
	}
	return DYSCO_SIM_ONWARD;
}

static enum dysco_sim_fate translate(struct dysco_sim *sim, uint64_t now_ns,
				     const struct dysco_sim_frame *frame, struct dysco_packet *p,
				     struct dysco_sim_result *result)
{
	struct dysco_leg *leg = &sim->legs[result->slot];
	bool out = frame->direction == DYSCO_OUT;
	struct dysco_tuple to = out ? leg->wire_tuple : dysco_tuple_reverse(&leg->host_tuple);

	if (dysco_addr_is_ip4(&to.src) != (p->version == 4)) {
		return drop(sim, result, DYSCO_REASON_FAMILY_MIX);
	}
	dysco_step_note_syn(leg, p, frame->data, frame->data + frame->bytes,
			    out ? DYSCO_OUT : DYSCO_IN);
	if (out) {
		dysco_step_see(leg, p, DYSCO_OUT, (uint32_t)frame->bytes, now_ns);
	}
	if (leg->flags & DYSCO_LEG_OFFSETS) {
		dysco_edit_apply(p, frame->data,
				 dysco_edit_numbers(p, frame->data, frame->data + frame->bytes,
						    &leg->offsets, out));
	}
	if (!out) {
		dysco_step_see(leg, p, DYSCO_IN, (uint32_t)frame->bytes, now_ns);
	}
	dysco_edit_apply(p, frame->data,
			 dysco_edit_tuple(p, frame->data, frame->data + frame->bytes, &to));
	result->translated = true;
	return DYSCO_SIM_ONWARD;
}

static enum dysco_sim_fate tcp_packet(struct dysco_sim *sim, uint64_t now_ns,
				      const struct dysco_sim_frame *frame, struct dysco_packet *p,
				      struct dysco_sim_result *result)
{
	const uint8_t *end = frame->data + frame->bytes;
	bool control = dysco_step_is_control(p, frame->data, end);
	const struct dysco_leg *leg;

	result->slot = lookup(sim, &p->tuple, frame);
	leg = result->slot == DYSCO_NO_SLOT ? NULL : &sim->legs[result->slot];
	switch (dysco_step(leg, p, frame->direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN, control,
			   &result->reason)) {
	case DYSCO_VERDICT_FAST:
		return translate(sim, now_ns, frame, p, result);
	case DYSCO_VERDICT_PUNT:
		result->policy =
		    frame->direction == DYSCO_OUT ? classify(sim, p, frame->host) : DYSCO_NO_POLICY;
		return punt(sim, now_ns, result);
	case DYSCO_VERDICT_DROP:
		return drop(sim, result, result->reason);
	case DYSCO_VERDICT_CLASSIFY:
		return classify_syn(sim, now_ns, frame, p, result);
	case DYSCO_VERDICT_INSPECT:
		return inspect_syn(sim, now_ns, frame, p, result);
	default:
		return DYSCO_SIM_ONWARD;
	}
}

/* The packet quoted in an ICMP error went the other way: its leg is found under the reversed tuple.
 */
static enum dysco_sim_fate icmp_error(struct dysco_sim *sim, uint64_t now_ns,
				      const struct dysco_sim_frame *frame,
				      const struct dysco_packet *p, struct dysco_sim_result *result)
{
	struct dysco_tuple back = dysco_tuple_reverse(&p->tuple);

	result->slot = lookup(sim, &back, frame);
	return result->slot == DYSCO_NO_SLOT ? DYSCO_SIM_ONWARD : punt(sim, now_ns, result);
}

/* Rules cannot judge what has no ports: where there are rules, no fragment slips past them. */
static enum dysco_sim_fate fragment(struct dysco_sim *sim, const struct dysco_sim_frame *frame,
				    const struct dysco_packet *p, struct dysco_sim_result *result)
{
	if (frame->direction == DYSCO_OUT && sim->n_rules > 0) {
		return drop(sim, result, DYSCO_REASON_FRAGMENT);
	}
	if (p->first) {
		result->slot = lookup(sim, &p->tuple, frame);
	}
	return result->slot == DYSCO_NO_SLOT ? DYSCO_SIM_ONWARD
					     : drop(sim, result, DYSCO_REASON_FRAGMENT);
}

enum dysco_sim_fate dysco_sim_packet(struct dysco_sim *sim, uint64_t now_ns,
				     const struct dysco_sim_frame *frame,
				     struct dysco_sim_result *result)
{
	struct dysco_packet p;

	memset(result, 0, sizeof(*result));
	result->policy = DYSCO_NO_POLICY;
	switch (dysco_packet_parse(&p, frame->data, frame->data + frame->bytes,
				   (uint32_t)frame->bytes)) {
	case DYSCO_PARSE_TCP:
		return tcp_packet(sim, now_ns, frame, &p, result);
	case DYSCO_PARSE_ICMP_ERROR:
		return icmp_error(sim, now_ns, frame, &p, result);
	case DYSCO_PARSE_FRAGMENT:
		return fragment(sim, frame, &p, result);
	case DYSCO_PARSE_BAD:
		return drop(sim, result, DYSCO_REASON_BAD_PACKET);
	default:
		sim->stats.counters[DYSCO_COUNTER_UNPARSED]++;
		return DYSCO_SIM_ONWARD;
	}
}
