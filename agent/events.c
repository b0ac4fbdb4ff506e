/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the core reports: to the log, and as JSON to those who monitor.
 */
#include <string.h>

#include "agent/health.h"
#include "agent/log.h"
#include "agent/show.h"
#include "rewrite/packet.h"

static const char *event_name(unsigned int event)
{
	static const char *const names[] = {
	    [DYSCO_EVENT_SESSION_STARTED] = "session_started",
	    [DYSCO_EVENT_SESSION_JOINED] = "session_joined",
	    [DYSCO_EVENT_ESTABLISHED] = "established",
	    [DYSCO_EVENT_CLOSED] = "closed",
	    [DYSCO_EVENT_RESET] = "reset",
	    [DYSCO_EVENT_REFUSED] = "refused",
	    [DYSCO_EVENT_EXPIRED] = "expired",
	    [DYSCO_EVENT_KILLED] = "killed",
	    [DYSCO_EVENT_BYPASSED] = "bypassed",
	    [DYSCO_EVENT_DROPPED] = "dropped",
	    [DYSCO_EVENT_RECONFIGURED] = "reconfigured",
	    [DYSCO_EVENT_RECONFIG_FAILED] = "reconfig_failed",
	    [DYSCO_EVENT_ADOPTED] = "adopted",
	    [DYSCO_EVENT_WITHDRAWN] = "withdrawn",
	};

	return event < sizeof(names) / sizeof(names[0]) && names[event] ? names[event] : NULL;
}

/* The five-tuple, host and policy of a packet that has no leg (yet). */
static void describe_packet(const struct dysco_agent *agent, json_t *o)
{
	const struct dysco_input *in = &agent->last_input;
	const struct dysco_setup *setup = &agent->config->setup;
	const struct dysco_host *host = dysco_setup_host(setup, in->host);
	struct dysco_packet p;
	bool tcp =
	    dysco_packet_parse(&p, in->data, in->data + in->bytes, in->bytes) == DYSCO_PARSE_TCP;

	json_object_set_new(o, "session", tcp ? dysco_json_tuple(&p.tuple) : json_null());
	json_object_set_new(o, "host", host ? json_string(host->name) : json_null());
	json_object_set_new(o, "policy",
			    in->policy < setup->n_policies
				? json_string(setup->policies[in->policy].name)
				: json_null());
}

static void describe_leg(const struct dysco_agent *agent, uint32_t slot, json_t *o)
{
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	const struct dysco_host *host =
	    dysco_setup_host(&agent->config->setup, agent->core.table->legs[slot].host);

	json_object_set_new(o, "id", dysco_json_id(&cold->id));
	json_object_set_new(o, "session", dysco_json_tuple(&cold->session));
	json_object_set_new(o, "host", host ? json_string(host->name) : json_null());
	json_object_set_new(o, "policy", dysco_json_text(cold->policy, sizeof(cold->policy)));
}

static json_t *reason_json(const struct dysco_action *action)
{
	if (action->event == DYSCO_EVENT_RECONFIG_FAILED) {
		return dysco_json_nack(action->reason);
	}
	return action->reason == DYSCO_REASON_NONE ? json_null()
						   : json_string(dysco_reason_name(action->reason));
}

/* What every event has; the rest is null yet. */
static json_t *new_event(const char *name)
{
	uint64_t now_ns = dysco_now_ns();
	json_t *o = json_object();

	json_object_set_new(o, "time", dysco_json_time(now_ns, now_ns));
	json_object_set_new(o, "event", json_string(name));
	json_object_set_new(o, "id", json_null());
	json_object_set_new(o, "session", json_null());
	json_object_set_new(o, "host", json_null());
	json_object_set_new(o, "policy", json_null());
	json_object_set_new(o, "reason", json_null());
	return o;
}

static json_t *event_json(const struct dysco_agent *agent, const struct dysco_action *action)
{
	json_t *o = new_event(event_name(action->event));

	if (action->slot != DYSCO_NO_SLOT) {
		describe_leg(agent, action->slot, o);
	} else if (agent->last_input.data) {
		describe_packet(agent, o);
	}
	json_object_set_new(o, "reason", reason_json(action));
	return o;
}

void dysco_health_say(struct dysco_agent *agent, const char *event, uint32_t slot, const char *box,
		      const char *reason)
{
	json_t *o;

	if (!agent->hooks.listening(agent->hooks.context)) {
		return;
	}
	o = new_event(event);
	if (slot != DYSCO_NO_SLOT) {
		describe_leg(agent, slot, o);
	}
	json_object_set_new(o, "box", box ? json_string(box) : json_null());
	json_object_set_new(o, "reason", reason ? json_string(reason) : json_null());
	agent->hooks.event(agent->hooks.context, o);
	json_decref(o);
}

/* What an operator should hear of without asking: the agent has run out of something. */
static void log_event(const struct dysco_action *action)
{
	if (action->event != DYSCO_EVENT_DROPPED) {
		return;
	}
	switch (action->reason) {
	case DYSCO_REASON_NO_PORTS:
		dysco_log(DYSCO_LOG_WARN, "a session is refused: all port pairs towards its next "
					  "hop are in use (widen `ports`)");
		break;
	case DYSCO_REASON_LEGS_FULL:
		dysco_log(DYSCO_LOG_WARN,
			  "a session is refused: the leg table is full (raise `legs`)");
		break;
	case DYSCO_REASON_SENDERS_FULL:
		dysco_log(DYSCO_LOG_WARN, "a signed message is refused: more signing agents than "
					  "the replay table holds");
		break;
	default:
		dysco_log(DYSCO_LOG_DEBUG, "dropped: %s", dysco_reason_name(action->reason));
		break;
	}
}

static bool is_reconfiguration(const struct dysco_action *action)
{
	return action->event == DYSCO_EVENT_RECONFIGURED ||
	       action->event == DYSCO_EVENT_RECONFIG_FAILED;
}

static void count_reconfiguration(struct dysco_agent *agent, const struct dysco_action *action)
{
	uint64_t *counters = agent->core.stats.counters;

	if (action->event == DYSCO_EVENT_RECONFIGURED) {
		counters[DYSCO_COUNTER_RECONFIGURED]++;
		dysco_reconfig_ended(agent, action);
	} else {
		counters[DYSCO_COUNTER_RECONFIG_FAILED]++;
		dysco_reconfig_ended(agent, action);
	}
}

void dysco_phase_event(const struct dysco_agent *agent, const struct dysco_sight *sight)
{
	const struct dysco_host *host = dysco_setup_host(&agent->config->setup, sight->host);
	json_t *event;

	dysco_log(DYSCO_LOG_DEBUG, "attempt %016llx: %s", (unsigned long long)sight->nonce,
		  sight->over ? "over" : dysco_attempt_state_name(sight->state));
	if (!agent->hooks.listening(agent->hooks.context)) {
		return;
	}
	event = new_event("reconfig_phase");
	json_object_set_new(event, "id", dysco_json_id(&sight->id));
	json_object_set_new(event, "session", dysco_json_tuple(&sight->session));
	json_object_set_new(event, "host", host ? json_string(host->name) : json_null());
	json_object_set_new(event, "attempt", dysco_phases_json(sight, dysco_now_ns()));
	agent->hooks.event(agent->hooks.context, event);
	json_decref(event);
}

void dysco_agent_event(struct dysco_agent *agent, const struct dysco_action *action)
{
	const struct dysco_sight *sight = NULL;
	json_t *event;

	if (action->event == DYSCO_EVENT_TRACE) {
		dysco_trace_replied(agent, &agent->actions.trace);
		return;
	}
	if (action->event == DYSCO_EVENT_ADOPTED) {
		dysco_late_adopted(agent, action->slot);
	}
	if (action->event == DYSCO_EVENT_PROBED || action->event == DYSCO_EVENT_LOOK ||
	    is_reconfiguration(action)) {
		dysco_health_event(agent, action);
	}
	if (is_reconfiguration(action)) {
		sight = dysco_phases_outcome(agent, action);
		count_reconfiguration(agent, action);
	}
	log_event(action);
	if (!event_name(action->event) || !agent->hooks.listening(agent->hooks.context)) {
		return;
	}
	event = event_json(agent, action);
	if (is_reconfiguration(action)) {
		json_object_set_new(event, "attempt",
				    sight ? dysco_phases_json(sight, dysco_now_ns()) : json_null());
	}
	agent->hooks.event(agent->hooks.context, event);
	json_decref(event);
}
