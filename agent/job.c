/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of jobs (job.h).
 */
#include "agent/job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"

#define NS_PER_S 1000000000ull
#define BURST	 32		 /* sessions looked at in one call */
#define SLACK_NS (NS_PER_S / 10) /* of the rate: a tick */
#define ROUND_NS (NS_PER_S / 4)	 /* before the second round; twice that before the third... */

static struct dysco_leg_cold *cold_at(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->cold[slot];
}

static struct dysco_job *find_job(const struct dysco_agent *agent, uint32_t id)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		if (agent->jobs[i] && agent->jobs[i]->id == id) {
			return agent->jobs[i];
		}
	}
	return NULL;
}

/* ---- begin and end of a job ---- */

static void free_job(struct dysco_job *job)
{
	dysco_order_free(job->order);
	json_decref(job->reports);
	free(job->targets);
	free(job->outcomes);
	free(job);
}

static void drop_job(struct dysco_agent *agent, struct dysco_job *job)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		if (agent->jobs[i] == job) {
			agent->jobs[i] = NULL;
		}
	}
	free_job(job);
}

/* A free place, or that of the job that was over first; -1: all are at work. */
static int place_for_job(const struct dysco_agent *agent)
{
	int oldest = -1;

	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		const struct dysco_job *job = agent->jobs[i];

		if (!job) {
			return i;
		}
		if (job->state == DYSCO_JOB_OVER &&
		    (oldest < 0 || job->over_ns < agent->jobs[oldest]->over_ns)) {
			oldest = i;
		}
	}
	return oldest;
}

static struct dysco_job *new_job(struct dysco_agent *agent, struct dysco_order *order)
{
	struct dysco_job *job = calloc(1, sizeof(*job));

	if (!job) {
		return NULL;
	}
	job->reports = json_array();
	job->order = order;
	if (order->wish.kind == DYSCO_WISH_POLICY) {
		job->outcomes = calloc(order->parallel, sizeof(*job->outcomes));
	}
	if (!job->reports || (order->wish.kind == DYSCO_WISH_POLICY && !job->outcomes)) {
		job->order = NULL;
		free_job(job);
		return NULL;
	}
	job->plan.agent = agent;
	job->plan.wish = &order->wish;
	job->created_ns = dysco_now_ns();
	return job;
}

uint32_t dysco_job_start(struct dysco_agent *agent, void *client, struct dysco_order *order,
			 struct dysco_conf_error *error)
{
	int place = place_for_job(agent);
	struct dysco_job *job;

	if (place < 0) {
		dysco_order_free(order);
		dysco_conf_fail(error, "limit", "dysco job list", "%d jobs are at work already",
				DYSCO_JOBS_MAX);
		return 0;
	}
	job = new_job(agent, order);
	if (!job) {
		dysco_order_free(order);
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return 0;
	}
	if (agent->jobs[place]) {
		free_job(agent->jobs[place]);
	}
	job->id = ++agent->last_job;
	job->client = order->dry_run ? client : NULL;
	agent->jobs[place] = job;
	return job->id;
}

static void end_job(struct dysco_agent *agent, struct dysco_job *job)
{
	job->state = DYSCO_JOB_OVER;
	job->over_ns = dysco_now_ns();
	free(job->targets);
	job->targets = NULL;
	if (job->order->dry_run) {
		json_t *answer = dysco_show_dry_run(job);
		void *client = job->client;

		drop_job(agent, job);
		agent->hooks.answer(agent->hooks.context, client, answer);
		return;
	}
	dysco_log(DYSCO_LOG_INFO,
		  "job %u (%s) is over: %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " skipped",
		  job->id, job->order->what, job->counts[DYSCO_JOB_DONE],
		  job->counts[DYSCO_JOB_FAILED], job->counts[DYSCO_JOB_SKIPPED]);
}

/* ---- the sessions ---- */

static void target_over(struct dysco_agent *agent, struct dysco_job *job, struct dysco_target *t,
			enum dysco_job_result result, const char *code, const char *message)
{
	t->state = DYSCO_TARGET_OVER;
	dysco_job_report(agent, job, t, result, code, message);
}

/* ---- attempts ---- */

/* May another try at once, or soon, have another answer? */
static bool passes_by(enum dysco_nack reason)
{
	return reason == DYSCO_NACK_BUSY || reason == DYSCO_NACK_RESOURCES ||
	       reason == DYSCO_NACK_NOT_READY || reason == DYSCO_NACK_CLOSING ||
	       reason == DYSCO_NACK_UNKNOWN || reason == DYSCO_NACK_EXPIRED ||
	       reason == DYSCO_NACK_CHANGED;
}

static void target_refused(struct dysco_agent *agent, struct dysco_job *job, struct dysco_target *t,
			   enum dysco_nack reason)
{
	bool again = passes_by(reason) || (dysco_reconfig_learned(reason) && !t->learned);

	t->learned = dysco_reconfig_learned(reason);
	if (again && ++t->tries < DYSCO_JOB_TRIES && !job->aborted) {
		t->state = DYSCO_TARGET_PENDING;
		job->n_pending++;
		job->retried++;
		return;
	}
	target_over(agent, job, t, DYSCO_JOB_FAILED, dysco_nack_name(reason),
		    dysco_nack_text(reason));
}

static bool is_right(const struct dysco_leg *leg)
{
	return (leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT) &&
	       leg->mode != DYSCO_MODE_FREE && !dysco_job_is_over(leg);
}

/* Where the session is now: other changes may have given it other legs. */
static bool find_target(const struct dysco_agent *agent, struct dysco_target *t,
			struct dysco_passage *passage)
{
	if (memcmp(&cold_at(agent, t->slot)->id, &t->id, sizeof(t->id)) != 0 ||
	    !is_right(&agent->core.table->legs[t->slot])) {
		t->slot = dysco_core_find_session(&agent->core, t->host, &t->id);
	}
	*passage = (struct dysco_passage){.left = agent->core.table->legs[t->slot].partner,
					  .right = t->slot};
	return t->slot != DYSCO_NO_SLOT && is_right(&agent->core.table->legs[t->slot]);
}

static struct dysco_outcome *find_outcome(struct dysco_job *job, uint32_t target, bool unused)
{
	for (uint32_t i = 0; job->outcomes && i < job->order->parallel; i++) {
		struct dysco_outcome *o = &job->outcomes[i];

		if (unused ? o->list.count == 0 : o->list.count > 0 && o->target == target) {
			return o;
		}
	}
	return NULL;
}

/* What the first host is to know of the chain once the attempt has succeeded. */
static void note_outcome(struct dysco_job *job, uint32_t target, const struct dysco_plan *plan)
{
	struct dysco_outcome *o = find_outcome(job, target, true);

	if (!o) {
		return;
	}
	o->target = target;
	o->elsewhere = plan->slot != job->targets[target].slot;
	memcpy(o->policy, dysco_plan_policy_name(plan), sizeof(o->policy));
	o->list = (struct dysco_address_list){.next = plan->list->next};
	for (uint8_t i = 0; i < plan->at; i++) {
		o->list.hops[o->list.count++] = plan->list->hops[i];
	}
	for (uint8_t i = 0; i < plan->path.count && o->list.count < DYSCO_HOPS_MAX; i++) {
		o->list.hops[o->list.count++] = plan->path.hops[i];
	}
	for (int i = plan->at + plan->skip + 1;
	     i < plan->list->count && o->list.count < DYSCO_HOPS_MAX; i++) {
		o->list.hops[o->list.count++] = plan->list->hops[i];
	}
}

/* What the policy says of hosts of the chain as it is; others may have changed it meanwhile. */
static void label(struct dysco_address_list *list, const struct dysco_address_list *planned)
{
	for (uint8_t i = list->next; i < list->count; i++) {
		for (uint8_t j = planned->next; j < planned->count; j++) {
			if (dysco_addr_equal(&list->hops[i].addr, &planned->hops[j].addr)) {
				list->hops[i] = planned->hops[j];
			}
		}
	}
}

static void apply_outcome(struct dysco_agent *agent, struct dysco_job *job, uint32_t target,
			  enum dysco_nack reason)
{
	struct dysco_outcome *o = find_outcome(job, target, false);
	struct dysco_target *t = &job->targets[target];
	struct dysco_passage passage;

	if (!o) {
		return;
	}
	if (reason == DYSCO_NACK_NONE && find_target(agent, t, &passage)) {
		struct dysco_address_list list = cold_at(agent, t->slot)->list;

		label(&list, &o->list);
		dysco_core_set_policy(&agent->core, t->slot, o->policy,
				      o->elsewhere ? &o->list : &list);
	}
	o->list.count = 0;
}

static void change_target(struct dysco_agent *agent, struct dysco_job *job, uint32_t index)
{
	struct dysco_target *t = &job->targets[index];
	struct dysco_waiting who = {.job = job->id, .target = index};
	struct dysco_plan *plan = &job->plan;
	struct dysco_passage passage;
	enum dysco_plan_result result;
	enum dysco_nack reason;

	if (!find_target(agent, t, &passage)) {
		target_over(agent, job, t, DYSCO_JOB_GONE, "", "");
		return;
	}
	result = dysco_plan_make(plan, &passage);
	if (result != DYSCO_PLAN_GO) {
		target_over(agent, job, t,
			    result == DYSCO_PLAN_REFUSED ? DYSCO_JOB_SKIPPED : DYSCO_JOB_UNCHANGED,
			    plan->error.code, plan->error.message);
		return;
	}
	/* before it begins: nothing that ends it comes in between */
	t->state = DYSCO_TARGET_RUNNING;
	job->n_running++;
	note_outcome(job, index, plan);
	reason = dysco_reconfig_begin(agent, &who, plan->slot, &plan->path);
	if (reason == DYSCO_NACK_NONE) {
		dysco_plan_taken(agent, plan);
	} else {
		dysco_job_attempt_ended(agent, job->id, index, reason, DYSCO_NO_SLOT);
	}
}

/* It is known now: nothing more was wished, or it goes on like any other. */
static void target_known(struct dysco_agent *agent, struct dysco_job *job, uint32_t index,
			 uint32_t slot)
{
	struct dysco_target *t = &job->targets[index];

	t->slot = slot;
	t->id = cold_at(agent, slot)->id;
	if (job->order->wish.kind == DYSCO_WISH_ADOPT) {
		target_over(agent, job, t, DYSCO_JOB_DONE, "", "");
	} else if (job->aborted) {
		target_over(agent, job, t, DYSCO_JOB_SKIPPED, "aborted",
			    "the job was aborted before its turn");
	} else {
		change_target(agent, job, index);
	}
}

/* It may have ended since the stack was asked. */
static void target_lost(struct dysco_agent *agent, struct dysco_job *job, struct dysco_target *t,
			const struct dysco_conf_error *error)
{
	if (!error || strcmp(error->code, "unknown_session") == 0) {
		target_over(agent, job, t, DYSCO_JOB_GONE, "", "");
	} else {
		target_over(agent, job, t, DYSCO_JOB_SKIPPED, error->code, error->message);
	}
}

static void adopt_target(struct dysco_agent *agent, struct dysco_job *job, uint32_t index)
{
	struct dysco_target *t = &job->targets[index];
	struct dysco_conf_error error;
	uint32_t slot;
	int known = dysco_late_begin(agent, t->host, &t->session, job->id, index, &slot, &error);

	if (known < 0) {
		target_lost(agent, job, t, &error);
	} else if (known > 0) {
		target_known(agent, job, index, slot);
	} else {
		t->state = DYSCO_TARGET_RUNNING;
		job->n_running++;
	}
}

static void begin_target(struct dysco_agent *agent, struct dysco_job *job, uint32_t index)
{
	job->n_pending--;
	if (job->targets[index].slot == DYSCO_NO_SLOT) {
		adopt_target(agent, job, index);
	} else {
		change_target(agent, job, index);
	}
}

/* The one that this job waits for; NULL: it waits no more. */
static struct dysco_target *running_target(struct dysco_job *job, uint32_t target)
{
	return job && job->targets && target < job->n_targets &&
		       job->targets[target].state == DYSCO_TARGET_RUNNING
		   ? &job->targets[target]
		   : NULL;
}

void dysco_job_adopted(struct dysco_agent *agent, uint32_t id, uint32_t target, uint32_t slot,
		       const struct dysco_conf_error *error)
{
	struct dysco_job *job = find_job(agent, id);
	struct dysco_target *t = running_target(job, target);

	if (!t) {
		return;
	}
	job->n_running--;
	if (slot == DYSCO_NO_SLOT) {
		target_lost(agent, job, t, error);
	} else {
		target_known(agent, job, target, slot);
	}
}

void dysco_job_attempt_ended(struct dysco_agent *agent, uint32_t id, uint32_t target,
			     enum dysco_nack reason, uint32_t slot)
{
	struct dysco_job *job = find_job(agent, id);
	struct dysco_target *t = running_target(job, target);

	if (!t) {
		return;
	}
	job->n_running--;
	if (slot != DYSCO_NO_SLOT && reason == DYSCO_NACK_NONE &&
	    agent->core.table->legs[slot].host == t->host) {
		t->slot = slot;
	}
	apply_outcome(agent, job, target, reason);
	if (reason == DYSCO_NACK_NONE) {
		target_over(agent, job, t, DYSCO_JOB_DONE, "", "");
	} else {
		target_refused(agent, job, t, reason);
	}
}

/* ---- driving ---- */

/* The next session of this round, or of the next one when its time has come; n_targets: none. */
static uint32_t next_target(struct dysco_job *job, uint64_t now_ns)
{
	if (job->cursor == job->n_targets && job->n_pending > 0) {
		job->cursor = 0;
		job->round_ns = now_ns + (ROUND_NS << (job->round < 3 ? job->round : 3));
		job->round++;
	}
	if (now_ns < job->round_ns) {
		return job->n_targets;
	}
	while (job->cursor < job->n_targets &&
	       job->targets[job->cursor].state != DYSCO_TARGET_PENDING) {
		job->cursor++;
	}
	return job->cursor;
}

static bool may_begin(const struct dysco_job *job, uint64_t now_ns)
{
	return job->state == DYSCO_JOB_RUNNING && !job->paused && !job->aborted &&
	       job->n_pending > 0 && job->n_running < job->order->parallel &&
	       now_ns >= job->next_begin_ns;
}

static void count_against_rate(struct dysco_job *job, uint64_t now_ns)
{
	uint64_t earliest = now_ns > SLACK_NS ? now_ns - SLACK_NS : 0;

	if (job->order->rate == 0) {
		return;
	}
	if (job->next_begin_ns < earliest) {
		job->next_begin_ns = earliest;
	}
	job->next_begin_ns += NS_PER_S / job->order->rate;
}

static void run_job(struct dysco_agent *agent, struct dysco_job *job, uint64_t now_ns)
{
	for (int i = 0; i < BURST && may_begin(job, now_ns); i++) {
		uint32_t index = next_target(job, now_ns);

		if (index == job->n_targets) {
			break;
		}
		job->cursor = index + 1;
		count_against_rate(job, now_ns);
		begin_target(agent, job, index);
	}
	if (job->state == DYSCO_JOB_RUNNING && job->n_pending == 0 && job->n_running == 0) {
		end_job(agent, job);
	}
}

void dysco_jobs_run(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		if (agent->jobs[i] && agent->jobs[i]->state == DYSCO_JOB_RUNNING) {
			run_job(agent, agent->jobs[i], now_ns);
		}
	}
}

/* Those that wait are not tried any more. */
static void give_up_pending(struct dysco_agent *agent, struct dysco_job *job, const char *code,
			    const char *message)
{
	for (uint32_t i = 0; i < job->n_targets && job->n_pending > 0; i++) {
		if (job->targets[i].state == DYSCO_TARGET_PENDING) {
			job->n_pending--;
			target_over(agent, job, &job->targets[i], DYSCO_JOB_SKIPPED, code, message);
		}
	}
}

static void expire(struct dysco_agent *agent, struct dysco_job *job, uint64_t now_ns)
{
	uint64_t patience_ns = job->order->timeout_s * NS_PER_S;

	if (job->state == DYSCO_JOB_RUNNING && job->aborted) {
		give_up_pending(agent, job, "aborted", "the job was aborted before its turn");
	} else if (job->state == DYSCO_JOB_RUNNING && patience_ns > 0 &&
		   now_ns - job->created_ns >= patience_ns && now_ns > job->created_ns) {
		give_up_pending(agent, job, "timeout", "the job's time was over before its turn");
	}
}

void dysco_jobs_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		struct dysco_job *job = agent->jobs[i];

		if (job && job->state == DYSCO_JOB_COLLECTING && job->aborted) {
			job->state = DYSCO_JOB_RUNNING;
		} else if (job && job->state == DYSCO_JOB_COLLECTING && !job->paused) {
			dysco_job_scan(agent, job);
		}
		if (job) {
			expire(agent, job, now_ns);
		}
	}
	dysco_jobs_run(agent, now_ns);
}

void dysco_jobs_forget(struct dysco_agent *agent, const void *client)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		if (client && agent->jobs[i] && agent->jobs[i]->client == client) {
			drop_job(agent, agent->jobs[i]);
		}
	}
}

void dysco_jobs_stop(struct dysco_agent *agent)
{
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		if (agent->jobs[i]) {
			drop_job(agent, agent->jobs[i]);
		}
	}
}
