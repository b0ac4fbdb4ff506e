/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig of rig.h. */
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct dysco_addr rig_addr(int host, bool ip4)
{
	struct dysco_addr ip6 = {{DYSCO_BE32(0xfd000000), 0, 0, DYSCO_BE32((uint32_t)host + 1)}};

	return ip4 ? dysco_addr_from_ip4(DYSCO_BE32(0x0a000001u + (uint32_t)host)) : ip6;
}

static void fill_setup(struct dysco_setup *setup, int agent)
{
	static const char *const names[] = {"client", "box", "server", "extra"};
	struct dysco_host *host = &setup->hosts[0];
	struct dysco_policy *policy = &setup->policies[0];

	snprintf(setup->agent, sizeof(setup->agent), "agent-%s", names[agent]);
	setup->port_first = DYSCO_PORT_FIRST;
	setup->port_last = DYSCO_PORT_LAST;
	setup->timeouts = (struct dysco_timeouts)DYSCO_TIMEOUTS_DEFAULT;
	setup->n_hosts = 1;
	snprintf(host->name, sizeof(host->name), "%s", names[agent]);
	host->id = (uint16_t)(agent + 1);
	host->n_prefixes = 2;
	host->prefixes[0] = (struct dysco_prefix){rig_addr(agent, true), 128};
	host->prefixes[1] = (struct dysco_prefix){rig_addr(agent, false), 128};
	setup->n_boxes = RIG_AGENTS;
	for (int i = 0; i < RIG_AGENTS; i++) {
		snprintf(setup->boxes[i].name, sizeof(setup->boxes[i].name), "%s", names[i]);
		setup->boxes[i].ip4 = rig_addr(i, true);
		setup->boxes[i].ip6 = rig_addr(i, false);
	}
	if (agent == CLIENT) {
		setup->n_policies = 1;
		snprintf(policy->name, sizeof(policy->name), "web");
		policy->tag = dysco_policy_tag("web");
		policy->retries = 2;
		policy->n_hops = 1;
		policy->hops[0].index = BOX;
	}
}

static void set_rules(struct rig_agent *a)
{
	a->sim.n_rules = a->setup.n_policies;
	memset(a->sim.rules, 0, sizeof(a->sim.rules));
	for (uint32_t i = 0; i < a->sim.n_rules; i++) {
		a->sim.rules[i].fail = (uint8_t)a->setup.policies[i].fail;
	}
}

void rig_restart(struct rig *rig, int agent)
{
	struct rig_agent *a = &rig->agent[agent];
	struct dysco_core_seed seed = {.sender = 100 + (uint64_t)agent,
				       .counter = 1000 + rig->now_ns / 1000};

	memset(seed.secret, 0x51 + agent, sizeof(seed.secret));
	set_rules(a);
	dysco_core_start(&a->core, &a->sim.table, &a->setup, &seed);
	a->core.keeps_chains = true;
}

struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->now_ns = 1000 * DYSCO_NS_PER_S;
	for (int i = 0; i < RIG_AGENTS; i++) {
		dysco_sim_open(&rig->agent[i].sim, 16);
		fill_setup(&rig->agent[i].setup, i);
		rig_restart(rig, i);
	}
	return rig;
}

void rig_free(struct rig *rig)
{
	for (int i = 0; i < RIG_AGENTS; i++) {
		assert_null(dysco_core_invariants(&rig->agent[i].core));
	}
	free(rig);
}

void rig_sign(struct rig *rig, uint8_t first_key_byte)
{
	for (int i = 0; i < RIG_AGENTS; i++) {
		rig->agent[i].setup.n_keys = 1;
		rig->agent[i].setup.keys[0].id = 7;
		rig->agent[i].setup.keys[0].bytes[0] = first_key_byte;
	}
}

struct dysco_tuple rig_session(uint16_t sport, bool ip4)
{
	struct dysco_tuple t = {rig_addr(CLIENT, ip4), rig_addr(SERVER, ip4), DYSCO_BE16(sport),
				DYSCO_BE16(80)};

	return t;
}

static void parse(struct rig_packet *packet)
{
	assert_int_equal(dysco_packet_parse(&packet->p, packet->data, packet->data + packet->bytes,
					    (uint32_t)packet->bytes),
			 DYSCO_PARSE_TCP);
}

struct rig_packet rig_segment_in(const struct dysco_tuple *tuple, uint32_t seq, uint32_t ack,
				 uint8_t flags, uint16_t window, const void *payload, size_t bytes)
{
	struct rig_packet packet = {0};

	packet.bytes = dysco_edit_make_segment(packet.data, sizeof(packet.data), tuple, seq, ack,
					       flags, window, 0, payload, bytes);
	assert_true(packet.bytes > 0);
	parse(&packet);
	return packet;
}

struct rig_packet rig_segment(const struct dysco_tuple *tuple, uint32_t seq, uint32_t ack,
			      uint8_t flags, const void *payload, size_t bytes)
{
	return rig_segment_in(tuple, seq, ack, flags, 1000, payload, bytes);
}

struct rig_packet rig_syn(uint16_t sport, uint32_t seq)
{
	struct dysco_tuple session = rig_session(sport, true);

	return rig_segment(&session, seq, 0, DYSCO_TCP_SYN, NULL, 0);
}

/* The packet that answers the input, if one does. */
static struct rig_packet answer(const struct rig_agent *a, const struct rig_packet *input)
{
	struct rig_packet result = {0};

	for (uint32_t i = 0; i < a->out.count; i++) {
		const struct dysco_action *action = &a->out.list[i];

		if (action->kind == DYSCO_ACT_PASS) {
			return *input;
		}
		if (action->kind == DYSCO_ACT_SEND || action->kind == DYSCO_ACT_DELIVER) {
			memcpy(result.data, &a->out.arena[action->offset], action->bytes);
			result.bytes = action->bytes;
			parse(&result);
			assert_true(dysco_edit_checksum_ok(&result.p, result.data, result.bytes));
			return result;
		}
	}
	return result;
}

struct rig_packet rig_pass(struct rig *rig, int agent, enum dysco_direction direction,
			   const struct rig_packet *packet)
{
	struct rig_agent *a = &rig->agent[agent];
	struct rig_packet work = *packet, none = {0};
	struct dysco_sim_frame frame = {(uint16_t)(agent + 1), (uint8_t)direction, work.data,
					work.bytes};
	struct dysco_sim_result result;
	struct dysco_input in = {.attachment = 1,
				 .host = frame.host,
				 .direction = frame.direction,
				 .data = work.data,
				 .bytes = (uint32_t)work.bytes,
				 .mtu = 1500};

	a->out.count = 0;
	dysco_sim_heartbeat(&a->sim, rig->now_ns);
	switch (dysco_sim_packet(&a->sim, rig->now_ns, &frame, &result)) {
	case DYSCO_SIM_ONWARD:
		parse(&work);
		return work;
	case DYSCO_SIM_DROP:
		return none;
	default:
		break;
	}
	in.policy = result.policy;
	dysco_core_packet_received(&a->core, rig->now_ns, &in, &a->out);
	assert_null(dysco_core_invariants(&a->core));
	return answer(a, packet);
}

static struct rig_packet carry(struct rig *rig, const struct rig_packet *packet, int from, int to)
{
	struct rig_packet here = rig_out(rig, from, packet);
	int step = to > from ? 1 : -1;

	for (int i = from + step; here.bytes > 0 && i != to; i += step) {
		here = rig_in(rig, i, &here);
		if (here.bytes > 0) {
			here = rig_out(rig, i, &here);
		}
	}
	return here.bytes > 0 ? rig_in(rig, to, &here) : here;
}

struct rig_packet rig_to_server(struct rig *rig, const struct rig_packet *packet)
{
	return carry(rig, packet, CLIENT, SERVER);
}

struct rig_packet rig_to_client(struct rig *rig, const struct rig_packet *packet)
{
	return carry(rig, packet, SERVER, CLIENT);
}

void rig_connect(struct rig *rig, const struct dysco_tuple *session)
{
	rig_connect_from(rig, session, 100);
}

void rig_connect_from(struct rig *rig, const struct dysco_tuple *session, uint32_t isn)
{
	struct dysco_tuple back = dysco_tuple_reverse(session);
	struct rig_packet syn = rig_segment(session, isn, 0, DYSCO_TCP_SYN, NULL, 0);
	struct rig_packet synack =
	    rig_segment(&back, 500, isn + 1, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet ack = rig_segment(session, isn + 1, 501, DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet got = rig_to_server(rig, &syn);

	assert_true(got.bytes > 0 && dysco_tuple_equal(&got.p.tuple, session));
	got = rig_to_client(rig, &synack);
	assert_true(got.bytes > 0 && dysco_tuple_equal(&got.p.tuple, &back));
	got = rig_to_server(rig, &ack);
	assert_true(got.bytes > 0 && dysco_tuple_equal(&got.p.tuple, session));
}

void rig_close(struct rig *rig, const struct dysco_tuple *session)
{
	const struct dysco_leg *at_box = &rig->agent[BOX].sim.legs[1];
	struct dysco_tuple back = dysco_tuple_reverse(session);
	struct rig_packet fin =
	    rig_segment(session, 101, 501, DYSCO_TCP_FIN | DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet fin2 =
	    rig_segment(&back, 501, 102, DYSCO_TCP_FIN | DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet ack = rig_segment(session, 102, 502, DYSCO_TCP_ACK, NULL, 0);

	assert_true(rig_to_server(rig, &fin).bytes > 0);
	assert_int_equal(dysco_leg_state(at_box), DYSCO_STATE_HALF_CLOSED);
	assert_true(rig_to_client(rig, &fin2).bytes > 0);
	assert_int_equal(dysco_leg_state(at_box), DYSCO_STATE_CLOSING);
	assert_true(rig_to_server(rig, &ack).bytes > 0);
	assert_int_equal(dysco_leg_state(at_box), DYSCO_STATE_TIME_WAIT);
}

void rig_wait(struct rig *rig, unsigned int seconds)
{
	for (unsigned int s = 0; s < seconds; s++) {
		rig->now_ns += DYSCO_NS_PER_S;
		for (int i = 0; i < RIG_AGENTS; i++) {
			struct rig_agent *a = &rig->agent[i];

			while (dysco_core_time_passed(&a->core, rig->now_ns, 4, &a->out)) {
			}
			assert_null(dysco_core_invariants(&a->core));
		}
	}
}

uint64_t rig_drops(const struct rig *rig, int agent, enum dysco_reason reason)
{
	const struct rig_agent *a = &rig->agent[agent];

	return a->core.stats.drops[reason] + a->sim.stats.drops[reason];
}

uint64_t rig_counter(const struct rig *rig, int agent, enum dysco_counter counter)
{
	const struct rig_agent *a = &rig->agent[agent];

	return a->core.stats.counters[counter] + a->sim.stats.counters[counter];
}

bool rig_event(const struct rig *rig, int agent, enum dysco_event_kind event)
{
	const struct dysco_actions *out = &rig->agent[agent].out;

	for (uint32_t i = 0; i < out->count; i++) {
		if (out->list[i].kind == DYSCO_ACT_EVENT && out->list[i].event == event) {
			return true;
		}
	}
	return false;
}
