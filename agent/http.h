/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics over HTTP, for Prometheus: GET /metrics, nothing else
 * (docs/adr/0017-metrics.md). libmicrohttpd runs inside the agent's loop, without
 * a thread; clients are bounded in number, in memory and in time.
 */
#ifndef DYSCO_AGENT_HTTP_H
#define DYSCO_AGENT_HTTP_H

#include "agent/agent.h"
#include "agent/loop.h"

struct dysco_http;

/* Listens; *http is NULL when the configuration wants none. -1 with *error. */
int dysco_http_open(struct dysco_http **http, struct dysco_loop *loop, struct dysco_agent *agent,
		    const struct dysco_listen *where, struct dysco_conf_error *error);
/* Drops clients whose time is over; a few times a second. NULL does nothing. */
void dysco_http_tick(struct dysco_http *http);
void dysco_http_close(struct dysco_http *http);

#endif
