/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a statement's words (statement.h), and the statements that set one
 * value: agent, key, ports, timeout, legs, log, scheduling, triggers, socket,
 * metrics.
 */
#include "conf/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/parse.h"

const char *dysco_statement_next(struct dysco_statement *s)
{
	return s->at < s->words->count ? s->words->word[s->at++] : NULL;
}

const char *dysco_statement_need(struct dysco_statement *s, const char *what)
{
	const char *word = dysco_statement_next(s);

	if (!word) {
		dysco_conf_fail(s->error, "syntax", NULL, "%.60s: %s is missing", s->words->word[0],
				what);
	}
	return word;
}

bool dysco_statement_take(struct dysco_statement *s, const char *word)
{
	if (s->at < s->words->count && strcmp(s->words->word[s->at], word) == 0) {
		s->at++;
		return true;
	}
	return false;
}

int dysco_statement_end(struct dysco_statement *s)
{
	const char *word = dysco_statement_next(s);

	return word ? dysco_conf_fail(s->error, "syntax", NULL,
				      "%.60s: '%.100s' is not expected here", s->words->word[0],
				      word)
		    : 0;
}

int dysco_statement_name(struct dysco_statement *s, const char *what, const char **name)
{
	static const char *const verbs[] = {"add",  "remove", "replace", "list",
					    "test", "drain",  "undrain"};

	*name = dysco_statement_need(s, what);
	if (!*name) {
		return -1;
	}
	if (!dysco_parse_name_ok(*name)) {
		return dysco_conf_fail(
		    s->error, "bad_value",
		    "1 to 31 letters, digits, '.', '_' or '-', and not an address",
		    "%s: '%.60s' is not a good name", s->words->word[0], *name);
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(*name, verbs[i]) == 0) {
			return dysco_conf_fail(s->error, "bad_value",
					       "in the file write `box NAME ...`, without a verb",
					       "%s: '%s' cannot be a name", s->words->word[0],
					       *name);
		}
	}
	return 0;
}

int dysco_statement_number(struct dysco_statement *s, const char *what, uint64_t min, uint64_t max,
			   uint64_t *number)
{
	const char *word = dysco_statement_need(s, what);

	if (!word) {
		return -1;
	}
	if (!dysco_parse_number(word, min, max, number)) {
		return dysco_conf_fail(s->error, "bad_value", NULL,
				       "%s: %s must be a number from %llu to %llu, not '%.60s'",
				       s->words->word[0], what, (unsigned long long)min,
				       (unsigned long long)max, word);
	}
	return 0;
}

int dysco_apply_agent(struct dysco_statement *s)
{
	const char *name;

	if (dysco_statement_name(s, "the agent's name", &name) != 0) {
		return -1;
	}
	snprintf(s->config->setup.agent, sizeof(s->config->setup.agent), "%s", name);
	return dysco_statement_end(s);
}

/* Reads at most bytes - 1 of a key file that others cannot read; its length, or -1. */
static long read_key_file(struct dysco_statement *s, const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0) {
		return dysco_conf_fail(s->error, "bad_value", "make one with: dysco keygen",
				       "key file %.200s: %s", path, strerror(errno));
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) != 0) {
		close(fd);
		return dysco_conf_fail(s->error, "bad_value", "chmod 600 the file",
				       "key file %.200s: must be a file that others cannot read",
				       path);
	}
	n = read(fd, text, bytes - 1);
	close(fd);
	if (n < 0) {
		return dysco_conf_fail(s->error, "bad_value", NULL, "key file %.200s: %s", path,
				       strerror(errno));
	}
	text[n] = '\0';
	return n;
}

/* The key itself: HEX64, or file PATH whose first word is HEX64. */
static int apply_key_bytes(struct dysco_statement *s, uint8_t key[32])
{
	const char *word = dysco_statement_need(s, "the key");
	const char *path = NULL;
	char text[128];
	size_t begin;
	bool good;

	if (!word) {
		return -1;
	}
	if (strcmp(word, "file") == 0) {
		path = dysco_statement_need(s, "the path of the key file");
		if (!path || read_key_file(s, path, text, sizeof(text)) < 0) {
			return -1;
		}
		word = text;
	}
	begin = strspn(word, " \t\r\n");
	good = dysco_parse_key(word + begin, strcspn(word + begin, " \t\r\n"), key);
	if (path) {
		explicit_bzero(text, sizeof(text));
	} else {
		s->config->key_inside = true;
	}
	if (!good) {
		return dysco_conf_fail(s->error, "bad_value", "make one with: dysco keygen",
				       "key%s%.200s: a key is 64 hexadecimal digits",
				       path ? " file " : "", path ? path : "");
	}
	return 0;
}

int dysco_apply_key(struct dysco_statement *s)
{
	struct dysco_setup *setup = &s->config->setup;
	struct dysco_key key;
	uint64_t id;

	if (dysco_statement_number(s, "the key's id", 1, 65535, &id) != 0 ||
	    apply_key_bytes(s, key.bytes) != 0) {
		return -1;
	}
	key.id = (uint16_t)id;
	for (uint16_t i = 0; i < setup->n_keys; i++) {
		if (setup->keys[i].id == key.id) {
			return dysco_conf_fail(s->error, "exists", NULL, "key %u is there already",
					       (unsigned int)key.id);
		}
	}
	if (setup->n_keys == DYSCO_KEYS_MAX) {
		return dysco_conf_fail(s->error, "limit", NULL, "more than %d keys",
				       DYSCO_KEYS_MAX);
	}
	setup->keys[setup->n_keys++] = key;
	return dysco_statement_end(s);
}

int dysco_apply_ports(struct dysco_statement *s)
{
	const char *word = dysco_statement_need(s, "the range of ports");
	uint64_t first, last;
	char text[16];
	char *dash;

	if (!word) {
		return -1;
	}
	snprintf(text, sizeof(text), "%s", word);
	dash = strchr(text, '-');
	if (dash) {
		*dash = '\0';
	}
	if (!dash || !dysco_parse_number(text, 1024, 65535, &first) ||
	    !dysco_parse_number(dash + 1, first, 65535, &last)) {
		return dysco_conf_fail(
		    s->error, "bad_value", "ports 61000-65535",
		    "ports: '%.60s' is not FIRST-LAST with 1024 <= FIRST <= LAST", word);
	}
	s->config->setup.port_first = (uint16_t)first;
	s->config->setup.port_last = (uint16_t)last;
	return dysco_statement_end(s);
}

static uint32_t *timeout_named(struct dysco_timeouts *t, const char *name)
{
	if (strcmp(name, "established") == 0) {
		return &t->established;
	}
	if (strcmp(name, "half-closed") == 0) {
		return &t->half_closed;
	}
	if (strcmp(name, "embryonic") == 0) {
		return &t->embryonic;
	}
	return strcmp(name, "linger") == 0 ? &t->linger : NULL;
}

int dysco_apply_timeout(struct dysco_statement *s)
{
	const char *name = dysco_statement_need(s, "the name of the time-out");
	uint32_t *timeout;
	uint64_t seconds;

	if (!name) {
		return -1;
	}
	timeout = timeout_named(&s->config->setup.timeouts, name);
	if (!timeout) {
		return dysco_conf_fail(s->error, "syntax",
				       "established, half-closed, embryonic or linger",
				       "timeout: '%.60s' is not known", name);
	}
	if (dysco_statement_number(s, "the seconds", 1, 30 * 86400, &seconds) != 0) {
		return -1;
	}
	*timeout = (uint32_t)seconds;
	return dysco_statement_end(s);
}

int dysco_apply_legs(struct dysco_statement *s)
{
	uint64_t legs;

	if (dysco_statement_number(s, "the capacity", 64, DYSCO_LEGS_MAX, &legs) != 0) {
		return -1;
	}
	s->config->legs = (uint32_t)legs;
	return dysco_statement_end(s);
}

int dysco_apply_log(struct dysco_statement *s)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	const char *word = dysco_statement_need(s, "the level");

	for (int i = 0; word && i < 4; i++) {
		if (strcmp(word, names[i]) == 0) {
			s->config->log_level = (enum dysco_log_level)i;
			return dysco_statement_end(s);
		}
	}
	return word ? dysco_conf_fail(s->error, "bad_value", "debug, info, warn or error",
				      "log: '%.60s' is not a level", word)
		    : -1;
}

int dysco_apply_scheduling(struct dysco_statement *s)
{
	const char *word = dysco_statement_need(s, "realtime or normal");

	if (!word) {
		return -1;
	}
	s->config->realtime = strcmp(word, "realtime") == 0;
	if (!s->config->realtime && strcmp(word, "normal") != 0) {
		return dysco_conf_fail(s->error, "bad_value", "realtime or normal",
				       "scheduling: '%.60s' is not known", word);
	}
	return dysco_statement_end(s);
}

int dysco_apply_triggers(struct dysco_statement *s)
{
	static const char *const names[] = {
	    [DYSCO_TRIGGERS_ALL] = "all",
	    [DYSCO_TRIGGERS_REMOVAL] = "removal",
	    [DYSCO_TRIGGERS_NONE] = "none",
	};
	const char *word = dysco_statement_need(s, "which requests of boxes are carried out");

	for (uint8_t i = 0; word && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]) == 0) {
			s->config->setup.triggers = i;
			return dysco_statement_end(s);
		}
	}
	return word ? dysco_conf_fail(s->error, "bad_value", "all, removal or none",
				      "triggers: '%.60s' is not known", word)
		    : -1;
}

static bool is_group_name(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n < DYSCO_NAME_BYTES && text[0] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   n;
}

/* Whether there is such a group is seen when the socket is made: configurations need no system. */
int dysco_apply_socket(struct dysco_statement *s)
{
	const char *group;

	if (!dysco_statement_take(s, "group")) {
		return dysco_conf_fail(s->error, "syntax", "socket group NAME",
				       "socket: `group` is missing");
	}
	group = dysco_statement_need(s, "the name of the group");
	if (!group) {
		return -1;
	}
	if (!is_group_name(group)) {
		return dysco_conf_fail(s->error, "bad_value", NULL,
				       "socket: '%.60s' is not the name of a group", group);
	}
	snprintf(s->config->socket_group, sizeof(s->config->socket_group), "%s", group);
	return dysco_statement_end(s);
}

int dysco_apply_metrics(struct dysco_statement *s)
{
	struct dysco_listen listen = {.on = true};
	const char *where;

	if (!dysco_statement_take(s, "listen")) {
		return dysco_conf_fail(s->error, "syntax", "metrics listen 127.0.0.1:9469",
				       "metrics: `listen` is missing");
	}
	where = dysco_statement_need(s, "where to listen");
	if (!where) {
		return -1;
	}
	if (where[0] == '/' && strlen(where) < sizeof(listen.path)) {
		snprintf(listen.path, sizeof(listen.path), "%s", where);
	} else if (!dysco_parse_endpoint(where, &listen.addr, &listen.port_be)) {
		return dysco_conf_fail(
		    s->error, "bad_address", "127.0.0.1:9469, [::1]:9469 or /run/dysco/metrics",
		    "metrics: '%.100s' is neither an address with a port nor a path", where);
	}
	s->config->metrics = listen;
	return dysco_statement_end(s);
}
