/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's answers: one JSON document (docs/socket.md). */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/internal.h"

int dysco_lib_failed(struct dysco_result *result, int error)
{
	char text[128];

	memset(result, 0, sizeof(*result));
	result->error = error;
	snprintf(result->message, sizeof(result->message), "%s",
		 error == -EPROTO	? "the agent's answer makes no sense"
		 : error == -ECONNRESET ? "the agent has ended before it answered"
					: strerror_r(-error, text, sizeof(text)));
	return error;
}

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

/* "busy: another reconfiguration is under way" */
static void take_cause(struct dysco_result *result)
{
	size_t n = strcspn(result->message, ":");

	if (strcmp(result->code, "not_reconfigured") == 0 && result->message[n] == ':' &&
	    n < sizeof(result->cause)) {
		memcpy(result->cause, result->message, n);
		result->cause[n] = '\0';
	} else {
		memcpy(result->cause, result->code, sizeof(result->cause));
	}
}

static int refused(const json_t *error, struct dysco_result *result)
{
	if (text_of(error, "code")[0] == '\0') {
		return dysco_lib_failed(result, -EPROTO);
	}
	result->error = -EREMOTEIO;
	snprintf(result->code, sizeof(result->code), "%s", text_of(error, "code"));
	snprintf(result->message, sizeof(result->message), "%s", text_of(error, "message"));
	take_cause(result);
	return result->error;
}

int dysco_lib_answer(const char *text, size_t bytes, struct dysco_result *result)
{
	json_error_t wrong;
	json_t *answer = json_loadb(text, bytes, 0, &wrong);
	const json_t *error = json_object_get(answer, "error");
	double took_us = json_number_value(json_object_get(answer, "took_us"));

	memset(result, 0, sizeof(*result));
	if (!json_is_object(answer)) {
		dysco_lib_failed(result, -EPROTO);
	} else if (error) {
		refused(error, result);
	} else {
		result->took_us = took_us > 0 && took_us < 1e15 ? (uint64_t)took_us : 0;
	}
	json_decref(answer);
	return result->error;
}
