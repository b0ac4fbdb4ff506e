/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of Dysco as JSON (show.h).
 */
#include "agent/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/parse.h"

json_t *dysco_json_addr(const struct dysco_addr *addr)
{
	char text[DYSCO_ENDPOINT_TEXT];

	if (dysco_addr_is_zero(addr)) {
		return json_null();
	}
	dysco_format_addr(text, addr);
	return json_string(text);
}

json_t *dysco_json_tuple(const struct dysco_tuple *tuple)
{
	char src[DYSCO_ENDPOINT_TEXT], dst[DYSCO_ENDPOINT_TEXT];

	if (dysco_addr_is_zero(&tuple->src)) {
		return json_null();
	}
	dysco_format_endpoint(src, &tuple->src, tuple->sport_be);
	dysco_format_endpoint(dst, &tuple->dst, tuple->dport_be);
	return json_pack("{s:s, s:s}", "src", src, "dst", dst);
}

json_t *dysco_json_id(const struct dysco_session_id *id)
{
	char text[2 * sizeof(id->b) + 1];

	for (size_t i = 0; i < sizeof(id->b); i++) {
		snprintf(text + 2 * i, 3, "%02x", id->b[i]);
	}
	return json_string(text);
}

json_t *dysco_json_text(const char *text, size_t bytes)
{
	size_t n = strnlen(text, bytes);
	json_t *string;

	if (n == 0) {
		return json_null();
	}
	string = json_stringn(text, n);
	/* what came from the network need not be UTF-8 */
	return string ? string : json_string("?");
}

json_t *dysco_json_time(uint64_t now_ns, uint64_t then_ns)
{
	struct timespec wall;
	char text[40];
	uint64_t ns;
	time_t seconds;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &wall);
	ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec - (now_ns - then_ns);
	seconds = (time_t)(ns / 1000000000u);
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + 19, sizeof(text) - 19, ".%03uZ", (unsigned int)(ns / 1000000u % 1000u));
	return json_string(text);
}

json_t *dysco_json_count(uint64_t count)
{
	return json_integer((json_int_t)(count & INT64_MAX));
}

const char *dysco_state_name(enum dysco_leg_state state)
{
	static const char *const names[DYSCO_STATE_COUNT] = {
	    [DYSCO_STATE_FREE] = "free",
	    [DYSCO_STATE_PENDING] = "pending",
	    [DYSCO_STATE_SYN_SENT] = "syn_sent",
	    [DYSCO_STATE_SYN_RECEIVED] = "syn_received",
	    [DYSCO_STATE_ESTABLISHED] = "established",
	    [DYSCO_STATE_HALF_CLOSED] = "half_closed",
	    [DYSCO_STATE_CLOSING] = "closing",
	    [DYSCO_STATE_TIME_WAIT] = "time_wait",
	    [DYSCO_STATE_RESET] = "reset",
	    [DYSCO_STATE_BYPASS] = "bypass",
	    [DYSCO_STATE_DEAD] = "dead",
	};

	return (unsigned int)state < DYSCO_STATE_COUNT ? names[state] : "unknown";
}

const char *dysco_reason_name(unsigned int reason)
{
	static const char *const names[] = {
#define X(sym, number, name, text) [number] = name,
		DYSCO_REASONS(X)
#undef X
	};

	return reason < DYSCO_REASON_COUNT ? names[reason] : "unknown";
}
