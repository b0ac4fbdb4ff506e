/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reconfigurations that somebody waits for: a client that asked for one
 * (session insert, remove, replace), or a job (job.h). The left anchor is one of
 * this agent's hosts; plan.c says which, and the new path. The loop waits for
 * nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/job.h"
#include "agent/log.h"

#define TRIES	3		     /* of a change, as long as others change the chain, too */
#define WAIT_NS (60 * 1000000000ull) /* an attempt that fails by time-outs takes half of it */

struct nack {
	const char *name, *text;
};

static const struct nack *nack_of(unsigned int reason)
{
	static const struct nack nacks[] = {
#define X(sym, name, text) {name, text},
	    DYSCO_NACKS(X)
#undef X
	};
	static const struct nack unknown = {"unknown", "for a reason not known here"};

	return reason < DYSCO_NACK_COUNT ? &nacks[reason] : &unknown;
}

const char *dysco_nack_name(unsigned int reason)
{
	return nack_of(reason)->name;
}

const char *dysco_nack_text(unsigned int reason)
{
	return nack_of(reason)->text;
}

json_t *dysco_json_nack(unsigned int reason)
{
	return json_string(dysco_nack_name(reason));
}

/* ---- waiting for the end ---- */

/* Of the actions of an attempt that did not begin. */
static enum dysco_nack refused(const struct dysco_actions *actions)
{
	enum dysco_nack reason = DYSCO_NACK_RESOURCES;

	for (uint32_t i = 0; i < actions->count; i++) {
		if (actions->list[i].kind == DYSCO_ACT_EVENT &&
		    actions->list[i].event == DYSCO_EVENT_RECONFIG_FAILED) {
			reason = (enum dysco_nack)actions->list[i].reason;
		}
	}
	return reason;
}

static json_t *success(const struct dysco_agent *agent, const struct dysco_waiting *w)
{
	struct dysco_passage passage = {.left = agent->core.table->legs[w->done_slot].partner,
					.right = w->done_slot};
	json_t *o = json_object();

	json_object_set_new(o, "id", dysco_json_id(&w->id));
	json_object_set_new(o, "session", dysco_json_tuple(&w->session));
	json_object_set_new(o, "took_us", json_real((double)(w->done_ns - w->asked_ns) / 1000.0));
	json_object_set_new(o, "chain", w->box ? json_null() : dysco_show_chain(agent, &passage));
	return o;
}

/* What late attach knows better than the name of the refusal says. */
static const char *failure_text(const struct dysco_waiting *w, unsigned int reason)
{
	if (w->late && reason == DYSCO_NACK_UNKNOWN) {
		return "the host at the other end has no agent, or no such session";
	}
	if (w->late && reason == DYSCO_NACK_TIMEOUT) {
		return "the agent at the other end does not see the session's packets, or neither "
		       "end's stack is where its agent can ask it (nic)";
	}
	return dysco_nack_text(reason);
}

static json_t *failure(const struct dysco_waiting *w, unsigned int reason)
{
	struct dysco_conf_error error;

	dysco_conf_fail(&error, "not_reconfigured", "the session goes on by its old path", "%s: %s",
			dysco_nack_name(reason), failure_text(w, reason));
	return dysco_error_json(&error);
}

static bool is_used(const struct dysco_waiting *w)
{
	return w->client || w->job;
}

static void forget(struct dysco_agent *agent, struct dysco_waiting *w)
{
	agent->n_done -= w->done_ns != 0 || w->failed != DYSCO_NACK_NONE;
	free(w->wish);
	memset(w, 0, sizeof(*w));
}

/* The attempt is over, or nobody waits any longer for what is left of it. */
static void answer(struct dysco_agent *agent, struct dysco_waiting *w, enum dysco_nack reason)
{
	struct dysco_waiting was = *w;

	forget(agent, w);
	if (was.job) {
		dysco_job_attempt_ended(agent, was.job, was.target, reason, was.done_slot);
	} else {
		agent->hooks.answer(agent->hooks.context, was.client,
				    reason == DYSCO_NACK_NONE ? success(agent, &was)
							      : failure(&was, reason));
	}
}

/* The core gave this index, and the agent's actions, which are carried out. */
static enum dysco_nack wait_for(struct dysco_agent *agent, const struct dysco_waiting *who,
				uint32_t index, uint32_t slot)
{
	struct dysco_waiting *w = &agent->waiting[index % DYSCO_WAITING_MAX];
	const struct dysco_attempt *a = &agent->core.table->attempts[index];
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	enum dysco_nack reason =
	    index == DYSCO_NO_ATTEMPT ? refused(&agent->actions) : DYSCO_NACK_NONE;

	if (reason == DYSCO_NACK_NONE && is_used(w)) {
		answer(agent, w, DYSCO_NACK_EXPIRED);
	}
	if (reason == DYSCO_NACK_NONE) {
		*w = (struct dysco_waiting){.client = who->client,
					    .wish = who->wish,
					    .tries = who->tries,
					    .job = who->job,
					    .target = who->target,
					    .attempt = index,
					    .nonce = a->nonce,
					    .slot = slot,
					    .late = a->kind == DYSCO_KIND_LATE,
					    .box = a->role == DYSCO_PART_TRIGGER,
					    .id = cold->id,
					    .session = cold->session,
					    .asked_ns = dysco_now_ns()};
	}
	dysco_agent_perform(agent, NULL);
	return reason;
}

enum dysco_nack dysco_reconfig_begin(struct dysco_agent *agent, const struct dysco_waiting *who,
				     uint32_t slot, const struct dysco_address_list *path)
{
	bool late = dysco_core_only_watches(&agent->core, slot);
	uint8_t kind = late ? DYSCO_KIND_LATE : DYSCO_KIND_ORDINARY;
	uint32_t index =
	    dysco_core_reconfigure(&agent->core, dysco_now_ns(), slot, kind, path, &agent->actions);

	return wait_for(agent, who, index, slot);
}

static int not_reconfigured(struct dysco_conf_error *error, enum dysco_nack reason)
{
	return dysco_conf_fail(error, "not_reconfigured", NULL, "%s: %s", dysco_nack_name(reason),
			       dysco_nack_text(reason));
}

int dysco_reconfig_wait(struct dysco_agent *agent, void *client, uint32_t index, uint32_t slot,
			struct dysco_conf_error *error)
{
	struct dysco_waiting who = {.client = client};
	enum dysco_nack reason = wait_for(agent, &who, index, slot);

	return reason == DYSCO_NACK_NONE ? 0 : not_reconfigured(error, reason);
}

void dysco_reconfig_cancel(struct dysco_agent *agent, uint32_t job)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		const struct dysco_waiting *w = &agent->waiting[i];

		if (job && w->job == job && !w->done_ns &&
		    agent->core.table->attempts[w->attempt].nonce == w->nonce &&
		    dysco_core_attempt_cancel(&agent->core, dysco_now_ns(), w->attempt,
					      &agent->actions)) {
			dysco_agent_perform(agent, NULL);
		}
	}
}

/* ---- one session ---- */

/* Why there is no plan. */
static void not_planned(const struct dysco_plan *plan, enum dysco_plan_result result,
			struct dysco_conf_error *error)
{
	if (result == DYSCO_PLAN_REFUSED) {
		*error = plan->error;
	} else if (plan->wish->kind == DYSCO_WISH_INSERT) {
		dysco_conf_fail(error, "not_reconfigured", "dysco session show",
				"invalid: the session goes through it already");
	} else {
		dysco_conf_fail(error, "unknown_host",
				"ask the agent of the host before it (dysco session trace)",
				"'%.60s' does not follow a host of this agent in this "
				"session's chain",
				plan->wish->out[0].text);
	}
}

static int plan_one(struct dysco_agent *agent, struct dysco_order *order, struct dysco_plan *plan,
		    struct dysco_conf_error *error)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_session(agent, &order->words, order->session_at, order->session_end,
					passages, error);
	enum dysco_plan_result result;

	if (n == 0) {
		return -1;
	}
	result = dysco_plan_among(plan, passages, n);
	if (result != DYSCO_PLAN_GO) {
		not_planned(plan, result, error);
		return -1;
	}
	return 0;
}

/* Begins what is planned; takes over who->wish. */
static int begin(struct dysco_agent *agent, const struct dysco_waiting *who,
		 const struct dysco_plan *plan, struct dysco_conf_error *error)
{
	enum dysco_nack reason = dysco_reconfig_begin(agent, who, plan->slot, &plan->path);

	if (reason != DYSCO_NACK_NONE) {
		free(who->wish);
		return not_reconfigured(error, reason);
	}
	dysco_plan_taken(agent, plan);
	return 0;
}

json_t *dysco_reconfig_one(struct dysco_agent *agent, void *client, struct dysco_order *order,
			   bool *later, struct dysco_conf_error *error)
{
	struct dysco_plan plan = {.agent = agent, .wish = &order->wish};
	struct dysco_waiting who = {.client = client};

	if (plan_one(agent, order, &plan, error) != 0) {
		return NULL;
	}
	if (order->dry_run) {
		return dysco_show_plan(agent, &plan);
	}
	who.wish = malloc(sizeof(*who.wish));
	if (!who.wish) {
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return NULL;
	}
	*who.wish = order->wish;
	*later = begin(agent, &who, &plan, error) == 0;
	return NULL;
}

/* ---- once more: the chain was another one than this agent knew ---- */

bool dysco_reconfig_learned(enum dysco_nack reason)
{
	return reason == DYSCO_NACK_CHANGED || reason == DYSCO_NACK_NO_ANCHOR ||
	       reason == DYSCO_NACK_INVALID;
}

/* Where this agent's hosts can change the chain of this session. */
static uint32_t passages_of(const struct dysco_agent *agent, const struct dysco_session_id *id,
			    struct dysco_passage *passages)
{
	const struct dysco_setup *setup = &agent->config->setup;
	uint32_t n = 0;

	for (uint16_t i = 0; i < setup->n_hosts && n < DYSCO_PASSAGES_MAX; i++) {
		uint32_t slot = dysco_core_find_session(&agent->core, setup->hosts[i].id, id);

		if (slot != DYSCO_NO_SLOT) {
			passages[n].right = slot;
			passages[n++].left = agent->core.table->legs[slot].partner;
		}
	}
	return n;
}

/* Planned anew with what is known now; the client is told why that cannot be, if it cannot. */
static void try_again(struct dysco_agent *agent, struct dysco_waiting *w)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	struct dysco_waiting who = {
	    .client = w->client, .wish = w->wish, .tries = (uint8_t)(w->tries + 1)};
	uint32_t n = passages_of(agent, &w->id, passages);
	struct dysco_plan plan = {.agent = agent, .wish = who.wish};
	enum dysco_plan_result result = dysco_plan_among(&plan, passages, n);
	json_t *failed = failure(w, w->failed);
	struct dysco_conf_error error;
	int begun = -1;

	w->wish = NULL;
	forget(agent, w);
	if (result == DYSCO_PLAN_GO) {
		begun = begin(agent, &who, &plan, &error);
	} else {
		if (n > 0) {
			not_planned(&plan, result, &error);
		}
		free(who.wish);
	}
	if (begun != 0) {
		json_t *answer = n > 0 ? dysco_error_json(&error) : json_incref(failed);

		agent->hooks.answer(agent->hooks.context, who.client, answer);
	}
	json_decref(failed);
}

/* ---- ends ---- */

/* Is it the end that one waits for? Both anchors may be this agent's: the left one's counts. */
static bool is_end(const struct dysco_agent *agent, const struct dysco_waiting *w,
		   const struct dysco_action *action)
{
	const struct dysco_attempt *a = &agent->core.table->attempts[w->attempt];

	if (w->box) { /* its record goes with the answer, its leg may have gone before */
		return a->nonce != w->nonce;
	}
	if (action->event == DYSCO_EVENT_RECONFIG_FAILED) { /* or of one that gave way to it */
		return action->slot == w->slot && a->nonce != w->nonce;
	}
	return a->nonce == w->nonce && a->role == DYSCO_PART_LEFT_ANCHOR &&
	       a->new_slot == action->slot;
}

void dysco_reconfig_ended(struct dysco_agent *agent, const struct dysco_action *action)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (!is_used(w) || w->failed != DYSCO_NACK_NONE || !is_end(agent, w, action)) {
			continue;
		}
		if (action->event == DYSCO_EVENT_RECONFIG_FAILED && w->wish && w->tries < TRIES &&
		    dysco_reconfig_learned((enum dysco_nack)action->reason)) {
			agent->n_done += w->failed == DYSCO_NACK_NONE;
			w->failed = action->reason;
		} else if (action->event == DYSCO_EVENT_RECONFIG_FAILED) {
			answer(agent, w, (enum dysco_nack)action->reason);
		} else {
			agent->n_done += w->done_ns == 0;
			w->done_ns = dysco_now_ns();
			w->done_slot = action->slot;
		}
	}
}

/* The next change may be asked for at once: the locks must be open then. */
void dysco_reconfig_answer(struct dysco_agent *agent)
{
	for (int i = 0; agent->n_done > 0 && i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (w->failed != DYSCO_NACK_NONE) {
			try_again(agent, w);
		} else if (w->done_ns &&
			   agent->core.table->attempts[w->attempt].nonce != w->nonce) {
			answer(agent, w, DYSCO_NACK_NONE);
		}
	}
}

void dysco_reconfig_expire(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (is_used(w) && now_ns - w->asked_ns >= WAIT_NS && now_ns > w->asked_ns) {
			answer(agent, w, w->done_ns ? DYSCO_NACK_NONE : DYSCO_NACK_TIMEOUT);
		}
	}
}

void dysco_reconfig_forget(struct dysco_agent *agent, const void *client)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		if (client && agent->waiting[i].client == client) {
			forget(agent, &agent->waiting[i]);
		}
	}
}

/* The attempt that this agent's hosts have asked for; DYSCO_NO_ATTEMPT: none. */
static uint32_t asked_for(const struct dysco_agent *agent, const struct dysco_passage *p)
{
	const struct dysco_table *table = agent->core.table;
	uint32_t index = p->right != DYSCO_NO_SLOT ? table->cold[p->right].attempt : 0;

	return index < table->n_attempts && table->attempts[index].role == DYSCO_PART_LEFT_ANCHOR
		   ? index
		   : (uint32_t)DYSCO_NO_ATTEMPT;
}

json_t *dysco_session_cancel(struct dysco_agent *agent, const struct dysco_words *words,
			     struct dysco_conf_error *error)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_session(agent, words, 2, words->count, passages, error);
	uint32_t index = DYSCO_NO_ATTEMPT;

	for (uint32_t i = 0; i < n && index == DYSCO_NO_ATTEMPT; i++) {
		index = asked_for(agent, &passages[i]);
	}
	if (index == DYSCO_NO_ATTEMPT) {
		if (n > 0) {
			dysco_conf_fail(error, "not_cancelled",
					"ask the agent that was asked for it",
					"no change that this agent was asked for is under way");
		}
		return NULL;
	}
	dysco_core_attempt_cancel(&agent->core, dysco_now_ns(), index, &agent->actions);
	dysco_agent_perform(agent, NULL);
	if (agent->core.table->attempts[index].state != DYSCO_ATTEMPT_CANCELLING) {
		dysco_conf_fail(error, "not_cancelled", "wait for its end",
				"it is too late: the new path is in use");
		return NULL;
	}
	return json_pack("{s:i}", "cancelled", 1);
}
