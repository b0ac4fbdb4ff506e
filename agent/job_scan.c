/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which sessions a job concerns (job.h): those of the leg table, in portions, and
 * those older than the agent or its policies, of which only their stacks know.
 */
#include <stdlib.h>

#include "agent/job.h"
#include "agent/log.h"

#define SCAN_BUDGET_NS	10000000 /* in a tick, for each job */
#define SCAN_PORTION	64	 /* slots between two looks at the clock */
#define HEARTBEAT_STEPS 1024	 /* a search of stacks has no portions */

static struct dysco_leg_cold *cold_at(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->cold[slot];
}

bool dysco_job_is_over(const struct dysco_leg *leg)
{
	enum dysco_leg_state state = dysco_leg_state(leg);

	return leg->mode == DYSCO_MODE_PASS || state >= DYSCO_STATE_CLOSING;
}

struct dysco_target dysco_job_target(const struct dysco_agent *agent, uint32_t slot)
{
	return (struct dysco_target){.id = cold_at(agent, slot)->id,
				     .session = cold_at(agent, slot)->session,
				     .slot = slot,
				     .host = agent->core.table->legs[slot].host};
}

static bool make_room(struct dysco_job *job)
{
	uint32_t room = job->room ? 2 * job->room : 256;
	struct dysco_target *targets;

	if (job->n_targets < job->room) {
		return true;
	}
	targets = reallocarray(job->targets, room, sizeof(*targets));
	if (targets) {
		job->targets = targets;
		job->room = room;
	}
	return targets != NULL;
}

static void add_target(struct dysco_agent *agent, struct dysco_job *job,
		       const struct dysco_target *t)
{
	if (!make_room(job)) {
		dysco_job_report(agent, job, t, DYSCO_JOB_SKIPPED, "internal", "out of memory");
		return;
	}
	job->targets[job->n_targets++] = *t;
	job->n_pending++;
}

/* Its chain is right, but it may not bear the name of the policy that it now is. */
static void relabel(struct dysco_agent *agent, const struct dysco_plan *plan, uint32_t slot)
{
	struct dysco_address_list list = cold_at(agent, slot)->list;

	if (plan->wish->kind == DYSCO_WISH_POLICY) {
		dysco_core_set_policy(&agent->core, slot, dysco_plan_policy_name(plan), &list);
	}
}

/* One host of this agent that a session passes: is there something to be done? */
static void collect(struct dysco_agent *agent, struct dysco_job *job,
		    const struct dysco_passage *passage)
{
	struct dysco_target t = dysco_job_target(agent, dysco_passage_main(passage));
	struct dysco_plan *plan = &job->plan;

	switch (dysco_plan_make(plan, passage)) {
	case DYSCO_PLAN_GO:
		if (job->order->dry_run) {
			dysco_job_report(agent, job, &t, DYSCO_JOB_WOULD, "", "");
			for (int i = 0; i < DYSCO_TYPES_MAX; i++) {
				plan->turns[i] += plan->taken[i];
			}
		} else {
			add_target(agent, job, &t);
		}
		break;
	case DYSCO_PLAN_UNCHANGED:
		relabel(agent, plan, t.slot);
		dysco_job_report(agent, job, &t, DYSCO_JOB_UNCHANGED, "", "");
		break;
	case DYSCO_PLAN_REFUSED:
		dysco_job_report(agent, job, &t, DYSCO_JOB_SKIPPED, plan->error.code,
				 plan->error.message);
		break;
	case DYSCO_PLAN_OTHER:
		break;
	}
}

struct collecting {
	struct dysco_agent *agent;
	struct dysco_job *job;
	uint32_t seen;
};

/* One that a host here has opened, and that nobody knows yet. */
static void collect_old(void *context, uint16_t host, const struct dysco_tuple *tuple)
{
	struct collecting *c = context;
	struct dysco_target t = {.session = *tuple, .slot = DYSCO_NO_SLOT, .host = host};

	if (++c->seen % HEARTBEAT_STEPS == 0) {
		c->agent->dp.ops->heartbeat(&c->agent->dp, dysco_now_ns());
	}
	if (!dysco_order_has_old(c->agent, c->job->order, host, tuple)) {
		return;
	}
	if (c->job->order->dry_run) {
		dysco_job_report(c->agent, c->job, &t, DYSCO_JOB_WOULD, "", "");
	} else {
		add_target(c->agent, c->job, &t);
	}
}

static void scan_stacks(struct dysco_agent *agent, struct dysco_job *job)
{
	struct collecting collecting = {.agent = agent, .job = job};
	enum dysco_wish_kind kind = job->order->wish.kind;

	if (kind == DYSCO_WISH_ADOPT || kind == DYSCO_WISH_POLICY) {
		dysco_stack_search(agent, collect_old, &collecting);
	}
	/* what is known is not adopted again */
	job->scan_slot = kind == DYSCO_WISH_ADOPT ? UINT32_MAX : 1;
}

void dysco_job_scan(struct dysco_agent *agent, struct dysco_job *job)
{
	uint64_t begun_ns = dysco_now_ns();
	struct dysco_passage passage;
	uint32_t n = 0;

	if (job->scan_slot == 0) {
		scan_stacks(agent, job);
	}
	for (; job->scan_slot <= agent->core.high_slot; job->scan_slot++) {
		if (++n % SCAN_PORTION == 0 && dysco_now_ns() - begun_ns > SCAN_BUDGET_NS) {
			return;
		}
		if (dysco_passage_at(agent, job->scan_slot, &passage) &&
		    !dysco_job_is_over(&agent->core.table->legs[dysco_passage_main(&passage)]) &&
		    dysco_selection_has(agent, &job->order->selection, &passage)) {
			collect(agent, job, &passage);
		}
	}
	job->state = DYSCO_JOB_RUNNING;
}
