/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as a whole (config.h): copies, the choice of the applier
 * for a statement, the check, and the views the agent takes of it.
 */
#include "conf/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/filter.h"
#include "conf/parse.h"
#include "conf/statement.h"

int dysco_conf_fail(struct dysco_conf_error *error, const char *code, const char *hint,
		    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	snprintf(error->code, sizeof(error->code), "%s", code);
	snprintf(error->hint, sizeof(error->hint), "%s", hint ? hint : "");
	return -1;
}

struct dysco_config *dysco_config_new(struct dysco_ids *ids)
{
	struct dysco_config *config = calloc(1, sizeof(*config));

	if (!config) {
		return NULL;
	}
	config->setup.port_first = DYSCO_PORT_FIRST;
	config->setup.port_last = DYSCO_PORT_LAST;
	config->setup.timeouts = (struct dysco_timeouts)DYSCO_TIMEOUTS_DEFAULT;
	config->legs = DYSCO_LEGS_DEFAULT;
	config->health = (struct dysco_health_setup)DYSCO_HEALTH_DEFAULT;
	config->log_level = DYSCO_LOG_INFO;
	config->realtime = true;
	config->ids = ids;
	return config;
}

struct dysco_config *dysco_config_copy(const struct dysco_config *config)
{
	struct dysco_config *copy = malloc(sizeof(*copy));

	if (!copy) {
		return NULL;
	}
	*copy = *config;
	for (uint16_t i = 0; i < copy->setup.n_policies; i++) {
		dysco_filter_ref(copy->filters[i]);
	}
	return copy;
}

void dysco_config_free(struct dysco_config *config)
{
	if (!config) {
		return;
	}
	for (uint16_t i = 0; i < config->setup.n_policies; i++) {
		dysco_filter_unref(config->filters[i]);
	}
	explicit_bzero(config->setup.keys, sizeof(config->setup.keys));
	free(config);
}

/* One row a statement; verb NULL: the word stands alone. In a file `box NAME` means `box add NAME`.
 */
struct row {
	const char *word, *verb;
	bool file, socket;
	int (*apply)(struct dysco_statement *s);
};

static const struct row rows[] = {
    {"agent", NULL, true, false, dysco_apply_agent},
    {"key", NULL, true, false, dysco_apply_key},
    {"ports", NULL, true, false, dysco_apply_ports},
    {"timeout", NULL, true, false, dysco_apply_timeout},
    {"legs", NULL, true, false, dysco_apply_legs},
    {"log", NULL, true, true, dysco_apply_log},
    {"scheduling", NULL, true, true, dysco_apply_scheduling},
    {"triggers", NULL, true, true, dysco_apply_triggers},
    {"socket", NULL, true, false, dysco_apply_socket},
    {"metrics", NULL, true, false, dysco_apply_metrics},
    {"health", NULL, true, true, dysco_apply_health},
    {"host", NULL, true, true, dysco_apply_host},
    {"attach", NULL, true, true, dysco_apply_attach},
    {"detach", NULL, true, true, dysco_apply_detach},
    {"box", "add", true, true, dysco_apply_box_add},
    {"box", "remove", false, true, dysco_apply_box_remove},
    {"box", "drain", false, true, dysco_apply_box_drain},
    {"box", "undrain", false, true, dysco_apply_box_undrain},
    {"type", "add", true, true, dysco_apply_type_add},
    {"type", "remove", false, true, dysco_apply_type_remove},
    {"policy", "add", true, true, dysco_apply_policy_add},
    {"policy", "replace", false, true, dysco_apply_policy_replace},
    {"policy", "remove", false, true, dysco_apply_policy_remove},
};

/* The row of a statement, and how many words name it. */
static const struct row *find_row(const struct dysco_words *words, enum dysco_conf_source source,
				  int *taken)
{
	const char *second = words->count > 1 ? words->word[1] : "";

	if (words->count == 0) {
		return NULL;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (strcmp(words->word[0], row->word) != 0 ||
		    !(source == DYSCO_CONF_FILE ? row->file : row->socket)) {
			continue;
		}
		*taken = row->verb && source == DYSCO_CONF_SOCKET ? 2 : 1;
		if (*taken == 1 || strcmp(second, row->verb) == 0) {
			return row;
		}
	}
	return NULL;
}

bool dysco_config_is_change(const struct dysco_words *words, enum dysco_conf_source source)
{
	int taken;

	return find_row(words, source, &taken) != NULL;
}

/* "box add, box remove": what can be done with this word at run time. */
static void list_verbs(const char *word, char *out, size_t out_bytes)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].socket && rows[i].verb && strcmp(rows[i].word, word) == 0 &&
		    used < out_bytes) {
			used += (size_t)snprintf(out + used, out_bytes - used, "%s%s %s",
						 used ? ", " : "", word, rows[i].verb);
		}
	}
}

static int fail_verb(const struct dysco_words *words, const char *verbs,
		     struct dysco_conf_error *error)
{
	if (words->count < 2) {
		return dysco_conf_fail(error, "unknown_command", verbs,
				       "%s: what is to be done is missing", words->word[0]);
	}
	return dysco_conf_fail(error, "unknown_command", verbs,
			       "'%s %.60s' is not something to be done", words->word[0],
			       words->word[1]);
}

static int fail_unknown(const struct dysco_words *words, enum dysco_conf_source source,
			struct dysco_conf_error *error)
{
	const char *word = words->count ? words->word[0] : "";
	bool file = source == DYSCO_CONF_FILE;
	char verbs[160];
	int taken;

	list_verbs(word, verbs, sizeof(verbs));
	if (!file && verbs[0]) {
		return fail_verb(words, verbs, error);
	}
	if (!file && find_row(words, DYSCO_CONF_FILE, &taken)) {
		return dysco_conf_fail(error, "unknown_command",
				       "change the file and reload: systemctl reload dyscod",
				       "'%.60s' can only be set in the configuration file", word);
	}
	return dysco_conf_fail(error, "unknown_command",
			       file ? "see dysco.conf(5)" : "see dysco(1)", "'%.60s' is not a %s",
			       word, file ? "statement" : "command");
}

int dysco_config_apply(struct dysco_config *config, enum dysco_conf_source source,
		       const struct dysco_words *words, struct dysco_conf_error *error)
{
	struct dysco_statement s = {.config = config, .words = words, .error = error};
	const struct row *row = find_row(words, source, &s.at);

	if (!row) {
		return fail_unknown(words, source, error);
	}
	return row->apply(&s);
}

static void hop_text(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_config *config,
		     const struct dysco_policy_hop *hop)
{
	if (hop->kind == DYSCO_HOP_TYPE) {
		snprintf(out, DYSCO_ENDPOINT_TEXT, "%s", config->setup.types[hop->index].name);
	} else {
		dysco_config_box_text(out, &config->setup.boxes[hop->index]);
	}
}

static int fail_policy(const struct dysco_config *config, enum dysco_setup_error wrong,
		       uint16_t index, uint16_t hop_index, struct dysco_conf_error *error)
{
	const struct dysco_policy *p = &config->setup.policies[index];
	char hop[DYSCO_ENDPOINT_TEXT] = "";

	if (hop_index < p->n_hops) {
		hop_text(hop, config, &p->hops[hop_index]);
	}
	switch (wrong) {
	case DYSCO_SETUP_LOOP:
		return dysco_conf_fail(error, "loop", "name each box once",
				       "policy %s: '%s' occurs twice in the chain", p->name, hop);
	case DYSCO_SETUP_SELF:
		return dysco_conf_fail(
		    error, "self", "leave it out, or restrict the policy with `at`",
		    "policy %s: '%s' is a host that the policy itself applies at", p->name, hop);
	case DYSCO_SETUP_EXIT:
		return dysco_conf_fail(error, "syntax", "put `exit BOX` last",
				       "policy %s: only the last hop can be the exit", p->name);
	case DYSCO_SETUP_EMPTY_TYPE:
		return dysco_conf_fail(error, "bad_value", "give the type a box",
				       "policy %s: type '%s' has no box", p->name, hop);
	case DYSCO_SETUP_NAME:
		return dysco_conf_fail(error, "exists", "give it another name",
				       "policy %s: another policy has this name", p->name);
	case DYSCO_SETUP_LONG:
		return dysco_conf_fail(error, "limit", NULL, "policy %s: more than %d hops",
				       p->name, DYSCO_POLICY_HOPS);
	default:
		return dysco_conf_fail(error, "bad_value", NULL, "policy %s: refused (%d)", p->name,
				       (int)wrong);
	}
}

int dysco_config_check(const struct dysco_config *config, struct dysco_conf_error *error)
{
	uint16_t policy = 0, hop = 0;
	enum dysco_setup_error wrong = dysco_setup_check(&config->setup, &policy, &hop);

	if (wrong == DYSCO_SETUP_OK) {
		return 0;
	}
	if (wrong == DYSCO_SETUP_PORTS || policy >= config->setup.n_policies) {
		return dysco_conf_fail(error, "bad_value", "ports 61000-65535",
				       "the range of ports is empty");
	}
	return fail_policy(config, wrong, policy, hop, error);
}

struct reading {
	struct dysco_config *config;
	struct dysco_conf_error *error;
};

static int read_statement(void *context, const char *where, const struct dysco_words *words)
{
	struct reading *r = context;
	char message[sizeof(r->error->message)];

	if (dysco_config_apply(r->config, DYSCO_CONF_FILE, words, r->error) == 0 &&
	    dysco_config_check(r->config, r->error) == 0) {
		return 0;
	}
	snprintf(message, sizeof(message), "%.150s: %.340s", where, r->error->message);
	memcpy(r->error->message, message, sizeof(message));
	return 1;
}

int dysco_config_read(struct dysco_config *config, const char *name, const char *text, size_t bytes,
		      struct dysco_conf_error *error)
{
	struct reading r = {config, error};
	char wrong[512];
	int result = dysco_words_read(name, text, bytes, read_statement, &r, wrong, sizeof(wrong));

	if (result < 0) {
		return dysco_conf_fail(error, "syntax", "see dysco.conf(5)", "%.500s", wrong);
	}
	return result == 0 ? 0 : -1;
}

uint32_t dysco_config_rules(const struct dysco_config *config, struct dysco_classifier_rule *rules)
{
	for (uint16_t i = 0; i < config->setup.n_policies; i++) {
		const struct dysco_policy *p = &config->setup.policies[i];
		struct dysco_classifier_rule *r = &rules[i];

		memset(r, 0, sizeof(*r));
		r->insns = dysco_filter_insns(config->filters[i], &r->n_insns);
		r->fail = p->fail;
		r->n_at = p->n_at;
		memcpy(r->at, p->at, sizeof(r->at));
	}
	return config->setup.n_policies;
}

bool dysco_config_policy_at(const struct dysco_policy *policy, uint16_t host)
{
	for (uint8_t i = 0; i < policy->n_at; i++) {
		if (policy->at[i] == host) {
			return true;
		}
	}
	return policy->n_at == 0;
}

bool dysco_config_policy_matches(const struct dysco_config *config, uint16_t policy,
				 const uint8_t *packet, uint32_t bytes)
{
	return dysco_filter_matches(config->filters[policy], packet, bytes);
}

const char *dysco_config_filter_text(const struct dysco_config *config, uint16_t policy)
{
	return dysco_filter_text(config->filters[policy]);
}

uint16_t dysco_config_classify(const struct dysco_config *config, uint16_t host,
			       const uint8_t *packet, uint32_t bytes)
{
	for (uint16_t i = 0; i < config->setup.n_policies; i++) {
		if (dysco_config_policy_at(&config->setup.policies[i], host) &&
		    dysco_config_policy_matches(config, i, packet, bytes)) {
			return i;
		}
	}
	return DYSCO_NO_POLICY;
}
