/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What jobs tell (job.h): sessions one by one, causes, sums; and the requests
 * that steer them.
 */
#include "agent/job.h"

#include <stdio.h>
#include <string.h>

#include "agent/log.h"

static const char *const result_names[DYSCO_JOB_RESULTS] = {
    [DYSCO_JOB_DONE] = "done",	     [DYSCO_JOB_FAILED] = "failed",
    [DYSCO_JOB_SKIPPED] = "skipped", [DYSCO_JOB_UNCHANGED] = "unchanged",
    [DYSCO_JOB_GONE] = "gone",	     [DYSCO_JOB_WOULD] = "would",
};

/* ---- chains before and after ---- */

static json_t *addresses(const struct dysco_address_list *list, int from, int end)
{
	json_t *array = json_array();

	for (int i = from; i < end; i++) {
		json_array_append_new(array, dysco_json_addr(&list->hops[i].addr));
	}
	return array;
}

static void describe_plan(const struct dysco_plan *plan, json_t *o)
{
	const struct dysco_address_list *list = plan->list;
	json_t *to = addresses(list, list->next, plan->at);
	json_t *path = addresses(&plan->path, 0, plan->path.count);
	json_t *rest = addresses(list, plan->at + plan->skip + 1, list->count);

	json_object_set_new(o, "from", addresses(list, list->next, list->count));
	json_array_extend(to, path);
	json_array_extend(to, rest);
	json_object_set_new(o, "to", to);
	json_decref(path);
	json_decref(rest);
}

static json_t *describe_session(const struct dysco_agent *agent, const struct dysco_target *t,
				enum dysco_job_result result, const char *code, const char *message)
{
	static const struct dysco_session_id none;
	const struct dysco_host *host = dysco_setup_host(&agent->config->setup, t->host);
	json_t *o = json_object();

	json_object_set_new(o, "id",
			    memcmp(&t->id, &none, sizeof(none)) != 0 ? dysco_json_id(&t->id)
								     : json_null());
	json_object_set_new(o, "session", dysco_json_tuple(&t->session));
	json_object_set_new(o, "host", host ? json_string(host->name) : json_null());
	json_object_set_new(o, "result", json_string(result_names[result]));
	json_object_set_new(o, "cause", code[0] ? json_string(code) : json_null());
	json_object_set_new(o, "message", message[0] ? json_string(message) : json_null());
	return o;
}

json_t *dysco_show_plan(const struct dysco_agent *agent, const struct dysco_plan *plan)
{
	struct dysco_target t = dysco_job_target(agent, plan->slot);
	json_t *o = describe_session(agent, &t, DYSCO_JOB_WOULD, "", "");

	describe_plan(plan, o);
	return json_pack("{s:b, s:i, s:i, s:i, s:i, s:[], s:[o]}", "dry_run", 1, "total", 1,
			 "would", 1, "skipped", 0, "unchanged", 0, "causes", "sessions", o);
}

/* ---- reports ---- */

static void count_cause(struct dysco_job *job, enum dysco_job_result result, const char *code,
			const char *message)
{
	struct dysco_cause *cause;

	for (uint32_t i = 0; i < job->n_causes; i++) {
		cause = &job->causes[i];
		if (cause->result == result && strcmp(cause->code, code) == 0) {
			cause->count++;
			return;
		}
	}
	if (job->n_causes < DYSCO_JOB_CAUSES) {
		cause = &job->causes[job->n_causes++];
		cause->result = result;
		cause->count = 1;
		snprintf(cause->code, sizeof(cause->code), "%s", code);
		snprintf(cause->message, sizeof(cause->message), "%s", message);
	}
}

/* Without a chain before and after. */
static void describe_adoption(const struct dysco_target *t, json_t *o)
{
	json_object_set_new(o, "from", json_pack("[o]", dysco_json_addr(&t->session.dst)));
	json_object_set_new(o, "to", json_pack("[o]", dysco_json_addr(&t->session.dst)));
}

void dysco_job_report(struct dysco_agent *agent, struct dysco_job *job,
		      const struct dysco_target *target, enum dysco_job_result result,
		      const char *code, const char *message)
{
	json_t *o;

	job->counts[result]++;
	if (result == DYSCO_JOB_FAILED || result == DYSCO_JOB_SKIPPED) {
		count_cause(job, result, code, message);
	} else if (result != DYSCO_JOB_WOULD) {
		return;
	}
	if (json_array_size(job->reports) >= DYSCO_JOB_REPORTS) {
		return;
	}
	o = describe_session(agent, target, result, code, message);
	if (result == DYSCO_JOB_WOULD && job->order->wish.kind == DYSCO_WISH_ADOPT) {
		describe_adoption(target, o);
	} else if (result == DYSCO_JOB_WOULD) {
		describe_plan(&job->plan, o);
	}
	json_array_append_new(job->reports, o);
}

/* ---- answers ---- */

static json_t *show_causes(const struct dysco_job *job)
{
	json_t *causes = json_array();

	for (uint32_t i = 0; i < job->n_causes; i++) {
		const struct dysco_cause *c = &job->causes[i];

		json_array_append_new(causes,
				      json_pack("{s:s, s:s, s:I, s:s}", "result",
						result_names[c->result], "cause", c->code, "count",
						(json_int_t)c->count, "message", c->message));
	}
	return causes;
}

static uint64_t total(const struct dysco_job *job)
{
	uint64_t sum = job->n_pending + job->n_running;

	for (int i = 0; i < DYSCO_JOB_RESULTS; i++) {
		sum += job->counts[i];
	}
	return sum;
}

json_t *dysco_show_dry_run(const struct dysco_job *job)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:o, s:O}", "dry_run", 1, "total",
			 (json_int_t)total(job), "would", (json_int_t)job->counts[DYSCO_JOB_WOULD],
			 "skipped", (json_int_t)job->counts[DYSCO_JOB_SKIPPED], "unchanged",
			 (json_int_t)job->counts[DYSCO_JOB_UNCHANGED], "causes", show_causes(job),
			 "sessions", job->reports);
}

static const char *state_name(const struct dysco_job *job)
{
	if (job->state == DYSCO_JOB_OVER) {
		return job->aborted ? "aborted" : "done";
	}
	if (job->aborted) {
		return "aborting";
	}
	if (job->paused) {
		return "paused";
	}
	return job->state == DYSCO_JOB_COLLECTING ? "collecting" : "running";
}

static json_t *show_job(const struct dysco_job *job)
{
	uint64_t now_ns = dysco_now_ns();
	uint64_t end_ns = job->state == DYSCO_JOB_OVER ? job->over_ns : now_ns;
	uint64_t took_ms = (end_ns - job->created_ns) / 1000000;
	json_t *o = json_object();

	json_object_set_new(o, "job", json_integer(job->id));
	json_object_set_new(o, "what", json_string(job->order->what));
	json_object_set_new(o, "state", json_string(state_name(job)));
	json_object_set_new(o, "total", dysco_json_count(total(job)));
	json_object_set_new(o, "pending", json_integer(job->n_pending));
	json_object_set_new(o, "running", json_integer(job->n_running));
	for (int i = 0; i < DYSCO_JOB_WOULD; i++) {
		json_object_set_new(o, result_names[i], dysco_json_count(job->counts[i]));
	}
	json_object_set_new(o, "retried", json_integer(job->retried));
	json_object_set_new(o, "created", dysco_json_time(now_ns, job->created_ns));
	json_object_set_new(o, "took_s", json_real((double)took_ms / 1000.0));
	return o;
}

static json_t *show_in_full(const struct dysco_job *job)
{
	json_t *o = show_job(job);

	json_object_set_new(o, "causes", show_causes(job));
	json_object_set(o, "sessions", job->reports);
	return o;
}

/* The one of the next higher id; NULL: none. */
static const struct dysco_job *job_after(const struct dysco_agent *agent, uint32_t id)
{
	const struct dysco_job *next = NULL;

	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		const struct dysco_job *job = agent->jobs[i];

		if (job && job->id > id && !job->client && (!next || job->id < next->id)) {
			next = job;
		}
	}
	return next;
}

json_t *dysco_show_jobs(const struct dysco_agent *agent)
{
	json_t *jobs = json_array();

	for (const struct dysco_job *job = job_after(agent, 0); job;
	     job = job_after(agent, job->id)) {
		json_array_append_new(jobs, show_job(job));
	}
	return json_pack("{s:o}", "jobs", jobs);
}

/* ---- requests ---- */

static struct dysco_job *named_job(const struct dysco_agent *agent, const char *word,
				   struct dysco_conf_error *error)
{
	uint64_t id = 0;

	for (int i = 0; dysco_parse_number(word, 1, UINT32_MAX, &id) && i < DYSCO_JOBS_MAX; i++) {
		if (agent->jobs[i] && agent->jobs[i]->id == id && !agent->jobs[i]->client) {
			return agent->jobs[i];
		}
	}
	dysco_conf_fail(error, "unknown_job", "dysco job list", "there is no job '%.30s'", word);
	return NULL;
}

json_t *dysco_job_request(struct dysco_agent *agent, const struct dysco_words *words,
			  struct dysco_conf_error *error)
{
	struct dysco_job *job = named_job(agent, words->word[2], error);
	const char *verb = words->word[1];

	if (!job) {
		return NULL;
	}
	if (strcmp(verb, "show") == 0) {
		return show_in_full(job);
	}
	if (job->state == DYSCO_JOB_OVER || job->aborted) {
		dysco_conf_fail(error, "unknown_job", "dysco job show ID", "job %u is over",
				job->id);
		return NULL;
	}
	if (strcmp(verb, "abort") == 0) {
		job->aborted = true;
		job->paused = false;
		dysco_reconfig_cancel(agent, job->id);
		dysco_late_cancel(agent, job->id);
		dysco_jobs_tick(agent, dysco_now_ns());
	} else {
		job->paused = strcmp(verb, "pause") == 0;
	}
	return show_job(job);
}
