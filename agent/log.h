/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's log: lines on standard error, for a terminal or for journald
 * (sd-daemon(3) prefixes). Each place in the code that logs has a rate of its
 * own, so that one noisy cause does not hide the others.
 */
#ifndef DYSCO_AGENT_LOG_H
#define DYSCO_AGENT_LOG_H

#include "conf/config.h"

#define DYSCO_LOG_BURST	      20		  /* lines of one place ... */
#define DYSCO_LOG_INTERVAL_NS (5 * 1000000000ull) /* ... in this time */

struct dysco_log_site {
	uint64_t since_ns;
	uint32_t lines, suppressed;
};

void dysco_log_open(void);
void dysco_log_set_level(enum dysco_log_level level);
/* Is a line of this level, from this place, to be written now? Counts it. */
bool dysco_log_wanted(struct dysco_log_site *site, enum dysco_log_level level);
void dysco_log_write(enum dysco_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define dysco_log(level, ...)                                                                      \
	do {                                                                                       \
		static struct dysco_log_site log_site_;                                            \
		if (dysco_log_wanted(&log_site_, level)) {                                         \
			dysco_log_write(level, __VA_ARGS__);                                       \
		}                                                                                  \
	} while (0)

/* CLOCK_MONOTONIC, as bpf_ktime_get_ns(). */
uint64_t dysco_now_ns(void);

#endif
