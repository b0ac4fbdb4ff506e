/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stacks of this agent's hosts (agent.h): which of their connections they know,
 * for sessions that no SYN has told of (late.c). Of hosts beyond a port, and machines
 * behind a gateway, connection tracking may know.
 */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/log.h"

static bool has_stack(const struct dysco_agent *agent, const struct dysco_attachment *a,
		      uint16_t host)
{
	return a->host == host && a->mode == DYSCO_ATTACH_NIC && agent->attached[a->id].ifindex;
}

/* Does the host have this address, or is it that of a machine behind it? */
static bool is_own(const struct dysco_agent *agent, uint16_t id, const struct dysco_addr *addr)
{
	const struct dysco_host *host = dysco_setup_host(&agent->config->setup, id);

	for (uint8_t i = 0; host && i < host->n_prefixes; i++) {
		if (host->prefixes[i].bits == 128 &&
		    dysco_addr_equal(&host->prefixes[i].addr, addr)) {
			return true;
		}
	}
	return false;
}

int dysco_stack_find(const struct dysco_agent *agent, uint16_t host,
		     const struct dysco_tuple *tuple, uint16_t *attachment,
		     struct dysco_socket *socket)
{
	const struct dysco_config *config = agent->config;
	int result = -ENODEV;

	for (uint16_t i = 0; i < config->n_attachments && result != 0; i++) {
		const struct dysco_attachment *a = &config->attachments[i];

		if (has_stack(agent, a, host)) {
			result =
			    agent->system->socket(agent->system->context, a->netns, tuple, socket);
			*attachment = a->id;
		}
	}
	return result == -ENOTCONN && !is_own(agent, host, &tuple->src) ? -ENODEV : result;
}

/* ---- all of them ---- */

/* A stack of this host is here, whichever of its attachments it is at. */
static bool is_asked(const struct dysco_agent *agent, uint16_t host)
{
	for (uint16_t i = 0; i < agent->config->n_attachments; i++) {
		if (has_stack(agent, &agent->config->attachments[i], host)) {
			return true;
		}
	}
	return false;
}

struct search {
	struct dysco_agent *agent;
	const struct dysco_host *host;
	dysco_session_fn *take;
	void *to;
};

/* One that stays within the host passes none of its attachments. */
static void search_take(void *context, const struct dysco_tuple *tuple)
{
	const struct search *s = context;

	if (dysco_host_has(s->host, &tuple->src) && !dysco_host_has(s->host, &tuple->dst) &&
	    dysco_core_late_find(&s->agent->core, s->host->id, tuple) == DYSCO_NO_SLOT) {
		s->take(s->to, s->host->id, tuple);
	}
}

/* What the host's own stack has opened or accepted, that stack has told. */
static void search_take_passing(void *context, const struct dysco_tuple *tuple)
{
	const struct search *s = context;

	if (!is_asked(s->agent, s->host->id) || !is_own(s->agent, s->host->id, &tuple->src)) {
		search_take(context, tuple);
	}
}

/* An earlier attachment of the same host in the same namespace: it has been asked. */
static bool was_asked(const struct dysco_agent *agent, uint16_t index, bool stack)
{
	const struct dysco_attachment *b = &agent->config->attachments[index];

	for (uint16_t i = 0; i < index; i++) {
		const struct dysco_attachment *a = &agent->config->attachments[i];

		if (a->host == b->host && strcmp(a->netns, b->netns) == 0 &&
		    (stack ? has_stack(agent, a, b->host) : agent->attached[a->id].ifindex != 0)) {
			return true;
		}
	}
	return false;
}

static void search_at(struct search *search, uint16_t index)
{
	const struct dysco_agent *agent = search->agent;
	const struct dysco_attachment *a = &agent->config->attachments[index];
	const struct dysco_system *system = agent->system;
	int wrong = 0;

	if (has_stack(agent, a, a->host) && !was_asked(agent, index, true)) {
		wrong = system->connections(system->context, a->netns, search_take, search);
	}
	if (wrong != 0) {
		dysco_log(DYSCO_LOG_WARN, "the connections of host %s cannot be listed: %s",
			  search->host->name, strerror(-wrong));
	}
	if (agent->attached[a->id].ifindex && !was_asked(agent, index, false)) {
		wrong = system->passing(system->context, a->netns, search_take_passing, search);
		if (wrong != 0) { /* no module for it, say: there is nothing to be told */
			dysco_log(DYSCO_LOG_DEBUG, "tracked connections of host %s: %s",
				  search->host->name, strerror(-wrong));
		}
	}
}

void dysco_stack_search(struct dysco_agent *agent, dysco_session_fn *take, void *to)
{
	for (uint16_t i = 0; i < agent->config->n_attachments; i++) {
		const struct dysco_attachment *a = &agent->config->attachments[i];
		struct search search = {agent, dysco_setup_host(&agent->config->setup, a->host),
					take, to};

		if (search.host) {
			search_at(&search, i);
		}
	}
}
