/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request line: what it asks, and the answer (agent.h, docs/socket.md).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job.h"
#include "agent/log.h"
#include "agent/metrics.h"

json_t *dysco_error_json(const struct dysco_conf_error *error)
{
	json_t *o = json_object();

	json_object_set_new(o, "code", json_string(error->code));
	json_object_set_new(o, "message", dysco_json_text(error->message, sizeof(error->message)));
	json_object_set_new(o, "hint", dysco_json_text(error->hint, sizeof(error->hint)));
	return json_pack("{s:o}", "error", o);
}

/* A request under way. */
struct request {
	struct dysco_agent *agent;
	void *client;
	struct dysco_words words;
	struct dysco_conf_error error;
	enum dysco_answer_kind kind;
};

/* Each gives the answer, or NULL with r->error, or NULL with another r->kind. */
typedef json_t *answer_fn(struct request *r);

static json_t *do_stats(struct request *r)
{
	return dysco_show_stats(r->agent);
}

static json_t *do_metrics(struct request *r)
{
	size_t bytes = 0;
	char *text = dysco_metrics_text(r->agent, &bytes);
	json_t *answer = text ? json_pack("{s:s%}", "metrics", text, bytes) : NULL;

	free(text);
	if (!answer) {
		dysco_conf_fail(&r->error, "internal", NULL, "no memory for the metrics");
	}
	return answer;
}

static json_t *do_version(struct request *r)
{
	(void)r;
	return json_pack("{s:s}", "version", DYSCO_VERSION);
}

static json_t *do_monitor(struct request *r)
{
	r->kind = DYSCO_ANSWER_MONITOR;
	return NULL;
}

static json_t *do_policy_test(struct request *r)
{
	return dysco_policy_test(r->agent, &r->words, &r->error);
}

static json_t *do_session_list(struct request *r)
{
	return dysco_show_sessions(r->agent, &r->words, &r->error);
}

/* The session that the rest of the words names. */
static uint32_t find_named(struct request *r, struct dysco_passage passages[DYSCO_PASSAGES_MAX])
{
	return dysco_find_session(r->agent, &r->words, 2, r->words.count, passages, &r->error);
}

static json_t *do_session_show(struct request *r)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = find_named(r, passages);

	return n > 0 ? dysco_show_session(r->agent, passages, n) : NULL;
}

/* The passage at the host that gave the chain, if it is among them. */
static json_t *do_session_why(struct request *r)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = find_named(r, passages);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = dysco_passage_main(&passages[i]);

		if (r->agent->core.table->cold[slot].policy[0]) {
			return dysco_show_why(r->agent, &passages[i]);
		}
	}
	return n > 0 ? dysco_show_why(r->agent, &passages[0]) : NULL;
}

static json_t *do_session_trace(struct request *r)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = find_named(r, passages);
	uint32_t from = 0;

	/* The first host of the chain knows most of it. */
	for (uint32_t i = 0; i < n; i++) {
		from = passages[i].left == DYSCO_NO_SLOT ? i : from;
	}
	if (n > 0 && dysco_trace_start(r->agent, r->client, dysco_passage_main(&passages[from]),
				       &r->error) == 0) {
		r->kind = DYSCO_ANSWER_LATER;
	}
	return NULL;
}

static json_t *do_session_kill(struct request *r)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = find_named(r, passages);
	bool killed = false;

	for (uint32_t i = 0; i < n; i++) {
		if (dysco_core_kill(&r->agent->core, dysco_now_ns(),
				    dysco_passage_main(&passages[i]), &r->agent->actions)) {
			killed = true;
			dysco_agent_perform(r->agent, NULL);
		}
	}
	return n > 0 ? json_pack("{s:i}", "killed", killed ? 1 : 0) : NULL;
}

/* Takes over the order; the first sessions are begun with at once. */
static json_t *start_job(struct request *r, struct dysco_order *order)
{
	bool dry_run = order->dry_run;
	uint32_t id = dysco_job_start(r->agent, r->client, order, &r->error);

	if (id == 0) {
		return NULL;
	}
	r->kind = dry_run ? DYSCO_ANSWER_LATER : DYSCO_ANSWER_NOW;
	dysco_jobs_tick(r->agent, dysco_now_ns());
	return dry_run ? NULL : json_pack("{s:I}", "job", (json_int_t)id);
}

static json_t *do_session_adopt(struct request *r)
{
	json_t *now = NULL;

	for (int i = 2; i < r->words.count; i++) {
		if (strncmp(r->words.word[i], "--", 2) == 0) {
			struct dysco_order *order =
			    dysco_order_parse(r->agent, &r->words, &r->error);

			return order ? start_job(r, order) : NULL;
		}
	}
	if (dysco_late_request(r->agent, r->client, &r->words, &now, &r->error) == 0 && !now) {
		r->kind = DYSCO_ANSWER_LATER;
	}
	return now;
}

static json_t *do_session_change(struct request *r)
{
	struct dysco_order *order;
	json_t *answer;
	bool later = false;

	if (dysco_box_is_change(&r->words)) {
		later = dysco_box_change(r->agent, r->client, &r->words, &r->error) == 0;
		r->kind = later ? DYSCO_ANSWER_LATER : DYSCO_ANSWER_NOW;
		return NULL;
	}
	order = dysco_order_parse(r->agent, &r->words, &r->error);

	if (!order) {
		return NULL;
	}
	if (order->group) {
		return start_job(r, order);
	}
	answer = dysco_late_change(r->agent, r->client, &r->words, order, &later, &r->error);
	r->kind = later ? DYSCO_ANSWER_LATER : DYSCO_ANSWER_NOW;
	dysco_order_free(order);
	return answer;
}

static json_t *do_session_recover(struct request *r)
{
	if (dysco_recover_start(r->agent, r->client, &r->words, &r->error) == 0) {
		r->kind = DYSCO_ANSWER_LATER;
	}
	return NULL;
}

/* The policies that name it themselves, and so still send new sessions there. */
static json_t *policies_naming(const struct dysco_agent *agent, const struct dysco_place *box)
{
	const struct dysco_setup *setup = &agent->config->setup;
	json_t *names = json_array();

	for (uint16_t i = 0; i < setup->n_policies; i++) {
		const struct dysco_policy *p = &setup->policies[i];

		for (uint8_t j = 0; j < p->n_hops; j++) {
			const struct dysco_box *b = &setup->boxes[p->hops[j].index];

			if (p->hops[j].kind == DYSCO_HOP_BOX &&
			    (dysco_place_names(agent, box, &b->ip4) ||
			     dysco_place_names(agent, box, &b->ip6))) {
				json_array_append_new(names, json_string(p->name));
			}
		}
	}
	return names;
}

/* First no new sessions, then those that live. */
static json_t *do_box_drain(struct request *r)
{
	struct dysco_order *order = dysco_order_parse(r->agent, &r->words, &r->error);
	struct dysco_words words = {.count = 3, .word = {"box", "drain"}};
	json_t *answer, *policies;
	uint32_t job;

	if (!order || order->dry_run) {
		return order ? start_job(r, order) : NULL;
	}
	words.word[2] = order->words.word[2];
	if (order->wish.force) {
		words.word[words.count++] = "--force";
	}
	if (dysco_agent_statement(r->agent, &words, &job, &r->error) < 0) {
		dysco_order_free(order);
		return NULL;
	}
	policies = policies_naming(r->agent, &order->wish.out[0]);
	answer = start_job(r, order);
	if (answer) {
		json_object_set(answer, "policies", policies);
	}
	json_decref(policies);
	return answer;
}

static json_t *do_job(struct request *r)
{
	return dysco_job_request(r->agent, &r->words, &r->error);
}

static json_t *do_session_cancel(struct request *r)
{
	return dysco_session_cancel(r->agent, &r->words, &r->error);
}

static json_t *do_session_freeze(struct request *r)
{
	return dysco_box_freeze(r->agent, &r->words, &r->error) == 0 ? json_object() : NULL;
}

/* min, max: the words it takes; then one of the two. */
struct question {
	const char *word, *verb;
	int min, max;
	answer_fn *answer;
	json_t *(*show)(const struct dysco_agent *agent);
};

static const struct question questions[] = {
    {"status", NULL, 1, 1, .show = dysco_show_status},
    {"stats", NULL, 1, 1, .answer = do_stats},
    {"metrics", NULL, 1, 1, .answer = do_metrics},
    {"version", NULL, 1, 1, .answer = do_version},
    {"monitor", NULL, 1, 1, .answer = do_monitor},
    {"box", "list", 2, 2, .show = dysco_show_boxes},
    {"box", "drain", 3, DYSCO_WORDS_MAX, .answer = do_box_drain},
    {"type", "list", 2, 2, .show = dysco_show_types},
    {"policy", "list", 2, 2, .show = dysco_show_policies},
    {"policy", "test", 4, 6, .answer = do_policy_test},
    {"session", "list", 2, DYSCO_WORDS_MAX, .answer = do_session_list},
    {"session", "show", 3, 4, .answer = do_session_show},
    {"session", "why", 3, 4, .answer = do_session_why},
    {"session", "trace", 3, 4, .answer = do_session_trace},
    {"session", "kill", 3, 4, .answer = do_session_kill},
    {"session", "adopt", 3, DYSCO_WORDS_MAX, .answer = do_session_adopt},
    {"session", "cancel", 3, 4, .answer = do_session_cancel},
    {"session", "insert", 4, DYSCO_WORDS_MAX, .answer = do_session_change},
    {"session", "remove", 4, DYSCO_WORDS_MAX, .answer = do_session_change},
    {"session", "replace", 5, DYSCO_WORDS_MAX, .answer = do_session_change},
    {"session", "recover", 3, DYSCO_WORDS_MAX, .answer = do_session_recover},
    {"job", "list", 2, 2, .show = dysco_show_jobs},
    {"job", "show", 3, 3, .answer = do_job},
    {"job", "pause", 3, 3, .answer = do_job},
    {"job", "resume", 3, 3, .answer = do_job},
    {"job", "abort", 3, 3, .answer = do_job},
    {"session", "freeze", 3, DYSCO_WORDS_MAX, .answer = do_session_freeze},
    {"session", "thaw", 3, 6, .answer = do_session_freeze},
};

static const struct question *find_question(const struct dysco_words *words)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		const struct question *q = &questions[i];

		if (strcmp(words->word[0], q->word) == 0 &&
		    (!q->verb || (words->count > 1 && strcmp(words->word[1], q->verb) == 0))) {
			return q;
		}
	}
	return NULL;
}

static json_t *answer_question(struct request *r, const struct question *q)
{
	if (r->words.count < q->min || r->words.count > q->max) {
		dysco_conf_fail(&r->error, "syntax", "see dysco(1)",
				"%s%s%s: wrong number of words", q->word, q->verb ? " " : "",
				q->verb ? q->verb : "");
		return NULL;
	}
	return q->show ? q->show(r->agent) : q->answer(r);
}

static json_t *answer_change(struct request *r)
{
	uint32_t job;
	int ended = dysco_agent_statement(r->agent, &r->words, &job, &r->error);

	if (ended < 0) {
		return NULL;
	}
	if (job) {
		return json_pack("{s:I}", "job", (json_int_t)job);
	}
	return strcmp(r->words.word[0], "detach") == 0 ? json_pack("{s:i}", "ended", ended)
						       : json_object();
}

static json_t *answer_line(struct request *r, const char *line, size_t bytes)
{
	const struct question *question;
	char wrong[160];

	if (dysco_words_split(&r->words, line, bytes, wrong, sizeof(wrong)) != 0) {
		dysco_conf_fail(&r->error, "syntax", NULL, "%s", wrong);
		return NULL;
	}
	if (r->words.count == 0) {
		dysco_conf_fail(&r->error, "syntax", "see dysco(1)", "the request is empty");
		return NULL;
	}
	if (r->agent->fault && r->words.count == 2 && strcmp(r->words.word[0], "fault") == 0) {
		return json_pack("{s:b}", "armed", dysco_fault_set(r->agent, r->words.word[1]));
	}
	question = find_question(&r->words);
	if (question) {
		return answer_question(r, question);
	}
	/* refuses what it does not know */
	return answer_change(r);
}

enum dysco_answer_kind dysco_agent_request(struct dysco_agent *agent, void *client,
					   const char *line, size_t bytes, json_t **answer)
{
	struct request r = {.agent = agent, .client = client, .kind = DYSCO_ANSWER_NOW};

	*answer = answer_line(&r, line, bytes);
	if (!*answer && r.kind == DYSCO_ANSWER_NOW) {
		*answer = dysco_error_json(&r.error);
	}
	return r.kind;
}
