/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program of a box asks of the agent on its host, most often through
 * libdysco: that its left neighbour leaves it out, or puts others in its place
 * or before it (docs/protocol.md 12.11), and what it adds to numbers (12.1).
 * In these statements the box is called `self`.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/show.h"
#include "conf/parse.h"

/* A statement being read. */
struct ask {
	struct dysco_agent *agent;
	const struct dysco_words *words;
	struct dysco_conf_error *error;
	int at, end;	  /* words behind the session's; before `host HOST` */
	const char *host; /* NULL: there is but one box */
	struct dysco_passage box;
};

static const char *word_at(const struct ask *ask, int i)
{
	return i < ask->end ? ask->words->word[i] : "";
}

static void find_words(struct ask *ask)
{
	const struct dysco_words *words = ask->words;

	ask->at = 2 + dysco_session_words(words, 2);
	ask->at = ask->at < words->count ? ask->at : words->count;
	ask->end = words->count;
	ask->host = NULL;
	if (words->count - ask->at >= 2 && strcmp(words->word[words->count - 2], "host") == 0) {
		ask->host = words->word[words->count - 1];
		ask->end -= 2;
	}
}

/* ---- which statements are a box's ---- */

static bool is_change(const struct ask *ask)
{
	const char *verb = ask->words->word[1];

	if (strcmp(verb, "insert") == 0) {
		return strcmp(word_at(ask, ask->end - 1), "self") == 0 &&
		       strcmp(word_at(ask, ask->end - 2), "before") == 0;
	}
	return (strcmp(verb, "remove") == 0 || strcmp(verb, "replace") == 0) &&
	       strcmp(word_at(ask, ask->at), "self") == 0;
}

bool dysco_box_is_change(const struct dysco_words *words)
{
	struct ask ask = {.words = words};

	if (words->count < 4 || strcmp(words->word[0], "session") != 0) {
		return false;
	}
	find_words(&ask);
	return is_change(&ask);
}

bool dysco_box_may_ask(const char *line, size_t bytes)
{
	struct dysco_words words;
	char wrong[160];
	const char *verb;

	if (dysco_words_split(&words, line, bytes, wrong, sizeof(wrong)) != 0 || words.count == 0) {
		return true; /* refused anyhow, with the reason */
	}
	if (words.count < 2 || strcmp(words.word[0], "session") != 0) {
		return words.count == 1 && strcmp(words.word[0], "version") == 0;
	}
	verb = words.word[1];
	return strcmp(verb, "freeze") == 0 || strcmp(verb, "thaw") == 0 ||
	       dysco_box_is_change(&words);
}

/* ---- the box's passage ---- */

static bool is_host(const struct ask *ask, const struct dysco_passage *passage)
{
	const struct dysco_host *host = dysco_passage_host(ask->agent, passage);

	return !ask->host || (host && strcmp(host->name, ask->host) == 0);
}

static int find_box(struct ask *ask)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_boxes(ask->agent, ask->words, 2, ask->at, passages, ask->error);
	uint32_t left = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (is_host(ask, &passages[i])) {
			passages[left++] = passages[i];
		}
	}
	if (n == 0) {
		return -1;
	}
	if (left == 0) {
		return dysco_conf_fail(ask->error, "unknown_host", "dysco session list",
				       "the session passes no box '%.60s' of this agent",
				       ask->host);
	}
	if (left > 1) {
		return dysco_conf_fail(ask->error, "unknown_host", "say which: host NAME",
				       "the session passes %u boxes of this agent",
				       (unsigned int)left);
	}
	ask->box = passages[0];
	return 0;
}

/* ---- insert, remove, replace ---- */

static const struct dysco_leg *leg_at(const struct ask *ask, uint32_t slot)
{
	return &ask->agent->core.table->legs[slot];
}

static int add_box(struct ask *ask, struct dysco_address_list *path, const char *word, bool ip4)
{
	int box = dysco_config_find_box(ask->agent->config, word);
	struct dysco_addr addr = {{0}};

	if (box >= 0) {
		const struct dysco_box *b = &ask->agent->config->setup.boxes[box];

		addr = ip4 ? b->ip4 : b->ip6;
	} else if (!dysco_parse_addr(word, &addr)) {
		return dysco_conf_fail(ask->error, "unknown_box", "dysco box add NAME ADDRESS",
				       "box '%.60s' is not known", word);
	}
	if (dysco_addr_is_zero(&addr) || dysco_addr_is_ip4(&addr) != ip4) {
		return dysco_conf_fail(ask->error, "bad_address", NULL,
				       "'%.60s' has no address of the session's family", word);
	}
	if (path->count == DYSCO_HOPS_MAX) {
		return dysco_conf_fail(ask->error, "limit", NULL, "more than %d hosts",
				       DYSCO_HOPS_MAX);
	}
	path->hops[path->count++].addr = addr;
	return 0;
}

static int add_boxes(struct ask *ask, struct dysco_address_list *path, int at, int end)
{
	bool ip4 = dysco_addr_is_ip4(&leg_at(ask, ask->box.left)->wire_tuple.src);

	for (int i = at; i < end; i++) {
		if (add_box(ask, path, word_at(ask, i), ip4) != 0) {
			return -1;
		}
	}
	if (path->count == DYSCO_HOPS_MAX) {
		return dysco_conf_fail(ask->error, "limit", NULL, "more than %d hosts",
				       DYSCO_HOPS_MAX);
	}
	return 0;
}

/* From the left neighbour on: the boxes, then the box itself or, without it, who follows it. */
static int make_path(struct ask *ask, struct dysco_address_list *path)
{
	bool insert = strcmp(ask->words->word[1], "insert") == 0;
	bool replace = strcmp(ask->words->word[1], "replace") == 0;
	int from = insert ? ask->at : ask->at + 1, to = insert ? ask->end - 2 : ask->end;

	memset(path, 0, sizeof(*path));
	if (insert || replace ? from >= to : from < to) {
		return dysco_conf_fail(ask->error, "syntax", "see dysco(1)",
				       insert || replace ? "session %s: the boxes are missing"
							 : "session %s: `self` stands alone",
				       ask->words->word[1]);
	}
	if (add_boxes(ask, path, from, to) != 0) {
		return -1;
	}
	path->hops[path->count++].addr = insert ? leg_at(ask, ask->box.left)->wire_tuple.src
						: leg_at(ask, ask->box.right)->wire_tuple.dst;
	return 0;
}

int dysco_box_change(struct dysco_agent *agent, void *client, const struct dysco_words *words,
		     struct dysco_conf_error *error)
{
	struct ask ask = {.agent = agent, .words = words, .error = error};
	struct dysco_address_list path;
	uint32_t index;

	find_words(&ask);
	if (find_box(&ask) != 0 || make_path(&ask, &path) != 0) {
		return -1;
	}
	index =
	    dysco_core_trigger(&agent->core, dysco_now_ns(), ask.box.left, &path, &agent->actions);
	return dysco_reconfig_wait(agent, client, index, ask.box.left, error);
}

/* ---- freeze, thaw ---- */

/* What is added to a number: -2^31 .. 2^32 - 1, taken modulo 2^32. */
static bool parse_delta(const char *text, uint32_t *delta)
{
	bool negative = text[0] == '-';
	uint64_t number;

	if (!dysco_parse_number(text + negative, 0, negative ? 1ull << 31 : UINT32_MAX, &number)) {
		return false;
	}
	*delta = negative ? 0u - (uint32_t)number : (uint32_t)number;
	return true;
}

static uint32_t *delta_named(struct dysco_offsets *delta, const char *name)
{
	const struct {
		const char *name;
		uint32_t *at;
	} all[] = {{"right", &delta->seq_out},
		   {"left", &delta->seq_in},
		   {"ts-right", &delta->ts_out},
		   {"ts-left", &delta->ts_in}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(name, all[i].name) == 0) {
			return all[i].at;
		}
	}
	return NULL;
}

static int parse_deltas(struct ask *ask, struct dysco_offsets *delta)
{
	for (int i = ask->at; i < ask->end; i += 2) {
		uint32_t *at = delta_named(delta, word_at(ask, i));

		if (!at) {
			return dysco_conf_fail(
			    ask->error, "syntax", "right, left, ts-right or ts-left",
			    "session freeze: '%.60s' is not expected here", word_at(ask, i));
		}
		if (!parse_delta(word_at(ask, i + 1), at)) {
			return dysco_conf_fail(
			    ask->error, "bad_value", NULL,
			    "session freeze: %s is a number from -2147483648 to 4294967295, "
			    "not '%.60s'",
			    word_at(ask, i), word_at(ask, i + 1));
		}
	}
	return 0;
}

int dysco_box_freeze(struct dysco_agent *agent, const struct dysco_words *words,
		     struct dysco_conf_error *error)
{
	struct ask ask = {.agent = agent, .words = words, .error = error};
	bool freeze = strcmp(words->word[1], "freeze") == 0;
	struct dysco_offsets delta = {0};

	find_words(&ask);
	if (find_box(&ask) != 0) {
		return -1;
	}
	if (!freeze && ask.at < ask.end) {
		return dysco_conf_fail(error, "syntax", "see dysco(1)",
				       "session thaw: '%.60s' is not expected here",
				       word_at(&ask, ask.at));
	}
	if (parse_deltas(&ask, &delta) != 0) {
		return -1;
	}
	if (!dysco_core_freeze(&agent->core, ask.box.left, &delta, freeze)) {
		return dysco_conf_fail(error, "unknown_session", "dysco session list",
				       "the session is not a box's");
	}
	return 0;
}
