/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a configuration in force: classifier, attachments, core, reserved
 * ports, in an order that can be undone up to the last step (agent.h).
 */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/health.h"
#include "agent/job.h"
#include "agent/journal.h"
#include "agent/log.h"
#include "agent/urgent.h"

static bool same_attachment(const struct dysco_attachment *a, const struct dysco_attachment *b)
{
	return a->id == b->id && a->host == b->host && a->mode == b->mode &&
	       strcmp(a->mirror, b->mirror) == 0;
}

static const struct dysco_attachment *find_attachment(const struct dysco_config *config,
						      uint16_t id)
{
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		if (config->attachments[i].id == id) {
			return &config->attachments[i];
		}
	}
	return NULL;
}

static int fail_interface(const struct dysco_attachment *a, int wrong,
			  struct dysco_conf_error *error)
{
	if (wrong == -ENOENT) {
		return dysco_conf_fail(error, "unknown_netns", "ip netns list",
				       "attach %s: network namespace '%s' does not exist",
				       a->ifname, a->netns);
	}
	if (wrong == -ENODEV) {
		return dysco_conf_fail(error, "unknown_interface", "ip link show",
				       "attach %s: there is no such interface%s%s", a->ifname,
				       a->netns[0] ? " in namespace " : "", a->netns);
	}
	return dysco_conf_fail(error, "internal", NULL, "attach %s: %s", a->ifname,
			       strerror(-wrong));
}

static int attach(struct dysco_agent *agent, const struct dysco_attachment *a,
		  struct dysco_conf_error *error)
{
	struct dysco_interface interface;
	int wrong =
	    agent->system->interface(agent->system->context, a->netns, a->ifname, &interface);

	agent->attached[a->id].ifindex = 0;
	if (wrong != 0) {
		return fail_interface(a, wrong, error);
	}
	/* loading programs takes a while, and there may be many to load */
	agent->dp.ops->heartbeat(&agent->dp, dysco_now_ns());
	if (agent->dp.ops->attach(&agent->dp, a) != 0) {
		return dysco_conf_fail(error, "datapath", NULL, "attach %s: %s", a->ifname,
				       agent->dp.error);
	}
	agent->attached[a->id].ifindex = interface.index;
	agent->attached[a->id].complained = false;
	dysco_log(DYSCO_LOG_INFO, "attached %s %s%s%s",
		  a->mode == DYSCO_ATTACH_PORT ? "port" : "nic", a->ifname,
		  a->netns[0] ? " in namespace " : "", a->netns);
	return 0;
}

static void detach(struct dysco_agent *agent, const struct dysco_attachment *a)
{
	int wrong = agent->dp.ops->detach(&agent->dp, a);

	memset(&agent->attached[a->id], 0, sizeof(agent->attached[a->id]));
	if (wrong == 0) {
		dysco_log(DYSCO_LOG_INFO, "detached %s%s%s", a->ifname,
			  a->netns[0] ? " in namespace " : "", a->netns);
	} else if (wrong != -ENOENT && wrong != -ENODEV) {
		dysco_log(DYSCO_LOG_WARN, "detach %s: %s", a->ifname, agent->dp.error);
	}
}

/* Undoes attach_new() for the first n attachments of a configuration that is not to be. */
static void attach_undo(struct dysco_agent *agent, const struct dysco_config *config, uint16_t n)
{
	struct dysco_conf_error ignored;

	for (uint16_t i = 0; i < n; i++) {
		const struct dysco_attachment *a = &config->attachments[i];
		const struct dysco_attachment *old = find_attachment(agent->config, a->id);

		if (!old) {
			detach(agent, a);
		} else if (!same_attachment(a, old)) {
			attach(agent, old, &ignored);
		}
	}
}

static int attach_new(struct dysco_agent *agent, const struct dysco_config *config, bool patient,
		      struct dysco_conf_error *error)
{
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		const struct dysco_attachment *a = &config->attachments[i];
		const struct dysco_attachment *old = find_attachment(agent->config, a->id);

		if ((old && same_attachment(a, old)) || attach(agent, a, error) == 0) {
			continue;
		}
		if (!patient) {
			attach_undo(agent, config, i);
			return -1;
		}
		agent->attached[a->id].complained = true;
		dysco_log(DYSCO_LOG_WARN, "%s: will be tried again", error->message);
	}
	return 0;
}

static void detach_old(struct dysco_agent *agent, const struct dysco_config *old)
{
	for (uint16_t i = 0; i < old->n_attachments; i++) {
		if (!find_attachment(agent->config, old->attachments[i].id)) {
			detach(agent, &old->attachments[i]);
		}
	}
}

static bool has_nic(const struct dysco_config *config, const char *netns)
{
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		const struct dysco_attachment *a = &config->attachments[i];

		if (a->mode == DYSCO_ATTACH_NIC && strcmp(a->netns, netns) == 0) {
			return true;
		}
	}
	return false;
}

/* The kernel is not to give away the ports of subsessions where a host's stack is. */
static void reserve_ports(struct dysco_agent *agent, const struct dysco_config *old)
{
	const struct dysco_config *config = agent->config;
	struct dysco_system *system = agent->system;

	for (uint16_t i = 0; i < old->n_attachments; i++) {
		if (!has_nic(config, old->attachments[i].netns)) {
			system->ports_release(system->context, old->attachments[i].netns);
		}
	}
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		const struct dysco_attachment *a = &config->attachments[i];
		int wrong;

		if (a->mode != DYSCO_ATTACH_NIC || agent->attached[a->id].ifindex == 0) {
			continue;
		}
		wrong = system->ports_reserve(system->context, a->netns, config->setup.port_first,
					      config->setup.port_last);
		if (wrong != 0) {
			dysco_log(DYSCO_LOG_WARN,
				  "cannot reserve the ports of subsessions for %s: %s", a->ifname,
				  strerror(-wrong));
		}
	}
}

static int set_classifier(struct dysco_agent *agent, const struct dysco_config *config,
			  struct dysco_conf_error *error)
{
	struct dysco_classifier_rule *rules = calloc(DYSCO_POLICIES_MAX, sizeof(*rules));
	int wrong;

	if (!rules) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	wrong = agent->dp.ops->set_classifier(&agent->dp, rules, dysco_config_rules(config, rules));
	free(rules);
	return wrong == 0
		   ? 0
		   : dysco_conf_fail(error, "datapath", NULL, "classifier: %s", agent->dp.error);
}

/* What each policy has matched goes with its name. */
static void move_counts(struct dysco_agent *agent, const struct dysco_config *config)
{
	struct dysco_policy_count old[DYSCO_POLICIES_MAX];

	memcpy(old, agent->counts, sizeof(old));
	memset(agent->counts, 0, sizeof(agent->counts));
	for (uint16_t i = 0; i < config->setup.n_policies; i++) {
		int was = dysco_config_find_policy(agent->config, config->setup.policies[i].name);

		memcpy(agent->counts[i].name, config->setup.policies[i].name, DYSCO_NAME_BYTES);
		agent->counts[i].matched = was < 0 ? 0 : old[was].matched;
	}
}

int dysco_agent_change(struct dysco_agent *agent, struct dysco_config *config, bool patient,
		       struct dysco_conf_error *error)
{
	struct dysco_config *old = agent->config;
	struct dysco_conf_error ignored;
	uint32_t ended;

	if (set_classifier(agent, config, error) != 0) {
		return -1;
	}
	/* what takes attachments away cannot fail from here on: it makes none, or is patient */
	ended = dysco_agent_end_orphans(agent, config);
	if (attach_new(agent, config, patient, error) != 0) {
		set_classifier(agent, old, &ignored);
		return -1;
	}
	if (ended > 0) {
		dysco_log(DYSCO_LOG_INFO, "%u sessions ended with their attachments", ended);
	}
	move_counts(agent, config);
	agent->config = config;
	agent->changes++;
	dysco_core_setup_changed(&agent->core, &config->setup);
	dysco_health_changed(agent, old);
	detach_old(agent, old);
	reserve_ports(agent, old);
	dysco_log_set_level(config->log_level);
	dysco_urgent_want(config->realtime);
	dysco_config_free(old);
	agent->ports_looked_up_ns = 0;
	agent->hooks.datapath_changed(agent->hooks.context);
	return (int)ended;
}

/* Does this policy differ between two configurations, and want its sessions to be moved then? */
static bool wants_move(const struct dysco_config *config, uint16_t i,
		       const struct dysco_config *other)
{
	const struct dysco_policy *p = &config->setup.policies[i];
	int j = dysco_config_find_policy(other, p->name);

	return p->existing == DYSCO_EXISTING_MOVE &&
	       (j < 0 || !dysco_config_policy_same(config, i, other, j));
}

/* The names of those, once each; NULL: there are none. */
static char (*policies_to_move(const struct dysco_config *old, const struct dysco_config *new,
			       uint16_t *n))[DYSCO_NAME_BYTES]
{
	char(*names)[DYSCO_NAME_BYTES] = calloc(2ul * DYSCO_POLICIES_MAX, sizeof(*names));

	*n = 0;
	for (uint16_t i = 0; names && i < new->setup.n_policies; i++) {
		if (wants_move(new, i, old)) {
			memcpy(names[(*n)++], new->setup.policies[i].name, sizeof(*names));
		}
	}
	for (uint16_t i = 0; names && i < old->setup.n_policies; i++) {
		if (dysco_config_find_policy(new, old->setup.policies[i].name) < 0 &&
		    wants_move(old, i, new)) {
			memcpy(names[(*n)++], old->setup.policies[i].name, sizeof(*names));
		}
	}
	if (*n == 0) {
		free(names);
		return NULL;
	}
	return names;
}

/* As dysco_agent_change(), and moves the sessions of policies that are so (`existing move`). */
static int change_and_move(struct dysco_agent *agent, struct dysco_config *next, bool patient,
			   uint32_t *job, struct dysco_conf_error *error)
{
	uint16_t n;
	char(*policies)[DYSCO_NAME_BYTES] = policies_to_move(agent->config, next, &n);
	int ended = dysco_agent_change(agent, next, patient, error);
	struct dysco_conf_error wrong;
	struct dysco_order *order;

	*job = 0;
	if (ended < 0 || !policies) {
		free(policies);
		return ended;
	}
	order = dysco_order_for_policies(policies, n);
	*job = order ? dysco_job_start(agent, NULL, order, &wrong) : 0;
	if (*job == 0) {
		dysco_log(DYSCO_LOG_WARN, "sessions are not moved to their new chains: %s",
			  order ? wrong.message : "out of memory");
	}
	return ended;
}

int dysco_agent_statement(struct dysco_agent *agent, const struct dysco_words *words, uint32_t *job,
			  struct dysco_conf_error *error)
{
	struct dysco_config *next = dysco_config_copy(agent->config);
	int ended = -1;

	if (!next) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	if (dysco_config_apply(next, DYSCO_CONF_SOCKET, words, error) == 0 &&
	    dysco_config_check(next, error) == 0) {
		ended = change_and_move(agent, next, false, job, error);
	}
	if (ended < 0) {
		dysco_config_free(next);
		return -1;
	}
	if (!dysco_journal_add(agent->journal, agent->base, words)) {
		dysco_log(DYSCO_LOG_WARN,
			  "no room to remember the change: it is lost when the agent restarts");
	}
	agent->hooks.store(agent->hooks.context);
	return ended;
}

int dysco_agent_reload(struct dysco_agent *agent, struct dysco_config *base,
		       struct dysco_conf_error *error)
{
	struct dysco_config *next = dysco_journal_replay(agent->journal, base);
	uint32_t job;

	if (!next) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	if (next->legs != agent->config->legs) {
		dysco_log(DYSCO_LOG_INFO, "legs: the capacity changes when the agent is restarted");
		next->legs = agent->config->legs;
	}
	if (change_and_move(agent, next, true, &job, error) < 0) {
		dysco_config_free(next);
		return -1;
	}
	dysco_journal_settle(agent->journal);
	dysco_config_free(agent->base);
	agent->base = base;
	agent->state_changed = true;
	return 0;
}

/* Logs once, and again only after the attachment has been in force. */
static void note_gone(struct dysco_agent *agent, const struct dysco_attachment *a)
{
	struct dysco_attached *attached = &agent->attached[a->id];

	attached->ifindex = 0;
	if (!attached->complained) {
		attached->complained = true;
		dysco_log(DYSCO_LOG_INFO, "interface %s%s%s is gone, waiting for it", a->ifname,
			  a->netns[0] ? " in namespace " : "", a->netns);
	}
}

/* Whoever took the programs off took the policies off the interface, and may not know it. */
static void note_taken_off(struct dysco_agent *agent, const struct dysco_attachment *a)
{
	agent->attached[a->id].restored++;
	dysco_log(DYSCO_LOG_WARN,
		  "somebody took our programs off %s%s%s: they are put back; sessions that began "
		  "meanwhile have no chain",
		  a->ifname, a->netns[0] ? " in namespace " : "", a->netns);
}

static bool find_interface(const struct dysco_agent *agent, const struct dysco_attachment *a,
			   struct dysco_interface *interface)
{
	return agent->system->interface(agent->system->context, a->netns, a->ifname, interface) ==
	       0;
}

/* True when it had to be attached, and was. */
static bool check_attachment(struct dysco_agent *agent, const struct dysco_attachment *a)
{
	struct dysco_interface interface;
	struct dysco_conf_error error;
	int there = -ENOENT;
	bool attached;

	if (!find_interface(agent, a, &interface)) {
		note_gone(agent, a);
		return false;
	}
	if (interface.index == agent->attached[a->id].ifindex) {
		there = agent->dp.ops->attached(&agent->dp, a);
	}
	if (there != 0 && there != -ENOENT) {
		return false;
	}
	attached = attach(agent, a, &error) == 0;
	/* An interface that is being removed loses its programs first: nobody took those. */
	if (there == 0 && (attached || find_interface(agent, a, &interface))) {
		note_taken_off(agent, a);
	}
	return attached;
}

void dysco_agent_check_attachments(struct dysco_agent *agent)
{
	bool changed = false;

	for (uint16_t i = 0; i < agent->config->n_attachments; i++) {
		changed = check_attachment(agent, &agent->config->attachments[i]) || changed;
	}
	if (changed) {
		reserve_ports(agent, agent->config);
		agent->hooks.datapath_changed(agent->hooks.context);
	}
}

/* Attachments of an earlier run that nobody wants any more: their programs must not go on. */
static void detach_leftovers(struct dysco_agent *agent)
{
	for (uint16_t id = 1; id < DYSCO_ATTACHMENTS_MAX; id++) {
		const struct dysco_id_attachment *known = &agent->ids->attachments[id];
		struct dysco_attachment a = {.id = id};

		if (known->id == 0 || find_attachment(agent->config, id)) {
			continue;
		}
		a.mode = known->port ? DYSCO_ATTACH_PORT : DYSCO_ATTACH_NIC;
		snprintf(a.ifname, sizeof(a.ifname), "%s", known->ifname);
		snprintf(a.netns, sizeof(a.netns), "%s", known->netns);
		detach(agent, &a);
		agent->system->ports_release(agent->system->context, a.netns);
	}
}

int dysco_agent_start(struct dysco_agent *agent, struct dysco_config *config,
		      const struct dysco_core_seed *seed, struct dysco_conf_error *error)
{
	struct dysco_config *next = dysco_journal_replay(agent->journal, config);

	agent->base = config;
	agent->config = dysco_config_new(agent->ids);
	agent->started_ns = dysco_now_ns();
	if (!next || !agent->config) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	dysco_core_start(&agent->core, &agent->dp.table, &next->setup, seed);
	agent->core.settles = true;
	if (dysco_health_start(agent) != 0) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	agent->core.knows_late = true;
	agent->core.keeps_chains = true;
	dysco_late_resume(agent);
	agent->phases.moves = agent->core.attempt_moves - 1; /* attempts of the agent before */
	agent->dp.ops->heartbeat(&agent->dp, agent->started_ns);
	if (dysco_agent_change(agent, next, true, error) < 0) {
		dysco_config_free(next);
		return -1;
	}
	dysco_journal_settle(agent->journal);
	detach_leftovers(agent);
	dysco_agent_prune_ids(agent);
	agent->state_changed = true;
	return 0;
}

void dysco_agent_stop(struct dysco_agent *agent)
{
	dysco_trace_forget(agent, NULL);
	dysco_jobs_stop(agent);
	dysco_late_stop(agent);
	dysco_fault_stop(agent);
	dysco_hold_stop(agent);
	dysco_phases_free(&agent->phases);
	dysco_health_stop(agent);
	dysco_config_free(agent->config);
	dysco_config_free(agent->base);
	dysco_journal_free(agent->journal);
	free(agent->ids);
}
