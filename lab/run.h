/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of `dysco lab` that touches the machine.
 *
 * A lab NAME owns, and `down` removes:
 *   /run/netns/dysco-NAME-NODE        namespaces, listed in DIR/netns before they are made
 *   DIR = /run/dysco-lab/NAME         state, netns, logs, files, agents/A, wires/L.sock
 *   /sys/fs/bpf/dysco-lab/NAME        the agents' maps
 *   every process in its namespaces, or with DYSCO_LAB_PART=NAME in its environment
 */
#ifndef DYSCO_LAB_RUN_H
#define DYSCO_LAB_RUN_H

#include "lab/lab.h"

/* proc.c: processes and namespaces. */

struct lab_command {
	const char *where; /* of the statement, for messages; NULL: none */
	const struct lab_words *words;
	const char *netns;  /* namespace to start it in, NULL: the one we are in */
	const char *node;   /* DYSCO_NODE, NULL: none */
	const char *dir;    /* NULL: where we are */
	const char *output; /* file for stdout and stderr, NULL: ours */
	bool part;	    /* belongs to the lab: marked for clean-up, in a session of its own */
};

/* After this, SIGINT, SIGTERM and SIGHUP only make lab_stopped() true and end waits. */
void lab_catch_signals(void);
bool lab_stopped(void);
/* While deaf (during clean-up) no signal ends a wait. */
void lab_set_deaf(bool deaf);

pid_t lab_spawn(struct lab *lab, const struct lab_command *command);
/* Exit status as a shell gives it; -1: stopped by a signal to us, or timed out (lab->error). */
int lab_wait(struct lab *lab, pid_t pid, int timeout_ms);
/* Runs a tool to its end in a node (NULL: here); on failure lab->error holds what it said. */
int lab_tool(struct lab *lab, const char *where, const char *node, const char *const *argv);
/* The last lines of a log, for a message. */
const char *lab_last_words(struct lab *lab, const char *path);
/* Joins a namespace by name; returns a descriptor of the one left, for lab_leave(). -1: error. */
int lab_enter(struct lab *lab, const char *netns);
void lab_leave(int before);
/*
 * Calls `done` until it returns true, at most timeout_ms. False: time is up, or a
 * signal came. The interval between calls grows from 1 to 20 ms.
 */
bool lab_until(bool (*done)(void *context), void *context, int timeout_ms);

/* dirs.c: files. */
const char *lab_dir(struct lab *lab);
const char *lab_netns(struct lab *lab, const char *node);
int lab_write(struct lab *lab, const char *path, const char *text, mode_t mode);
/* Text of a small file, NULL: not there. */
const char *lab_slurp(struct lab *lab, const char *path);
int lab_mkdirs(struct lab *lab, const char *path);
void lab_remove_tree(const char *path);
/* Only one `dysco lab` at a time changes a lab. Descriptor, or -1: another one does. */
int lab_lock(struct lab *lab);
void lab_unlock(struct lab *lab, int lock, bool gone);
/* `state`: "building|run PID START" or "up". */
int lab_write_state(struct lab *lab, const char *state);
enum lab_state { LAB_ABSENT, LAB_CRASHED, LAB_BUILDING, LAB_UP };
enum lab_state lab_read_state(struct lab *lab);

/* build.c, steps.c: everything there is, in the order of the picture in lab.h. */
int lab_build(struct lab *lab);
int lab_run_steps(struct lab *lab);

/* down.c. */
int lab_remove(struct lab *lab);

/* wires.c: one delay box a lossy link. */
int lab_start_wires(struct lab *lab);
/* Sends a line to a box and prints its answer. */
int lab_ask_wire(struct lab *lab, const char *link, const char *line);

/* main.c: the verbs, and the one the CLI calls. */
int dysco_lab_main(int argc, char **argv);

#endif
