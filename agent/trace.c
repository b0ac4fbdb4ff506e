/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session trace: a question to the agents along the chain, whose answers come
 * as packets. The client waits; the loop does not. Answers are placed by how
 * many agents away they were given, so order and duplicates do not matter.
 */
#include <string.h>
#include <stdlib.h>

#include "agent/log.h"
#include "agent/show.h"

#define ASKS	    5 /* questions and answers are lost like any other packet */
#define INTERVAL_NS 200000000ull
#define REACH	    (DYSCO_HOPS_MAX + 1) /* hosts to one side, and the own one */

struct place {
	bool answered;
	uint64_t rtt_ns;
	struct dysco_report report;
};

/* What lies to one side of the own host: hops away, 0 is the own host. */
struct side {
	unsigned int known;   /* hosts, as the list has it */
	unsigned int reached; /* the furthest that answered */
	bool ended;	      /* it is an end of the chain: others may have changed it since */
	struct place places[REACH];
};

/* One round of questions; each has a nonce of its own, so that round trips are not mixed up. */
struct ask {
	uint32_t nonce;
	uint64_t at_ns;
};

struct dysco_trace {
	void *client;
	uint32_t slot;
	struct ask asks[ASKS];
	unsigned int n_asks;
	struct dysco_session_id id;
	struct dysco_tuple session;
	struct dysco_address_list list;
	struct side left, right;
};

static json_t *show_leg(const struct dysco_report_leg *leg, const char *side)
{
	json_t *o;

	if (!leg->present) {
		return json_null();
	}
	o = json_object();
	json_object_set_new(o, "side", json_string(side));
	json_object_set_new(o, "host_tuple", dysco_json_tuple(&leg->host));
	json_object_set_new(o, "wire_tuple", dysco_json_tuple(&leg->wire));
	json_object_set_new(o, "state",
			    json_string(dysco_state_name((enum dysco_leg_state)leg->state)));
	json_object_set_new(o, "packets_out", dysco_json_count(leg->packets_out));
	json_object_set_new(o, "bytes_out", dysco_json_count(leg->bytes_out));
	json_object_set_new(o, "packets_in", dysco_json_count(leg->packets_in));
	json_object_set_new(o, "bytes_in", dysco_json_count(leg->bytes_in));
	return o;
}

static const struct dysco_addr *address_of(const struct dysco_trace *trace, const struct place *p,
					   int known)
{
	static const struct dysco_addr none;

	if (p->answered && p->report.left.present) {
		return &p->report.left.wire.src;
	}
	if (p->answered || known == 0) {
		return &trace->session.src;
	}
	return known > 0 && known <= trace->list.count ? &trace->list.hops[known - 1].addr : &none;
}

/* known: its place in the list, the initiator's host being 0. */
static json_t *show_place(const struct dysco_trace *trace, const struct place *p, int known,
			  unsigned int hop)
{
	bool own = p == &trace->left.places[0] || p == &trace->right.places[0];
	json_t *o = json_object();

	json_object_set_new(o, "hop", json_integer((json_int_t)hop));
	json_object_set_new(o, "agent", dysco_json_text(p->report.agent, DYSCO_NAME_BYTES));
	json_object_set_new(o, "host", dysco_json_text(p->report.host, DYSCO_NAME_BYTES));
	json_object_set_new(o, "answered", json_boolean(p->answered));
	json_object_set_new(o, "address", dysco_json_addr(address_of(trace, p, known)));
	json_object_set_new(
	    o, "rtt_us", p->answered && !own ? json_real((double)p->rtt_ns / 1000.0) : json_null());
	json_object_set_new(o, "left", show_leg(&p->report.left, "left"));
	json_object_set_new(o, "right", show_leg(&p->report.right, "right"));
	return o;
}

/* Hosts to a side: as many as have answered, once the last of them says that it is the last. */
static unsigned int hosts_of(const struct side *side)
{
	return side->ended || side->reached > side->known ? side->reached : side->known;
}

static bool side_is_complete(const struct side *side)
{
	for (unsigned int i = 0; i <= side->reached; i++) {
		if (!side->places[i].answered) {
			return false;
		}
	}
	return side->ended;
}

static bool is_complete(const struct dysco_trace *trace)
{
	return side_is_complete(&trace->left) && side_is_complete(&trace->right);
}

static json_t *show_trace(const struct dysco_trace *trace)
{
	json_t *o = json_object(), *hops = json_array();
	unsigned int left = hosts_of(&trace->left);
	int own = (int)trace->left.known;

	for (unsigned int i = left; i > 0; i--) {
		json_array_append_new(
		    hops, show_place(trace, &trace->left.places[i], own - (int)i, left - i));
	}
	for (unsigned int i = 0; i <= hosts_of(&trace->right); i++) {
		json_array_append_new(
		    hops, show_place(trace, &trace->right.places[i], own + (int)i, left + i));
	}
	json_object_set_new(o, "id", dysco_json_id(&trace->id));
	json_object_set_new(o, "session", dysco_json_tuple(&trace->session));
	json_object_set_new(o, "hops", hops);
	json_object_set_new(o, "complete", json_boolean(is_complete(trace)));
	return o;
}

static void finish(struct dysco_agent *agent, struct dysco_trace **at)
{
	struct dysco_trace *trace = *at;

	*at = NULL;
	agent->hooks.answer(agent->hooks.context, trace->client, show_trace(trace));
	free(trace);
}

static struct dysco_trace **free_place(struct dysco_agent *agent)
{
	for (int i = 0; i < DYSCO_TRACES_MAX; i++) {
		if (!agent->traces[i]) {
			return &agent->traces[i];
		}
	}
	return NULL;
}

/* Which place of the chain the leg's host has: cold->list.next differs by side (datapath/leg.h). */
static unsigned int place_of(const struct dysco_leg *leg, const struct dysco_leg_cold *cold)
{
	bool left = leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_LAST;

	return cold->list.next + (left ? 1u : 0u);
}

static struct dysco_trace *new_trace(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	struct dysco_trace *trace = calloc(1, sizeof(*trace));

	if (!trace) {
		return NULL;
	}
	trace->id = cold->id;
	trace->session = cold->session;
	trace->list = cold->list;
	trace->left.known = place_of(&agent->core.table->legs[slot], cold);
	trace->right.known = cold->list.count - trace->left.known;
	trace->slot = slot;
	return trace;
}

/* false: the session's leg is gone. */
static bool ask(struct dysco_agent *agent, struct dysco_trace *trace, uint64_t now_ns)
{
	const struct dysco_leg_cold *cold = &agent->core.table->cold[trace->slot];
	struct ask *new = &trace->asks[trace->n_asks];

	if (memcmp(&cold->id, &trace->id, sizeof(cold->id)) != 0) {
		return false;
	}
	new->at_ns = now_ns;
	new->nonce = dysco_core_trace(&agent->core, trace->slot, &agent->actions);
	trace->n_asks += new->nonce != 0;
	return new->nonce != 0;
}

int dysco_trace_start(struct dysco_agent *agent, void *client, uint32_t slot,
		      struct dysco_conf_error *error)
{
	struct dysco_trace **at = free_place(agent);

	if (!at) {
		return dysco_conf_fail(error, "limit", "try again in a second",
				       "more than %d traces at once", DYSCO_TRACES_MAX);
	}
	*at = new_trace(agent, slot);
	if (!*at) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	(*at)->client = client;
	if (!ask(agent, *at, dysco_now_ns())) {
		free(*at);
		*at = NULL;
		return dysco_conf_fail(error, "unknown_session", "dysco session list",
				       "the session has just ended");
	}
	dysco_agent_perform(agent, NULL);
	return 0;
}

static const struct ask *ask_of(const struct dysco_trace *trace, uint32_t nonce)
{
	for (unsigned int i = 0; i < trace->n_asks; i++) {
		if (trace->asks[i].nonce == nonce) {
			return &trace->asks[i];
		}
	}
	return NULL;
}

/* An answer from so many hops away. */
static void side_replied(struct side *side, const struct dysco_msg_trace_reply *reply, bool ended,
			 uint64_t rtt_ns)
{
	unsigned int hop = reply->trace.hop;

	if (hop >= REACH || side->places[hop].answered) {
		return;
	}
	side->places[hop] =
	    (struct place){.answered = true, .rtt_ns = rtt_ns, .report = reply->report};
	side->reached = hop > side->reached ? hop : side->reached;
	side->ended = side->ended || ended;
}

static void replied(struct dysco_trace *trace, const struct ask *asked,
		    const struct dysco_msg_trace_reply *reply)
{
	bool first = !reply->report.left.present, last = !reply->report.right.present;
	bool leftward = reply->trace.flags & DYSCO_TRACE_LEFTWARD;
	uint64_t rtt_ns = dysco_now_ns() - asked->at_ns;

	if (leftward || reply->trace.hop == 0) {
		side_replied(&trace->left, reply, first, rtt_ns);
	}
	if (!leftward) {
		side_replied(&trace->right, reply, last, rtt_ns);
	}
}

void dysco_trace_replied(struct dysco_agent *agent, const struct dysco_msg_trace_reply *reply)
{
	for (int i = 0; i < DYSCO_TRACES_MAX; i++) {
		struct dysco_trace *trace = agent->traces[i];
		const struct ask *asked = trace ? ask_of(trace, reply->trace.nonce) : NULL;

		if (asked) {
			replied(trace, asked, reply);
			if (is_complete(trace)) {
				finish(agent, &agent->traces[i]);
			}
		}
	}
}

/* A trace that has waited for its answers asks again; the last time it ends without them. */
void dysco_trace_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_TRACES_MAX; i++) {
		struct dysco_trace *trace = agent->traces[i];

		if (!trace || trace->asks[trace->n_asks - 1].at_ns + INTERVAL_NS > now_ns) {
			continue;
		}
		if (trace->n_asks == ASKS || !ask(agent, trace, now_ns)) {
			finish(agent, &agent->traces[i]);
		} else {
			dysco_agent_perform(agent, NULL);
		}
	}
}

void dysco_trace_forget(struct dysco_agent *agent, const void *client)
{
	for (int i = 0; i < DYSCO_TRACES_MAX; i++) {
		if (agent->traces[i] && (!client || agent->traces[i]->client == client)) {
			free(agent->traces[i]);
			agent->traces[i] = NULL;
		}
	}
}
