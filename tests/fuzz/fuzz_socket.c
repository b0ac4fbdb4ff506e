/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's socket: each line of the input is a request to an agent without
 * a machine. Every request is answered, later or never as the protocol says,
 * and the core's invariants hold after each.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "conf/parse.h"
#include "rewrite/edit.h"
#include "tests/unit/fake_agent.h"

#define LINES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] = "agent a1\n"
			     "host web address 10.0.0.1 fd00::1\n"
			     "attach nic eth0 host web\n"
			     "box fw 10.0.0.2 fd00::2\n"
			     "box ids1 10.0.0.3\n"
			     "type ids ids1\n"
			     "policy http via fw,ids filter tcp dst port 80\n";

static void must(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* So that `session` has something to speak of. */
static void start_session(struct fake_agent *fake)
{
	struct dysco_tuple tuple;
	uint8_t packet[100];
	size_t n;

	must(dysco_parse_tuple("10.0.0.1:4000", "10.9.0.1:80", &tuple));
	n = dysco_edit_make_segment(packet, sizeof(packet), &tuple, 1, 0, DYSCO_TCP_SYN, 1000, 0,
				    NULL, 0);
	fake_agent_punt(fake, fake->agent.config->attachments[0].id, DYSCO_OUT, packet,
			(uint32_t)n);
}

static void request(struct fake_agent *fake, const char *line, size_t bytes)
{
	json_t *answer = NULL;
	enum dysco_answer_kind kind = dysco_agent_request(&fake->agent, fake, line, bytes, &answer);

	must((kind == DYSCO_ANSWER_NOW) == (answer != NULL));
	if (answer) {
		char *text = json_dumps(answer, JSON_COMPACT);

		must(text && !strchr(text, '\n'));
		free(text);
		json_decref(answer);
	}
	must(dysco_core_invariants(&fake->agent.core) == NULL);
	dysco_log_set_level(DYSCO_LOG_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct dysco_conf_error error;
	struct fake_agent *fake;
	size_t at = 0;

	dysco_log_set_level(DYSCO_LOG_ERROR);
	fake = fake_agent_new(config, &error);
	must(fake != NULL);
	fake->listening = true;
	start_session(fake);
	for (int lines = 0; at < size && lines < LINES_MAX; lines++) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t bytes = end ? (size_t)(end - text) - at : size - at;

		request(fake, text + at, bytes);
		at += bytes + 1;
	}
	dysco_agent_tick(&fake->agent, dysco_now_ns() + 2000000000u);
	fake_agent_free(fake);
	return 0;
}
