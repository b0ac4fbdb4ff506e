/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's unix socket: clients, their lines and answers (docs/socket.md).
 * Nothing a client does or fails to do blocks the agent: clients are bounded in
 * number, in what is buffered for them, and in time.
 */
#ifndef DYSCO_AGENT_CONTROL_H
#define DYSCO_AGENT_CONTROL_H

#include "agent/agent.h"
#include "agent/loop.h"

#define DYSCO_CLIENTS_MAX	   64
#define DYSCO_MONITOR_BUFFER_BYTES (1024 * 1024)

struct dysco_control;

/*
 * Listens at path, mode 0660, for root and for who runs the agent. NULL with *error.
 */
struct dysco_control *dysco_control_open(struct dysco_loop *loop, struct dysco_agent *agent,
					 const char *path, struct dysco_conf_error *error);
/*
 * Members of this group, empty: nobody else, may ask too, but only what a box may ask
 * (docs/socket.md). -1 with *error: there is no such group.
 */
int dysco_control_group(const struct dysco_control *control, const char *group,
			struct dysco_conf_error *error);
void dysco_control_close(struct dysco_control *control);
/* Drops clients whose time is over; a few times a second. */
void dysco_control_tick(struct dysco_control *control, uint64_t now_ns);

/* For struct dysco_agent_hooks; context is the control. */
bool dysco_control_listening(void *context);
void dysco_control_event(void *context, const json_t *event);
void dysco_control_answer(void *context, void *client, json_t *answer);

#endif
