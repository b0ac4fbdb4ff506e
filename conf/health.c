/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The statement `health`: off, or on with what is said of it and defaults for the rest.
 *
 *   health off | on [interval T] [timeout T] [failures N] [successes N] [rate N] [patience T]
 */
#include <stdlib.h>
#include <string.h>

#include "conf/parse.h"
#include "conf/statement.h"

/* 500ms, 2s: a unit has to be there. */
static bool parse_ms(const char *word, uint64_t *ms)
{
	size_t digits = strspn(word, "0123456789");
	char number[16];
	bool seconds = strcmp(word + digits, "s") == 0;

	if (digits == 0 || digits >= sizeof(number) ||
	    (!seconds && strcmp(word + digits, "ms") != 0)) {
		return false;
	}
	memcpy(number, word, digits);
	number[digits] = '\0';
	if (!dysco_parse_number(number, 0, 1000000, ms)) {
		return false;
	}
	*ms *= seconds ? 1000 : 1;
	return true;
}

#define OFTEN_MAX_MS	60000
#define PATIENCE_MAX_MS 600000

static int take_time(struct dysco_statement *s, const char *what, uint64_t min_ms, uint64_t max_ms,
		     uint32_t *field)
{
	const char *word = dysco_statement_need(s, what);
	uint64_t ms;

	if (!word) {
		return -1;
	}
	if (!parse_ms(word, &ms) || ms < min_ms || ms > max_ms) {
		return dysco_conf_fail(s->error, "bad_value", "for instance 500ms, or 2s",
				       "health: %s is from %llums to %llus, not '%.60s'", what,
				       (unsigned long long)min_ms,
				       (unsigned long long)max_ms / 1000, word);
	}
	*field = (uint32_t)ms;
	return 0;
}

static int take_count(struct dysco_statement *s, const char *what, uint64_t max, uint32_t *field)
{
	uint64_t number;

	if (dysco_statement_number(s, what, 1, max, &number) != 0) {
		return -1;
	}
	*field = (uint32_t)number;
	return 0;
}

static int take_setting(struct dysco_statement *s, struct dysco_health_setup *h, const char *word)
{
	if (strcmp(word, "interval") == 0) {
		return take_time(s, "the interval", 100, OFTEN_MAX_MS, &h->interval_ms);
	}
	if (strcmp(word, "timeout") == 0) {
		return take_time(s, "the timeout", 50, OFTEN_MAX_MS, &h->timeout_ms);
	}
	if (strcmp(word, "failures") == 0) {
		return take_count(s, "failures", 20, &h->failures);
	}
	if (strcmp(word, "successes") == 0) {
		return take_count(s, "successes", 100, &h->successes);
	}
	if (strcmp(word, "rate") == 0) {
		return take_count(s, "the rate", 10000, &h->rate);
	}
	if (strcmp(word, "patience") == 0) {
		return take_time(s, "the patience", 0, PATIENCE_MAX_MS, &h->patience_ms);
	}
	return dysco_conf_fail(s->error, "syntax",
			       "interval, timeout, failures, successes, rate and patience",
			       "health: '%.60s' is not expected here", word);
}

int dysco_apply_health(struct dysco_statement *s)
{
	struct dysco_health_setup h = DYSCO_HEALTH_DEFAULT;
	const char *word = dysco_statement_need(s, "on or off");

	if (!word) {
		return -1;
	}
	h.off = strcmp(word, "off") == 0;
	if (!h.off && strcmp(word, "on") != 0) {
		return dysco_conf_fail(s->error, "bad_value", "health on [interval T] ...",
				       "health: on or off, not '%.60s'", word);
	}
	for (word = dysco_statement_next(s); word && !h.off; word = dysco_statement_next(s)) {
		if (take_setting(s, &h, word) != 0) {
			return -1;
		}
	}
	if (word) {
		return dysco_conf_fail(s->error, "syntax", NULL,
				       "health off: '%.60s' is not expected here", word);
	}
	s->config->health = h;
	return 0;
}
