/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the agent runs in real time (docs/adr/0021).
 *
 * While a chain is changed, packets of the session pass through the agent: what
 * it waits for a CPU then, the session waits. So packets are waited for and
 * handled under SCHED_RR; everything else the agent does, which may take long
 * and which nobody's data waits for, under normal scheduling.
 */
#ifndef DYSCO_AGENT_URGENT_H
#define DYSCO_AGENT_URGENT_H

#include <stdbool.h>
#include <stdint.h>

/* Whether real time is wanted (`scheduling`). Where the kernel refuses it, that is said once. */
void dysco_urgent_want(bool wanted);
/* "realtime", "normal" as wanted, or "refused". A constant. */
const char *dysco_urgent_name(void);
/* What comes now is urgent, or not. */
void dysco_urgent(bool urgent);
/* More packets are there than one look at them takes: they have no right to a whole CPU. */
void dysco_urgent_flooded(uint64_t now_ns);
/* A tick: nor has who was at work for most of the time since the last one. */
void dysco_urgent_tick(uint64_t now_ns);

#endif
