/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real-time scheduling of the agent's only thread (urgent.h).
 */
#include "agent/urgent.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"

#define FLOOD_NS 1000000000u /* after a flood, so long without real time */

static bool wanted, refused, in_force;
static uint64_t calm_until_ns;

/* Programs that the agent starts are never urgent: SCHED_RESET_ON_FORK. */
static void schedule(bool urgent)
{
	struct sched_param param = {.sched_priority = urgent ? 1 : 0};
	int policy = (urgent ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK;

	if (sched_setscheduler(0, policy, &param) == 0) {
		in_force = urgent;
		return;
	}
	refused = true;
	dysco_log(
	    DYSCO_LOG_INFO,
	    "no real-time scheduling: %s; changes of chains take longer on busy CPUs; give the "
	    "agent CAP_SYS_NICE, or say `scheduling normal`",
	    strerror(errno));
}

void dysco_urgent_want(bool want)
{
	wanted = want;
	refused = false;
	dysco_urgent(false);
}

const char *dysco_urgent_name(void)
{
	if (!wanted) {
		return "normal";
	}
	return refused ? "refused" : "realtime";
}

static uint64_t coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void dysco_urgent(bool urgent)
{
	urgent = urgent && wanted && !refused;
	if (urgent != in_force && (!urgent || coarse_ns() >= calm_until_ns)) {
		schedule(urgent);
	}
}

void dysco_urgent_flooded(uint64_t now_ns)
{
	calm_until_ns = now_ns + FLOOD_NS;
	dysco_urgent(false);
}

void dysco_urgent_tick(uint64_t now_ns)
{
	static uint64_t last_ns, last_cpu_ns;
	struct timespec cpu;
	uint64_t cpu_ns;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	if (last_ns != 0 && cpu_ns - last_cpu_ns > (now_ns - last_ns) / 2) {
		dysco_urgent_flooded(now_ns);
	}
	last_ns = now_ns;
	last_cpu_ns = cpu_ns;
}
