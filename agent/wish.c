/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements about the chains of living sessions (wish.h): their words, options
 * and places. Words that begin with "--" are options; no name does.
 */
#include "agent/wish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/filter.h"
#include "conf/parse.h"
#include "rewrite/edit.h"

#define RATE_MAX      100000
#define TIMEOUT_MAX_S (7 * 86400)

/* A statement being read. */
struct reading {
	const struct dysco_agent *agent;
	struct dysco_order *order;
	struct dysco_conf_error *error;
	const char *to;	 /* --to */
	const char *job; /* an option that only makes sense for many sessions */
};

/* ---- places ---- */

bool dysco_place_names(const struct dysco_agent *agent, const struct dysco_place *place,
		       const struct dysco_addr *addr)
{
	const struct dysco_host *host =
	    place->host ? dysco_setup_host(&agent->config->setup, place->host) : NULL;

	return !dysco_addr_is_zero(addr) &&
	       (dysco_addr_equal(&place->ip4, addr) || dysco_addr_equal(&place->ip6, addr) ||
		(host && dysco_host_has(host, addr)));
}

/* A box, a host of this agent, an address, or (types) a type. */
static int take_place(struct reading *r, struct dysco_place *place, const char *word, bool types)
{
	const struct dysco_config *config = r->agent->config;
	int box = dysco_config_find_box(config, word), host = dysco_config_find_host(config, word);
	struct dysco_addr addr;

	snprintf(place->text, sizeof(place->text), "%s", word);
	if (dysco_parse_addr(word, &addr)) {
		if (!dysco_addr_is_unicast(&addr)) {
			return dysco_conf_fail(r->error, "bad_address", NULL,
					       "'%.60s' is not a unicast address", word);
		}
		*(dysco_addr_is_ip4(&addr) ? &place->ip4 : &place->ip6) = addr;
		return 0;
	}
	if (box >= 0) {
		place->ip4 = config->setup.boxes[box].ip4;
		place->ip6 = config->setup.boxes[box].ip6;
	}
	if (host >= 0) {
		place->host = config->setup.hosts[host].id;
	}
	place->type = types && box < 0 && dysco_config_find_type(config, word) >= 0;
	return box >= 0 || (host >= 0 && !types) || place->type
		   ? 0
		   : dysco_conf_fail(r->error, "unknown_box", "dysco box add NAME ADDRESS",
				     "box '%.60s' is not known", word);
}

static int take_places(struct reading *r, struct dysco_place *places, uint8_t *n, int at, int end,
		       bool types)
{
	for (int i = at; i < end; i++) {
		if (*n == DYSCO_HOPS_MAX) {
			return dysco_conf_fail(r->error, "limit", NULL, "more than %d hosts",
					       DYSCO_HOPS_MAX);
		}
		if (take_place(r, &places[(*n)++], r->order->words.word[i], types) != 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- options ---- */

static int take_number(struct reading *r, const char *option, const char *value, uint64_t max,
		       uint32_t *number)
{
	char text[32];
	uint64_t n;

	snprintf(text, sizeof(text), "%s", value);
	if (strcmp(option, "--rate") == 0 && strlen(text) > 2 &&
	    strcmp(text + strlen(text) - 2, "/s") == 0) {
		text[strlen(text) - 2] = '\0';
	}
	if (!dysco_parse_number(text, 1, max, &n)) {
		return dysco_conf_fail(r->error, "bad_value", NULL,
				       "%s: a number from 1 to %llu, not '%.30s'", option,
				       (unsigned long long)max, value);
	}
	*number = (uint32_t)n;
	r->job = option;
	return 0;
}

static int take_policy(struct reading *r, const char *name)
{
	struct dysco_selection *s = &r->order->selection;

	if (!dysco_parse_name_ok(name)) {
		return dysco_conf_fail(r->error, "unknown_policy", "dysco policy list",
				       "policy '%.60s' is not known", name);
	}
	snprintf(s->policy, sizeof(s->policy), "%s", name);
	return 0;
}

static int take_filter(struct reading *r, const char *text)
{
	dysco_filter_unref(r->order->selection.filter);
	r->order->selection.filter = dysco_filter_compile(text, r->error);
	return r->order->selection.filter ? 0 : -1;
}

static int take_value(struct reading *r, const char *option, const char *value)
{
	struct dysco_order *o = r->order;

	if (strcmp(option, "--rate") == 0) {
		return take_number(r, option, value, RATE_MAX, &o->rate);
	}
	if (strcmp(option, "--parallel") == 0) {
		return take_number(r, option, value, DYSCO_PARALLEL_MAX, &o->parallel);
	}
	if (strcmp(option, "--timeout") == 0) {
		return take_number(r, option, value, TIMEOUT_MAX_S, &o->timeout_s);
	}
	if (strcmp(option, "--to") == 0) {
		r->to = value;
		return 0;
	}
	o->group = true;
	if (strcmp(option, "--policy") == 0) {
		return take_policy(r, value);
	}
	return strcmp(option, "--filter") == 0 ? take_filter(r, value)
					       : take_place(r, &o->selection.box, value, false);
}

static bool has_value(const char *option)
{
	static const char *const names[] = {"--filter", "--policy",   "--box",	  "--to",
					    "--rate",	"--parallel", "--timeout"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(option, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Takes the option at words[*at], and its value; leaves *at at the last word it took. */
static int take_option(struct reading *r, const struct dysco_words *words, int *at)
{
	const char *option = words->word[*at];

	if (strcmp(option, "--force") == 0) {
		r->order->wish.force = true;
		return 0;
	}
	if (strcmp(option, "--dry-run") == 0) {
		r->order->dry_run = true;
		return 0;
	}
	if (!has_value(option)) {
		return dysco_conf_fail(r->error, "syntax",
				       "--filter, --policy, --box, --dry-run, --force, --rate, "
				       "--parallel, --timeout",
				       "option '%.60s' is not known", option);
	}
	if (*at + 1 == words->count) {
		return dysco_conf_fail(r->error, "syntax", "see dysco(1)",
				       "%s: its value is missing", option);
	}
	(*at)++;
	return take_value(r, option, words->word[*at]);
}

static int take_options(struct reading *r, const struct dysco_words *words)
{
	struct dysco_words *plain = &r->order->words;

	for (int i = 0; i < words->count; i++) {
		if (i < 2 || strncmp(words->word[i], "--", 2) != 0) {
			plain->word[plain->count++] = words->word[i];
		} else if (take_option(r, words, &i) != 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- statements ---- */

static int fail_missing(struct reading *r, const char *what)
{
	const struct dysco_words *words = &r->order->words;

	return dysco_conf_fail(r->error, "syntax", "see dysco(1)", "%s %s: %s is missing",
			       words->word[0], words->word[1], what);
}

static int take_insert(struct reading *r, int at)
{
	const struct dysco_words *words = &r->order->words;
	struct dysco_wish *wish = &r->order->wish;
	int n = words->count;
	const char *where = n - at > 2 ? words->word[n - 2] : "";

	for (int i = at; i < n - 2; i++) {
		if (strcmp(words->word[i], "after") == 0 || strcmp(words->word[i], "before") == 0) {
			return dysco_conf_fail(
			    r->error, "syntax", "BOX... after HOST, or before",
			    "session insert: '%s' comes once, before the last word",
			    words->word[i]);
		}
	}
	wish->kind = DYSCO_WISH_INSERT;
	wish->where = strcmp(where, "after") == 0    ? DYSCO_WHERE_AFTER
		      : strcmp(where, "before") == 0 ? DYSCO_WHERE_BEFORE
						     : DYSCO_WHERE_FIRST;
	if (wish->where != DYSCO_WHERE_FIRST) {
		n -= 2;
		if (take_place(r, &wish->host, words->word[n + 1], false) != 0) {
			return -1;
		}
	}
	return take_places(r, wish->in, &wish->n_in, at, n, true);
}

static int take_session(struct reading *r)
{
	struct dysco_order *o = r->order;
	struct dysco_wish *wish = &o->wish;
	const char *verb = o->words.word[1];
	int at = 2;

	if (r->to) {
		return dysco_conf_fail(r->error, "syntax", "dysco session replace ... BOX BOX2",
				       "session %s: --to is an option of box drain", verb);
	}
	if (!o->group) {
		o->session_at = 2;
		o->session_end = at = 2 + dysco_session_words(&o->words, 2);
	}
	if (!o->group && r->job) {
		return dysco_conf_fail(r->error, "syntax", "--filter, --policy or --box",
				       "session %s: %s is for more than one session", verb, r->job);
	}
	if (at >= o->words.count) {
		return fail_missing(r, "the box");
	}
	if (strcmp(verb, "insert") == 0) {
		return take_insert(r, at);
	}
	if (strcmp(verb, "remove") == 0) {
		wish->kind = DYSCO_WISH_REMOVE;
		return take_places(r, wish->out, &wish->n_out, at, o->words.count, false);
	}
	wish->kind = DYSCO_WISH_REPLACE;
	if (o->words.count - at < 2) {
		return fail_missing(r, "what is to be in its place");
	}
	return take_places(r, wish->out, &wish->n_out, at, at + 1, false) == 0
		   ? take_places(r, wish->in, &wish->n_in, at + 1, o->words.count, true)
		   : -1;
}

/* Without options, of one session: late.c. */
static int take_adopt(struct reading *r)
{
	const struct dysco_order *o = r->order;
	const char *policy = o->selection.policy;

	r->order->wish.kind = DYSCO_WISH_ADOPT;
	if (r->to || o->wish.force || o->selection.box.text[0]) {
		return dysco_conf_fail(r->error, "syntax", "--filter, --policy",
				       "session adopt: %s is not for sessions without a chain",
				       r->to	       ? "--to"
				       : o->wish.force ? "--force"
						       : "--box");
	}
	if (!o->group || o->words.count > 2) {
		return dysco_conf_fail(r->error, "syntax", "--filter or --policy, without SRC DST",
				       "session adopt: options are for more than one session");
	}
	return !policy[0] || dysco_config_find_policy(r->agent->config, policy) >= 0
		   ? 0
		   : dysco_conf_fail(r->error, "unknown_policy", "dysco policy list",
				     "policy '%.60s' is not known", policy);
}

static int take_drain(struct reading *r)
{
	struct dysco_order *o = r->order;
	struct dysco_wish *wish = &o->wish;

	if (o->words.count != 3) {
		return o->words.count < 3
			   ? fail_missing(r, "the box")
			   : dysco_conf_fail(r->error, "syntax", "one box at a time",
					     "box drain: '%.60s' is not expected here",
					     o->words.word[3]);
	}
	o->group = true;
	wish->kind = r->to ? DYSCO_WISH_REPLACE : DYSCO_WISH_REMOVE;
	if (take_places(r, wish->out, &wish->n_out, 2, 3, false) != 0 ||
	    (r->to && take_place(r, &wish->in[wish->n_in++], r->to, true) != 0)) {
		return -1;
	}
	if (r->to && !wish->in[0].type &&
	    (dysco_addr_equal(&wish->in[0].ip4, &wish->out[0].ip4) &&
	     dysco_addr_equal(&wish->in[0].ip6, &wish->out[0].ip6))) {
		return dysco_conf_fail(r->error, "bad_value", "name another box, or a type",
				       "box drain: its sessions cannot go to '%.60s' itself",
				       r->to);
	}
	o->selection.box = wish->out[0];
	return 0;
}

static void describe(struct dysco_order *order, const struct dysco_words *words)
{
	size_t used = 0;

	for (int i = 0; i < words->count && used + 1 < sizeof(order->what); i++) {
		const char *word = words->word[i];

		if (strcmp(word, "--dry-run") != 0) {
			used += (size_t)snprintf(order->what + used, sizeof(order->what) - used,
						 strchr(word, ' ') ? "%s'%s'" : "%s%s",
						 used ? " " : "", word);
		}
	}
}

static int take_statement(struct reading *r, const struct dysco_words *words)
{
	if (strcmp(words->word[0], "box") == 0) {
		return take_drain(r);
	}
	return strcmp(words->word[1], "adopt") == 0 ? take_adopt(r) : take_session(r);
}

struct dysco_order *dysco_order_parse(const struct dysco_agent *agent,
				      const struct dysco_words *words,
				      struct dysco_conf_error *error)
{
	struct reading r = {.agent = agent, .order = calloc(1, sizeof(*r.order)), .error = error};

	if (!r.order) {
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return NULL;
	}
	r.order->parallel = DYSCO_PARALLEL_DEFAULT;
	describe(r.order, words);
	if (take_options(&r, words) != 0 || take_statement(&r, words) != 0) {
		dysco_order_free(r.order);
		return NULL;
	}
	return r.order;
}

struct dysco_order *dysco_order_for_policies(char (*policies)[DYSCO_NAME_BYTES], uint16_t n)
{
	struct dysco_order *order = calloc(1, sizeof(*order));
	size_t used = 0;

	if (!order) {
		free(policies);
		return NULL;
	}
	order->parallel = DYSCO_PARALLEL_DEFAULT;
	order->group = true;
	order->wish.kind = DYSCO_WISH_POLICY;
	order->wish.policies = policies;
	order->wish.n_policies = n;
	for (uint16_t i = 0; i < n && used + 1 < sizeof(order->what); i++) {
		used += (size_t)snprintf(order->what + used, sizeof(order->what) - used, "%s%s",
					 used ? "," : "existing: move ", policies[i]);
	}
	return order;
}

void dysco_order_free(struct dysco_order *order)
{
	if (order) {
		dysco_filter_unref(order->selection.filter);
		free(order->wish.policies);
		free(order);
	}
}

/* ---- selection ---- */

static bool goes_through(const struct dysco_agent *agent, const struct dysco_address_list *list,
			 const struct dysco_place *box)
{
	for (uint8_t i = 0; i < list->count; i++) {
		if (dysco_place_names(agent, box, &list->hops[i].addr)) {
			return true;
		}
	}
	return false;
}

/* filter NULL: any session. */
static bool matches(const struct dysco_filter *filter, const struct dysco_tuple *session)
{
	uint8_t packet[128];
	size_t bytes;

	if (!filter) {
		return true;
	}
	bytes = dysco_edit_make_segment(packet, sizeof(packet), session, 1, 0, DYSCO_TCP_SYN, 65535,
					0, NULL, 0);
	return dysco_filter_matches(filter, packet, (uint32_t)bytes);
}

bool dysco_selection_has(const struct dysco_agent *agent, const struct dysco_selection *selection,
			 const struct dysco_passage *passage)
{
	const struct dysco_leg_cold *cold = &agent->core.table->cold[dysco_passage_main(passage)];

	if (selection->policy[0] &&
	    strncmp(cold->policy, selection->policy, DYSCO_NAME_BYTES) != 0) {
		return false;
	}
	if (selection->box.text[0] && !goes_through(agent, &cold->list, &selection->box)) {
		return false;
	}
	return matches(selection->filter, &cold->session);
}

bool dysco_order_has_old(const struct dysco_agent *agent, const struct dysco_order *order,
			 uint16_t host, const struct dysco_tuple *session)
{
	const struct dysco_selection *s = &order->selection;
	uint16_t policy;

	if (!matches(s->filter, session)) {
		return false;
	}
	policy = dysco_plan_classify(agent, host, session);
	if (order->wish.kind == DYSCO_WISH_POLICY) {
		return dysco_plan_moves_old(agent, &order->wish, policy);
	}
	return !s->policy[0] || dysco_config_find_policy(agent->config, s->policy) == (int)policy;
}
