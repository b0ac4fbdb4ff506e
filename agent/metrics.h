/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent counts, for Prometheus (text format 0.0.4; docs/metrics.md
 * names the metrics). metrics.c makes the text, http.c serves it.
 */
#ifndef DYSCO_AGENT_METRICS_H
#define DYSCO_AGENT_METRICS_H

#include "agent/agent.h"

/* On the heap, the caller's; NULL only without memory. Looks at every leg once. */
char *dysco_metrics_text(struct dysco_agent *agent, size_t *bytes);

#endif
