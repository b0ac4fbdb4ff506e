/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions whose box has failed (health.h): by `on-failure` of the policy that gave the
 * chain, the two ends recover without the box, or with another one in its place, or
 * both are reset. What cannot be recovered (no other box is there, a box changed addresses
 * or numbers, or the chain has hosts that this agent does not know of) is closed when
 * patience is over: boxes come back.
 */
#include <string.h>

#include "agent/health.h"
#include "agent/log.h"

#define TRIES_MAX   3			/* recoveries */
#define TELLS_MAX   40			/* times that a host is told that a path is over */
#define TELL_MAX_NS (4 * 1000000000ull) /* between two of them */
#define PAUSE_NS    (500 * DYSCO_NS_PER_MS)

static const struct dysco_leg *leg_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->legs[slot];
}

static const struct dysco_leg_cold *cold_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->cold[slot];
}

static const char *name_of(const struct dysco_agent *agent, const struct dysco_addr *addr,
			   char text[64])
{
	int box = dysco_box_by_address(&agent->config->setup, addr);

	text[0] = '\0';
	if (box >= 0) {
		dysco_config_box_text(text, &agent->config->setup.boxes[box]);
	}
	return text[0] ? text : NULL;
}

/* ---- can it be recovered? ---- */

/*
 * Does each host that answered have the neighbours of the list? If not, an agent on the
 * way has put more hosts into the chain, and nobody here may leave them out.
 */
static bool list_is_whole(const struct dysco_agent *agent, const struct dysco_check *c)
{
	const struct dysco_addr *before = &leg_of(agent, c->slot)->wire_tuple.src;

	for (uint8_t i = 0; i < c->hops; i++) {
		const struct dysco_hop_view *v = &c->hop[i];

		if (v->known &&
		    (!dysco_addr_equal(&v->left_from, before) ||
		     (!v->last && !dysco_addr_equal(&v->right_to, &c->hop[i + 1].addr)))) {
			return false;
		}
		before = &v->addr;
	}
	return true;
}

/* Both ends have the same numbers and the same five-tuple: no box has changed either. */
static bool ends_agree(const struct dysco_agent *agent, const struct dysco_check *c)
{
	const struct dysco_hop_view *r = &c->hop[c->hops - 1];
	struct dysco_tuple back = dysco_tuple_reverse(&r->left_host);
	uint32_t isn = cold_of(agent, c->slot)->isn;

	return r->isn_left == (isn | (isn == 0)) &&
	       dysco_tuple_equal(&back, &leg_of(agent, c->slot)->host_tuple);
}

/* ---- what the policy wants ---- */

static const struct dysco_policy *policy_of(const struct dysco_agent *agent, uint32_t slot)
{
	int i = dysco_config_find_policy(agent->config, cold_of(agent, slot)->policy);

	return i < 0 ? NULL : &agent->config->setup.policies[i];
}

static bool list_has(const struct dysco_address_list *list, const struct dysco_addr *addr)
{
	for (uint8_t i = 0; i < list->count; i++) {
		if (dysco_addr_equal(&list->hops[i].addr, addr)) {
			return true;
		}
	}
	return false;
}

static bool type_has(const struct dysco_type *type, int box)
{
	for (uint16_t i = 0; i < type->count; i++) {
		if (type->boxes[i] == box) {
			return true;
		}
	}
	return false;
}

/* A box of this type that is up and not in the chain, with the fewest sessions; NULL: none. */
static const struct dysco_addr *other_of_type(const struct dysco_agent *agent,
					      const struct dysco_type *type,
					      const struct dysco_address_list *chain, bool ip4)
{
	const struct dysco_addr *best = NULL;
	uint32_t least = 0;

	for (uint16_t i = 0; i < type->count; i++) {
		uint16_t n = type->boxes[i];
		const struct dysco_box *box = &agent->config->setup.boxes[n];
		const struct dysco_addr *addr = ip4 ? &box->ip4 : &box->ip6;

		if (dysco_addr_is_zero(addr) || list_has(chain, addr) ||
		    agent->health->box[n].state != DYSCO_BOX_UP || box->draining) {
			continue;
		}
		if (!best || agent->core.box_sessions[n] < least) {
			best = addr;
			least = agent->core.box_sessions[n];
		}
	}
	return best;
}

static const struct dysco_addr *another(const struct dysco_agent *agent,
					const struct dysco_policy *policy,
					const struct dysco_addr *failed,
					const struct dysco_address_list *chain)
{
	const struct dysco_setup *setup = &agent->config->setup;
	int box = dysco_box_by_address(setup, failed);

	for (uint8_t i = 0; box >= 0 && i < policy->n_hops; i++) {
		const struct dysco_policy_hop *hop = &policy->hops[i];

		if (hop->kind == DYSCO_HOP_TYPE && type_has(&setup->types[hop->index], box)) {
			return other_of_type(agent, &setup->types[hop->index], chain,
					     dysco_addr_is_ip4(failed));
		}
	}
	return NULL;
}

/* The new path, right end last; false: the policy does not allow one. */
static bool make_path(const struct dysco_agent *agent, const struct dysco_check *c,
		      const struct dysco_policy *policy, struct dysco_address_list *path)
{
	const struct dysco_address_list *chain = &cold_of(agent, c->slot)->list;
	bool bypass =
	    policy->on_failure == DYSCO_ON_FAILURE_BYPASS ||
	    (policy->on_failure == DYSCO_ON_FAILURE_REPLACE && policy->fail == DYSCO_FAIL_OPEN);

	memset(path, 0, sizeof(*path));
	for (uint8_t i = 0; i < c->hops; i++) {
		struct dysco_hop hop = chain->hops[chain->next + i];
		uint8_t fault = c->hop[i].fault;
		const struct dysco_addr *addr = &hop.addr;

		/* a host that has only forgotten the session can have it again */
		if (fault != DYSCO_CAUSE_NONE && fault != DYSCO_CAUSE_FORGOTTEN) {
			addr = policy->on_failure == DYSCO_ON_FAILURE_REPLACE
				   ? another(agent, policy, &c->hop[i].addr, chain)
				   : NULL;
			if (!addr && (!bypass || (hop.flags & DYSCO_HOP_MANDATORY))) {
				return false;
			}
		}
		if (addr) {
			hop.addr = *addr;
			path->hops[path->count++] = hop;
		}
	}
	return true;
}

/* ---- what is done ---- */

static struct dysco_mend *find_room(struct dysco_health *health)
{
	for (int i = 0; i < DYSCO_MENDS_MAX; i++) {
		if (health->mend[i].state == DYSCO_MEND_NONE) {
			return &health->mend[i];
		}
	}
	return NULL;
}

static void report_faults(struct dysco_agent *agent, const struct dysco_check *c)
{
	for (uint8_t i = 0; i < c->hops; i++) {
		char text[64];

		if (c->hop[i].fault != DYSCO_CAUSE_NONE) {
			dysco_health_say(agent, "path_broken", c->slot,
					 name_of(agent, &c->hop[i].addr, text),
					 dysco_cause_name(c->hop[i].fault));
		}
	}
}

static void begin_closing(struct dysco_agent *agent, uint64_t now_ns, struct dysco_mend *m)
{
	m->state = DYSCO_MEND_CLOSES;
	m->tries = 0;
	m->next_ns = now_ns;
	agent->core.stats.counters[DYSCO_COUNTER_CLOSED_FAILED]++;
	dysco_health_say(agent, "closed_failed", m->slot, NULL, NULL);
	if (dysco_core_kill(&agent->core, now_ns, m->slot, &agent->actions)) {
		dysco_agent_perform(agent, NULL);
	}
}

static bool is_overdue(const struct dysco_agent *agent, uint32_t slot, uint64_t now_ns)
{
	uint64_t since_ns = agent->health->watch[slot].broken_ns;

	return now_ns - (since_ns ? since_ns : now_ns) >=
	       agent->config->health.patience_ms * DYSCO_NS_PER_MS;
}

static bool can_recover(const struct dysco_agent *agent, const struct dysco_check *c,
			const struct dysco_policy *policy, struct dysco_address_list *path)
{
	return policy && list_is_whole(agent, c) && ends_agree(agent, c) &&
	       make_path(agent, c, policy, path);
}

void dysco_mend_begin(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_check *c)
{
	bool overdue = is_overdue(agent, c->slot, now_ns);
	const struct dysco_policy *policy = policy_of(agent, c->slot);
	struct dysco_mend *m = find_room(agent->health);
	struct dysco_address_list path = {0};
	bool close = policy && policy->on_failure == DYSCO_ON_FAILURE_CLOSE;
	bool in_vain = overdue && agent->health->watch[c->slot].tried;
	bool recovers = !close && !in_vain && can_recover(agent, c, policy, &path);

	if (agent->health->watch[c->slot].broken_ns == 0) {
		report_faults(agent, c);
	}
	if (!m || (policy && policy->on_failure == DYSCO_ON_FAILURE_NONE)) {
		return;
	}
	if (!recovers && !close && !overdue) {
		return;
	}
	*m = (struct dysco_mend){.state = DYSCO_MEND_WAITS,
				 .slot = c->slot,
				 .host = leg_of(agent, c->slot)->host,
				 .next_ns = now_ns,
				 .path = path,
				 .id = c->id};
	for (uint8_t i = 0; i < c->hops; i++) {
		m->tell.hops[m->tell.count++].addr = c->hop[i].addr;
	}
	if (!recovers) {
		begin_closing(agent, now_ns, m);
	}
}

bool dysco_mend_has(const struct dysco_agent *agent, uint32_t slot)
{
	for (int i = 0; i < DYSCO_MENDS_MAX; i++) {
		const struct dysco_mend *m = &agent->health->mend[i];

		if (m->state != DYSCO_MEND_NONE && m->slot == slot && !m->recovered) {
			return true;
		}
	}
	return false;
}

static bool is_its_session(const struct dysco_agent *agent, const struct dysco_mend *m)
{
	return leg_of(agent, m->slot)->mode != DYSCO_MODE_FREE &&
	       leg_of(agent, m->slot)->host == m->host &&
	       memcmp(&cold_of(agent, m->slot)->id, &m->id, sizeof(m->id)) == 0;
}

static void recover(struct dysco_agent *agent, uint64_t now_ns, struct dysco_mend *m)
{
	uint32_t index;

	if (leg_of(agent, m->slot)->mode != DYSCO_MODE_FAST) {
		m->state = DYSCO_MEND_NONE; /* it has ended by itself */
		return;
	}
	/* The old path was no path meanwhile: whether it is one again the next look says. */
	if (m->tries++ >= TRIES_MAX) {
		m->state = DYSCO_MEND_NONE;
		agent->health->watch[m->slot].tried = true;
		return;
	}
	m->next_ns = now_ns + PAUSE_NS;
	index = dysco_core_reconfigure(&agent->core, now_ns, m->slot, DYSCO_KIND_RECOVERY, &m->path,
				       &agent->actions);
	if (index != DYSCO_NO_ATTEMPT) {
		m->state = DYSCO_MEND_RECOVERS;
		m->attempt = index;
		m->attempt_nonce = agent->core.table->attempts[index].nonce;
	} else {
		agent->core.stats.counters[DYSCO_COUNTER_RECOVERY_FAILED]++;
	}
	dysco_agent_perform(agent, NULL);
}

/*
 * Those that answer need not be told again. A host that was gone may come back, and its
 * box with a session that is over; as long as the session is there, somebody tells it.
 */
static void tell(struct dysco_agent *agent, uint64_t now_ns, struct dysco_mend *m)
{
	struct dysco_question q = {.beside = m->slot, .flags = DYSCO_PROBE_CLOSE, .id = &m->id};
	uint64_t pause_ns;

	if (m->tries++ >= TELLS_MAX || m->tell.count == 0) {
		m->state = DYSCO_MEND_NONE;
		return;
	}
	pause_ns = (uint64_t)m->tries * agent->config->health.timeout_ms * DYSCO_NS_PER_MS;
	m->next_ns = now_ns + (pause_ns < TELL_MAX_NS ? pause_ns : TELL_MAX_NS);
	m->nonce = m->nonce ? m->nonce : dysco_health_nonce(agent->health);
	q.nonce = m->nonce;
	for (uint8_t i = 0; i < m->tell.count; i++) {
		q.to = &m->tell.hops[i].addr;
		dysco_health_ask(agent, now_ns, &q);
	}
}

void dysco_mend_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_MENDS_MAX; i++) {
		struct dysco_mend *m = &agent->health->mend[i];

		if (m->state == DYSCO_MEND_NONE || now_ns < m->next_ns) {
			continue;
		}
		if (!is_its_session(agent, m)) {
			m->state = DYSCO_MEND_NONE;
		} else if (m->state == DYSCO_MEND_WAITS) {
			recover(agent, now_ns, m);
		} else if (m->state == DYSCO_MEND_CLOSES) {
			tell(agent, now_ns, m);
		}
	}
}

void dysco_mend_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			 const struct dysco_msg_probe_reply *reply)
{
	for (int i = 0; i < DYSCO_MENDS_MAX; i++) {
		struct dysco_mend *m = &agent->health->mend[i];

		if (m->state != DYSCO_MEND_CLOSES || m->nonce != reply->trace.nonce) {
			continue;
		}
		for (uint8_t h = 0; h < m->tell.count; h++) {
			if (dysco_addr_equal(&m->tell.hops[h].addr, from)) {
				m->tell.hops[h] = m->tell.hops[--m->tell.count];
			}
		}
	}
}

/* ---- how a recovery ends ---- */

static void recovered(struct dysco_agent *agent, struct dysco_mend *m, uint32_t slot)
{
	struct dysco_address_list old = m->tell;

	agent->core.stats.counters[DYSCO_COUNTER_RECOVERED]++;
	dysco_health_say(agent, "recovered", slot, NULL, NULL);
	m->slot = slot;
	m->recovered = true;
	m->state = DYSCO_MEND_CLOSES;
	m->tries = 0;
	m->next_ns = 0;
	m->tell.count = 0;
	for (uint8_t i = 0; i < old.count; i++) {
		if (!list_has(&m->path, &old.hops[i].addr)) {
			m->tell.hops[m->tell.count++] = old.hops[i];
		}
	}
}

static bool is_its_end(const struct dysco_agent *agent, const struct dysco_mend *m,
		       const struct dysco_action *action)
{
	const struct dysco_attempt *a = &agent->core.table->attempts[m->attempt];

	if (m->state != DYSCO_MEND_RECOVERS) {
		return false;
	}
	return action->event == DYSCO_EVENT_RECONFIG_FAILED
		   ? action->slot == m->slot && a->nonce != m->attempt_nonce
		   : a->nonce == m->attempt_nonce && a->role == DYSCO_PART_LEFT_ANCHOR &&
			 a->new_slot == action->slot;
}

void dysco_mend_event(struct dysco_agent *agent, const struct dysco_action *action)
{
	for (int i = 0; i < DYSCO_MENDS_MAX; i++) {
		struct dysco_mend *m = &agent->health->mend[i];

		if (!is_its_end(agent, m, action)) {
			continue;
		}
		if (action->event == DYSCO_EVENT_RECONFIGURED) {
			recovered(agent, m, action->slot);
		} else {
			m->state = DYSCO_MEND_WAITS;
			agent->core.stats.counters[DYSCO_COUNTER_RECOVERY_FAILED]++;
		}
	}
}
