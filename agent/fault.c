/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests: the agent kills itself when an attempt enters a state, just before or
 * just after it has sent what the state asks for, and lets timers of attempts fire
 * early (HACKING.md). In every build, so
 * that what is tested is what runs; only an agent that was started with DYSCO_FAULT
 * in its environment understands the request `fault`.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/show.h"

struct known {
	uint8_t role, state;
};

struct dysco_fault {
	bool armed, after, hit;
	char part[16], state[16];
	struct known known[]; /* as they were, by index */
};

static bool parse(struct dysco_fault *f, const char *text)
{
	char when[8];

	f->armed = sscanf(text, "%7[^:]:%15[^:]:%15s", when, f->part, f->state) == 3 &&
		   (strcmp(when, "before") == 0 || strcmp(when, "after") == 0);
	f->after = f->armed && strcmp(when, "after") == 0;
	f->hit = false;
	return f->armed;
}

static bool is_meant(const struct dysco_fault *f, const struct known *was,
		     const struct dysco_attempt *a)
{
	if (strcmp(f->state, "over") == 0) {
		return a->role == DYSCO_PART_NONE &&
		       strcmp(dysco_part_name(was->role), f->part) == 0;
	}
	return (was->role != a->role || was->state != a->state) &&
	       strcmp(dysco_part_name(a->role), f->part) == 0 &&
	       strcmp(dysco_attempt_state_name(a->state), f->state) == 0;
}

static bool look(struct dysco_agent *agent)
{
	struct dysco_fault *f = agent->fault;
	bool hit = false;

	for (uint32_t i = 1; i < agent->core.table->n_attempts; i++) {
		const struct dysco_attempt *a = &agent->core.table->attempts[i];

		hit = is_meant(f, &f->known[i], a) || hit;
		f->known[i] = (struct known){a->role, a->state};
	}
	return hit;
}

/* What would take half a minute: attempts in which this agent has that part come to their time. */
static void fire(struct dysco_agent *agent, const char *part)
{
	for (uint32_t i = 1; i < agent->core.table->n_attempts; i++) {
		if (strcmp(dysco_part_name(agent->core.table->attempts[i].role), part) == 0 &&
		    dysco_core_attempt_due(&agent->core, dysco_now_ns(), i, &agent->actions)) {
			dysco_agent_perform(agent, NULL);
		}
	}
}

bool dysco_fault_set(struct dysco_agent *agent, const char *text)
{
	if (strncmp(text, "due:", 4) == 0) {
		fire(agent, text + 4);
		return true;
	}
	if (!parse(agent->fault, text)) {
		return false;
	}
	look(agent);
	dysco_log(DYSCO_LOG_INFO, "for a test: fault %.60s", text);
	return true;
}

int dysco_fault_start(struct dysco_agent *agent)
{
	const char *text = getenv("DYSCO_FAULT");

	if (!text) {
		return 0;
	}
	agent->fault = calloc(1, sizeof(*agent->fault) + agent->core.table->n_attempts *
							     sizeof(agent->fault->known[0]));
	if (!agent->fault) {
		return -1;
	}
	if (text[0] != '\0' && !dysco_fault_set(agent, text)) {
		dysco_log(DYSCO_LOG_ERROR, "DYSCO_FAULT is before|after:PART:STATE, not '%.60s'",
			  text);
		return -1;
	}
	return 0;
}

void dysco_fault_at(struct dysco_agent *agent, bool after)
{
	struct dysco_fault *f = agent->fault;

	if (!f || !f->armed) {
		return;
	}
	f->hit = look(agent) || f->hit;
	if (f->hit && f->after == after) {
		kill(getpid(), SIGKILL);
	}
}

void dysco_fault_stop(struct dysco_agent *agent)
{
	free(agent->fault);
	agent->fault = NULL;
}
