/* SPDX-License-Identifier: BSD-2-Clause */
/* An agent without datapath (fake_agent.h) that a test asks, and what it should answer. */
#ifndef DYSCO_TESTS_UNIT_ASKING_H
#define DYSCO_TESTS_UNIT_ASKING_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/journal.h"
#include "agent/log.h"
#include "conf/parse.h"
#include "tests/unit/fake_agent.h"
#include "rewrite/edit.h"

#ifndef ASKING_CONFIG /* else the test's own */
#define ASKING_CONFIG                                                                              \
	"agent a1\n"                                                                               \
	"host web address 10.0.0.1 fd00::1\n"                                                      \
	"host lan address 10.1.0.0/16\n"                                                           \
	"attach nic eth0 host web\n"                                                               \
	"attach port eth1 netns ns1 host lan\n"                                                    \
	"box fw 10.0.0.2 fd00::2\n"                                                                \
	"box ids1 10.0.0.3\n"                                                                      \
	"type ids ids1\n"                                                                          \
	"policy http via fw,ids filter tcp dst port 80\n"
#endif
static const char config[] = ASKING_CONFIG;

static struct fake_agent *fake;

static inline int set_up(void **state)
{
	struct dysco_conf_error error;

	(void)state;
	fake = fake_agent_new(config, &error);
	return fake ? 0 : -1;
}

static inline int tear_down(void **state)
{
	(void)state;
	fake_agent_free(fake);
	return 0;
}

/* The answer, now or later. */
static inline json_t *ask(const char *line)
{
	json_t *answer = fake_agent_ask(fake, line);

	if (!answer) {
		dysco_agent_tick(&fake->agent, dysco_now_ns());
		answer = json_incref(fake->last_answer);
	}
	assert_non_null(answer);
	return answer;
}

/* Asks, and compares one string of the answer, named by up to three keys. */
static inline void expect(const char *line, const char *path, const char *wanted)
{
	json_t *answer = ask(line), *at = answer;
	char keys[100], *key, *rest = keys;
	char *got;

	snprintf(keys, sizeof(keys), "%s", path);
	while ((key = strsep(&rest, "/")) != NULL && at) {
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
				       : json_object_get(at, key);
	}
	got = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
	if (strcmp(got, wanted) != 0) {
		fail_msg("%s: %s is %s, not %s", line, path, got, wanted);
	}
	free(got);
	json_decref(answer);
}

static inline void expect_done(const char *line)
{
	json_t *answer = ask(line);
	json_t *error;

	error = json_object_get(answer, "error");
	if (error) {
		fail_msg("%s: %s", line, json_string_value(json_object_get(error, "message")));
	}
	json_decref(answer);
}

static inline void expect_refused(const char *line, const char *code)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "\"%s\"", code);
	expect(line, "error/code", wanted);
}

static inline void send_syn(const char *src, const char *dst)
{
	struct dysco_tuple tuple;
	uint8_t packet[200];
	size_t n;

	assert_true(dysco_parse_tuple(src, dst, &tuple));
	n = dysco_edit_make_segment(packet, sizeof(packet), &tuple, 1, 0, DYSCO_TCP_SYN, 1000, 0,
				    NULL, 0);
	fake_agent_punt(fake, fake->agent.config->attachments[0].id, DYSCO_OUT, packet,
			(uint32_t)n);
}

/* A session whose SYN is on its way; 1 packet has been injected. */
static inline void begin_session(void)
{
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	assert_int_equal(fake->injected, 1);
	expect("session list state syn_sent", "total", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
