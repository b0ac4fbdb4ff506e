/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's state file, beside its socket: what must outlive the process
 * but not the machine's uptime, as the pinned maps do. Statements, one a line:
 *
 *   host ID NAME
 *   attachment ID nic|port IFACE NETNS
 *   reserved NETNS PORTS
 *   statement WORD...           a run-time change
 */
#ifndef DYSCO_AGENT_STATE_H
#define DYSCO_AGENT_STATE_H

#include "agent/journal.h"
#include "agent/netns.h"

struct dysco_state {
	char path[256];
	int lock_fd; /* one agent a socket */
	struct dysco_ids *ids;
	struct dysco_journal *journal;
	struct dysco_machine *machine;
};

/* Locks and reads; makes the directory of the socket if need be. 0, or -1 with *error. */
int dysco_state_open(struct dysco_state *state, const char *socket_path,
		     struct dysco_conf_error *error);
/* Replaces the file, atomically. */
void dysco_state_store(struct dysco_state *state);
void dysco_state_remove(struct dysco_state *state);

/* The whole of a file, with a NUL behind it, at most 4 MiB; NULL with errno. */
char *dysco_read_file(const char *path, size_t *bytes);

#endif
