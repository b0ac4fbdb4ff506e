/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between datapath and core: packets in, actions out, and time (agent.h).
 */
#include <errno.h>
#include <string.h>

#include "agent/health.h"
#include "agent/job.h"
#include "agent/log.h"
#include "rewrite/packet.h"

#define SCAN_SLOTS	  1024 /* legs looked at in one call of the core */
#define PORTS_INTERVAL_NS (3 * 1000000000ull)
#define PRUNE_INTERVAL_NS (60 * 1000000000ull)
#define CHECK_INTERVAL_NS 1000000000ull
#define SCAN_BUDGET_NS	  5000000 /* for the legs, a tick: the rest waits for the next */

static bool is_injected(uint8_t kind)
{
	return kind == DYSCO_ACT_SEND || kind == DYSCO_ACT_DELIVER || kind == DYSCO_ACT_PASS;
}

static void inject(struct dysco_agent *agent, const struct dysco_action *action,
		   const struct dysco_punt *punt)
{
	const uint8_t *packet = agent->actions.arena + action->offset;
	uint32_t bytes = action->bytes;
	int result;

	if (action->kind == DYSCO_ACT_PASS) {
		packet = punt->input.data;
		bytes = punt->input.bytes;
	}
	result = agent->dp.ops->inject(&agent->dp, action, packet, bytes, punt);
	if (result < 0) {
		dysco_log(DYSCO_LOG_INFO, "cannot inject a packet: %s", agent->dp.error);
	}
}

/* punt NULL: the actions answer no packet. */
void dysco_agent_perform(struct dysco_agent *agent, const struct dysco_punt *punt)
{
	dysco_phases_look(agent);
	dysco_fault_at(agent, false);
	for (uint32_t i = 0; i < agent->actions.count; i++) {
		const struct dysco_action *action = &agent->actions.list[i];

		if (is_injected(action->kind) && (punt || action->kind != DYSCO_ACT_PASS)) {
			inject(agent, action, punt);
		} else if (action->kind == DYSCO_ACT_EVENT) {
			dysco_agent_event(agent, action);
		}
	}
	dysco_fault_at(agent, true);
	dysco_phases_settle(agent);
}

/* The policy of a session's first SYN; control packets and what arrives have none. */
static uint16_t classify(struct dysco_agent *agent, const struct dysco_input *in)
{
	const uint8_t *end = in->data + in->bytes;
	struct dysco_packet p;
	uint16_t policy;

	if (in->direction != DYSCO_OUT ||
	    dysco_packet_parse(&p, in->data, end, in->bytes) != DYSCO_PARSE_TCP ||
	    (p.flags & (DYSCO_TCP_SYN | DYSCO_TCP_ACK)) != DYSCO_TCP_SYN) {
		return DYSCO_NO_POLICY;
	}
	policy = dysco_config_classify(agent->config, in->host, in->data, in->bytes);
	return policy;
}

static void packet_received(struct dysco_agent *agent, struct dysco_punt *punt)
{
	uint64_t started = agent->core.stats.counters[DYSCO_COUNTER_SESSIONS_STARTED];
	uint64_t now_ns = dysco_now_ns();
	uint32_t held = agent->n_held;

	if (dysco_hold_overtaking(agent, punt, now_ns)) {
		dysco_hold_retry(agent, now_ns); /* another one may have waited long enough */
		return;
	}
	punt->input.policy = classify(agent, &punt->input);
	agent->last_input = punt->input;
	dysco_core_packet_received(&agent->core, now_ns, &punt->input, &agent->actions);
	dysco_hold_early(agent, punt, now_ns);
	if (agent->core.stats.counters[DYSCO_COUNTER_SESSIONS_STARTED] != started &&
	    punt->input.policy != DYSCO_NO_POLICY) {
		agent->counts[punt->input.policy].matched++;
	}
	dysco_agent_perform(agent, punt);
	agent->last_input.data = NULL;
	if (held != 0 && agent->n_held == held) { /* this one came after them, and was not early */
		dysco_hold_retry(agent, now_ns);
	}
	dysco_reconfig_answer(agent);
	dysco_jobs_run(agent, now_ns);
}

bool dysco_agent_receive(struct dysco_agent *agent, uint32_t budget)
{
	struct dysco_punt punt;

	while (budget-- > 0) {
		int result = agent->dp.ops->receive(&agent->dp, &punt);

		if (result == 0) {
			dysco_core_settled(&agent->core);
			return false;
		}
		if (result < 0) {
			dysco_log(DYSCO_LOG_WARN, "cannot read packets from the datapath: %s",
				  agent->dp.error);
			return false;
		}
		packet_received(agent, &punt);
	}
	return true;
}

/* Ports of local sockets, for the hosts whose stack is above an interface. */
static void look_up_ports(struct dysco_agent *agent)
{
	const struct dysco_config *config = agent->config;
	struct dysco_port_bitmap held;

	for (uint16_t h = 0; h < config->setup.n_hosts; h++) {
		bool any = false;

		memset(&held, 0, sizeof(held));
		held.host = config->setup.hosts[h].id;
		for (uint16_t i = 0; i < config->n_attachments; i++) {
			const struct dysco_attachment *a = &config->attachments[i];

			if (a->host == held.host && a->mode == DYSCO_ATTACH_NIC) {
				any = agent->system->ports_held(agent->system->context, a->netns,
								config->setup.port_first,
								&held) == 0 ||
				      any;
			}
		}
		if (any) {
			dysco_core_ports_held(&agent->core, &held);
		}
	}
}

void dysco_agent_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	uint64_t started_ns = dysco_now_ns();
	bool more = true;

	agent->dp.ops->heartbeat(&agent->dp, now_ns);
	while (more && dysco_now_ns() - started_ns < SCAN_BUDGET_NS) {
		more = dysco_core_time_passed(&agent->core, now_ns, SCAN_SLOTS, &agent->actions);
		dysco_agent_perform(agent, NULL);
	}
	dysco_health_tick(agent, now_ns);
	dysco_trace_tick(agent, now_ns);
	dysco_hold_retry(agent, now_ns);
	dysco_late_tick(agent, now_ns);
	dysco_reconfig_answer(agent);
	dysco_reconfig_expire(agent, now_ns);
	dysco_jobs_tick(agent, now_ns);
	if (now_ns - agent->ports_looked_up_ns >= PORTS_INTERVAL_NS) {
		agent->ports_looked_up_ns = now_ns;
		look_up_ports(agent);
	}
	if (now_ns - agent->attachments_checked_ns >= CHECK_INTERVAL_NS) {
		agent->attachments_checked_ns = now_ns;
		dysco_agent_check_attachments(agent);
	}
	if (now_ns - agent->ids_pruned_ns >= PRUNE_INTERVAL_NS) {
		agent->ids_pruned_ns = now_ns;
		dysco_agent_prune_ids(agent);
	}
}
