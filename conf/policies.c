/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements about policies: policy add|replace|remove. Policies are kept by
 * falling priority, those of one priority in the order they came.
 */
#include "conf/statement.h"

#include <stdio.h>
#include <string.h>

#include "conf/filter.h"
#include "conf/parse.h"

int dysco_config_find_policy(const struct dysco_config *config, const char *name)
{
	for (int i = 0; i < config->setup.n_policies; i++) {
		if (strcmp(config->setup.policies[i].name, name) == 0) {
			return i;
		}
	}
	return -1;
}

/* A policy being read. */
struct draft {
	struct dysco_policy policy;
	char filter[DYSCO_LINE_BYTES];
};

static int add_hop(struct dysco_statement *s, struct dysco_policy *p, const char *word, bool exit)
{
	struct dysco_policy_hop hop = {.kind = DYSCO_HOP_BOX, .exit = exit};
	struct dysco_addr addr;
	char hint[128];
	int index;

	if (p->n_hops == DYSCO_POLICY_HOPS) {
		return dysco_conf_fail(s->error, "limit", NULL, "policy %s: more than %d hops",
				       p->name, DYSCO_POLICY_HOPS);
	}
	if (dysco_parse_addr(word, &addr)) {
		if (!dysco_addr_is_unicast(&addr)) {
			return dysco_conf_fail(s->error, "bad_address", NULL,
					       "policy %s: %.60s is not a unicast address", p->name,
					       word);
		}
		index = dysco_config_box_for(s->config, &addr);
		if (index < 0) {
			return dysco_conf_fail(s->error, "limit", NULL, "more than %d boxes",
					       DYSCO_BOXES_MAX);
		}
	} else {
		index = dysco_config_find_box(s->config, word);
		if (index < 0) {
			index = dysco_config_find_type(s->config, word);
			hop.kind = DYSCO_HOP_TYPE;
		}
	}
	if (index < 0) {
		snprintf(hint, sizeof(hint), "dysco box add %.60s ADDRESS", word);
		return dysco_conf_fail(s->error, "unknown_box", hint,
				       "policy %s: box '%.60s' is not known", p->name, word);
	}
	hop.index = (uint16_t)index;
	p->hops[p->n_hops++] = hop;
	return 0;
}

static int add_at(struct dysco_statement *s, struct dysco_policy *p, const char *word)
{
	int host = dysco_config_find_host(s->config, word);

	if (host < 0) {
		return dysco_conf_fail(s->error, "unknown_host", "dysco status lists the hosts",
				       "policy %s: host '%.60s' is not known", p->name, word);
	}
	if (p->n_at == DYSCO_POLICY_HOSTS) {
		return dysco_conf_fail(s->error, "limit", "leave out `at` for all hosts",
				       "policy %s: at more than %d hosts", p->name,
				       DYSCO_POLICY_HOSTS);
	}
	p->at[p->n_at++] = s->config->setup.hosts[host].id;
	return 0;
}

static int add_via(struct dysco_statement *s, struct dysco_policy *p, const char *word)
{
	return add_hop(s, p, word, false);
}

/* WORD[,WORD]...: calls add for each. */
static int take_list(struct dysco_statement *s, struct dysco_policy *p, const char *what,
		     int (*add)(struct dysco_statement *s, struct dysco_policy *p,
				const char *word))
{
	const char *list = dysco_statement_need(s, what);
	char word[DYSCO_ENDPOINT_TEXT];

	while (list) {
		size_t n = strcspn(list, ",");

		if (n == 0 || n >= sizeof(word)) {
			return dysco_conf_fail(s->error, "syntax", "commas without spaces: fw1,ids",
					       "policy %s: %s: a name is empty or too long",
					       p->name, what);
		}
		memcpy(word, list, n);
		word[n] = '\0';
		if (add(s, p, word) != 0) {
			return -1;
		}
		if (list[n] == '\0') {
			return 0;
		}
		list += n + 1;
	}
	return -1;
}

static int take_fail(struct dysco_statement *s, struct dysco_policy *p)
{
	const char *word = dysco_statement_need(s, "open or closed");

	if (word && strcmp(word, "open") == 0) {
		p->fail = DYSCO_FAIL_OPEN;
		return 0;
	}
	if (word && strcmp(word, "closed") == 0) {
		p->fail = DYSCO_FAIL_CLOSED;
		return 0;
	}
	return word ? dysco_conf_fail(s->error, "bad_value", NULL,
				      "policy %s: fail is open or closed, not '%.60s'", p->name,
				      word)
		    : -1;
}

static int take_on_failure(struct dysco_statement *s, struct dysco_policy *p)
{
	static const char *const names[] = {"replace", "bypass", "close", "none"};
	const char *word = dysco_statement_need(s, "what to do on failure");

	for (int i = 0; word && i < 4; i++) {
		if (strcmp(word, names[i]) == 0) {
			p->on_failure = (enum dysco_on_failure)i;
			return 0;
		}
	}
	return word ? dysco_conf_fail(s->error, "bad_value", "replace, bypass, close or none",
				      "policy %s: '%.60s' is no way to meet a failure", p->name,
				      word)
		    : -1;
}

static int take_exit(struct dysco_statement *s, struct dysco_policy *p)
{
	const char *word = dysco_statement_need(s, "the box at the exit");

	return word ? add_hop(s, p, word, true) : -1;
}

static int take_existing(struct dysco_statement *s, struct dysco_policy *p)
{
	const char *word = dysco_statement_need(s, "keep or move");

	if (word && strcmp(word, "keep") == 0) {
		p->existing = DYSCO_EXISTING_KEEP;
		return 0;
	}
	if (word && strcmp(word, "move") == 0) {
		p->existing = DYSCO_EXISTING_MOVE;
		return 0;
	}
	return word ? dysco_conf_fail(s->error, "bad_value", NULL,
				      "policy %s: existing is keep or move, not '%.60s'", p->name,
				      word)
		    : -1;
}

/* Marks an entry of the chain that is there already. */
static int mark_mandatory(struct dysco_statement *s, struct dysco_policy *p, const char *word)
{
	const struct dysco_setup *setup = &s->config->setup;
	struct dysco_addr addr;
	bool literal = dysco_parse_addr(word, &addr);

	for (uint8_t i = 0; i < p->n_hops; i++) {
		struct dysco_policy_hop *hop = &p->hops[i];
		const struct dysco_box *box = &setup->boxes[hop->index];

		if (hop->kind == DYSCO_HOP_TYPE ? strcmp(setup->types[hop->index].name, word) == 0
		    : literal
			? dysco_addr_equal(&box->ip4, &addr) || dysco_addr_equal(&box->ip6, &addr)
			: strcmp(box->name, word) == 0) {
			hop->mandatory = true;
			return 0;
		}
	}
	return dysco_conf_fail(s->error, "unknown_box", "name it in `via` or `exit` first",
			       "policy %s: mandatory '%.60s' is not in its chain", p->name, word);
}

/* The rest of the line is the expression. */
static int take_filter(struct dysco_statement *s, struct draft *draft)
{
	size_t used = 0;
	const char *word = dysco_statement_need(s, "the filter expression");

	if (!word) {
		return -1;
	}
	for (; word; word = dysco_statement_next(s)) {
		int n = snprintf(draft->filter + used, sizeof(draft->filter) - used, "%s%s",
				 used ? " " : "", word);

		used += (size_t)n;
		if (used >= sizeof(draft->filter)) {
			return dysco_conf_fail(s->error, "limit", NULL,
					       "policy %s: the filter is too long",
					       draft->policy.name);
		}
	}
	return 0;
}

static int take_clause(struct dysco_statement *s, struct dysco_policy *p, const char *word)
{
	uint64_t number;

	if (strcmp(word, "priority") == 0) {
		if (dysco_statement_number(s, "the priority", 0, UINT32_MAX, &number) != 0) {
			return -1;
		}
		p->priority = (uint32_t)number;
		return 0;
	}
	if (strcmp(word, "retries") == 0) {
		if (dysco_statement_number(s, "retries", 1, 6, &number) != 0) {
			return -1;
		}
		p->retries = (uint8_t)number;
		return 0;
	}
	if (strcmp(word, "at") == 0) {
		return take_list(s, p, "the hosts behind `at`", add_at);
	}
	if (strcmp(word, "via") == 0) {
		return take_list(s, p, "the boxes behind `via`", add_via);
	}
	if (strcmp(word, "exit") == 0) {
		return take_exit(s, p);
	}
	if (strcmp(word, "fail") == 0) {
		return take_fail(s, p);
	}
	if (strcmp(word, "on-failure") == 0) {
		return take_on_failure(s, p);
	}
	if (strcmp(word, "mandatory") == 0) {
		return take_list(s, p, "the boxes behind `mandatory`", mark_mandatory);
	}
	if (strcmp(word, "existing") == 0) {
		return take_existing(s, p);
	}
	return dysco_conf_fail(s->error, "syntax",
			       "priority, at, via, exit, mandatory, fail, on-failure, retries, "
			       "existing, and filter last",
			       "policy %s: '%.60s' is not expected here", p->name, word);
}

static int take_policy(struct dysco_statement *s, struct draft *draft)
{
	const char *word;

	for (word = dysco_statement_next(s); word; word = dysco_statement_next(s)) {
		if (strcmp(word, "filter") == 0) {
			return take_filter(s, draft);
		}
		if (take_clause(s, &draft->policy, word) != 0) {
			return -1;
		}
	}
	return dysco_conf_fail(s->error, "syntax",
			       "end with `filter EXPRESSION`, see pcap-filter(7)",
			       "policy %s: the filter is missing", draft->policy.name);
}

static void remove_policy(struct dysco_config *config, int index)
{
	struct dysco_setup *setup = &config->setup;
	size_t behind = (size_t)(setup->n_policies - index - 1);

	dysco_filter_unref(config->filters[index]);
	memmove(&setup->policies[index], &setup->policies[index + 1],
		behind * sizeof(setup->policies[0]));
	memmove(&config->filters[index], &config->filters[index + 1],
		behind * sizeof(struct dysco_filter *));
	setup->n_policies--;
}

/* Takes over the filter. The caller has seen that there is room. */
static void insert_policy(struct dysco_config *config, const struct dysco_policy *policy,
			  struct dysco_filter *filter)
{
	struct dysco_setup *setup = &config->setup;
	uint16_t at = 0;
	size_t behind;

	while (at < setup->n_policies && setup->policies[at].priority >= policy->priority) {
		at++;
	}
	behind = (size_t)(setup->n_policies - at);
	memmove(&setup->policies[at + 1], &setup->policies[at], behind * sizeof(*policy));
	memmove(&config->filters[at + 1], &config->filters[at],
		behind * sizeof(struct dysco_filter *));
	setup->policies[at] = *policy;
	config->filters[at] = filter;
	setup->n_policies++;
}

static int put_policy(struct dysco_statement *s, const char *name)
{
	struct dysco_config *config = s->config;
	struct draft draft = {.policy = {.priority = DYSCO_PRIORITY_DEFAULT,
					 .retries = DYSCO_RETRIES_DEFAULT,
					 .tag = dysco_policy_tag(name)}};
	struct dysco_filter *filter;
	int old;

	snprintf(draft.policy.name, sizeof(draft.policy.name), "%s", name);
	if (take_policy(s, &draft) != 0) {
		return -1;
	}
	old = dysco_config_find_policy(config, name);
	if (old < 0 && config->setup.n_policies == DYSCO_POLICIES_MAX) {
		return dysco_conf_fail(s->error, "limit", NULL, "more than %d policies",
				       DYSCO_POLICIES_MAX);
	}
	filter = dysco_filter_compile(draft.filter, s->error);
	if (!filter) {
		char message[sizeof(s->error->message)];

		snprintf(message, sizeof(message), "policy %s: %.460s", name, s->error->message);
		memcpy(s->error->message, message, sizeof(message));
		return -1;
	}
	if (old >= 0) {
		remove_policy(config, old);
	}
	insert_policy(config, &draft.policy, filter);
	dysco_config_sweep_boxes(config);
	return 0;
}

int dysco_apply_policy_add(struct dysco_statement *s)
{
	const char *name;
	char hint[96];

	if (dysco_statement_name(s, "the policy's name", &name) != 0) {
		return -1;
	}
	if (dysco_config_find_policy(s->config, name) >= 0) {
		snprintf(hint, sizeof(hint), "dysco policy replace %s ...", name);
		return dysco_conf_fail(s->error, "exists", hint, "policy %s is there already",
				       name);
	}
	return put_policy(s, name);
}

/* A name that is not there is more often mistyped than meant. */
int dysco_apply_policy_replace(struct dysco_statement *s)
{
	const char *name;
	char hint[96];

	if (dysco_statement_name(s, "the policy's name", &name) != 0) {
		return -1;
	}
	if (dysco_config_find_policy(s->config, name) < 0) {
		snprintf(hint, sizeof(hint), "dysco policy add %s ..., or see dysco policy list",
			 name);
		return dysco_conf_fail(s->error, "unknown_policy", hint,
				       "there is no policy %s to replace", name);
	}
	return put_policy(s, name);
}

int dysco_apply_policy_remove(struct dysco_statement *s)
{
	const char *name = dysco_statement_need(s, "the policy's name");
	int index;

	if (!name || dysco_statement_end(s) != 0) {
		return -1;
	}
	index = dysco_config_find_policy(s->config, name);
	if (index < 0) {
		return dysco_conf_fail(s->error, "unknown_policy", "dysco policy list",
				       "policy '%.60s' is not known", name);
	}
	remove_policy(s->config, index);
	dysco_config_sweep_boxes(s->config);
	return 0;
}

static bool same_box(const struct dysco_box *a, const struct dysco_box *b)
{
	return strcmp(a->name, b->name) == 0 && dysco_addr_equal(&a->ip4, &b->ip4) &&
	       dysco_addr_equal(&a->ip6, &b->ip6);
}

static bool same_type(const struct dysco_setup *a, const struct dysco_type *ta,
		      const struct dysco_setup *b, const struct dysco_type *tb)
{
	bool same = strcmp(ta->name, tb->name) == 0 && ta->count == tb->count;

	for (uint16_t i = 0; same && i < ta->count; i++) {
		same = same_box(&a->boxes[ta->boxes[i]], &b->boxes[tb->boxes[i]]);
	}
	return same;
}

static bool same_hop(const struct dysco_setup *a, const struct dysco_policy_hop *ha,
		     const struct dysco_setup *b, const struct dysco_policy_hop *hb)
{
	if (ha->kind != hb->kind || ha->exit != hb->exit || ha->mandatory != hb->mandatory) {
		return false;
	}
	return ha->kind == DYSCO_HOP_BOX
		   ? same_box(&a->boxes[ha->index], &b->boxes[hb->index])
		   : same_type(a, &a->types[ha->index], b, &b->types[hb->index]);
}

bool dysco_config_policy_same(const struct dysco_config *a, int i, const struct dysco_config *b,
			      int j)
{
	const struct dysco_policy *pa = &a->setup.policies[i], *pb = &b->setup.policies[j];
	bool same = pa->priority == pb->priority && pa->n_hops == pb->n_hops &&
		    pa->n_at == pb->n_at &&
		    memcmp(pa->at, pb->at, pa->n_at * sizeof(pa->at[0])) == 0 &&
		    strcmp(dysco_filter_text(a->filters[i]), dysco_filter_text(b->filters[j])) == 0;

	for (uint8_t h = 0; same && h < pa->n_hops; h++) {
		same = same_hop(&a->setup, &pa->hops[h], &b->setup, &pb->hops[h]);
	}
	return same;
}
