/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's log (log.h).
 */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static enum dysco_log_level threshold = DYSCO_LOG_INFO;
static bool prefixes;

void dysco_log_open(void)
{
	prefixes = getenv("JOURNAL_STREAM") || !isatty(STDERR_FILENO);
}

void dysco_log_set_level(enum dysco_log_level level)
{
	threshold = level;
}

uint64_t dysco_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One write a line, so that lines of several processes do not mix. */
static void write_line(enum dysco_log_level level, const char *text)
{
	static const char *const journal[] = {"<3>", "<4>", "<6>", "<7>"};
	static const char *const terminal[] = {"error: ", "warning: ", "", "debug: "};

	fprintf(stderr, "%s%s\n", prefixes ? journal[level] : terminal[level], text);
}

/* Begins a new interval when the old one is over, and says what it kept quiet. */
static bool within_rate(struct dysco_log_site *site, enum dysco_log_level level)
{
	uint64_t now = dysco_now_ns();
	char text[96];

	if (now - site->since_ns >= DYSCO_LOG_INTERVAL_NS) {
		if (site->suppressed > 0) {
			snprintf(text, sizeof(text), "suppressed %u lines like the next",
				 site->suppressed);
			write_line(level, text);
		}
		site->since_ns = now;
		site->lines = 0;
		site->suppressed = 0;
	}
	if (site->lines >= DYSCO_LOG_BURST) {
		site->suppressed++;
		return false;
	}
	site->lines++;
	return true;
}

bool dysco_log_wanted(struct dysco_log_site *site, enum dysco_log_level level)
{
	return level <= threshold && within_rate(site, level);
}

void dysco_log_write(enum dysco_log_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, text);
}
