/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `dysco lab`: topologies of network namespaces from a short text.
 *
 *   file --read.c--> lines --expand.c--> statements --parse.c--> struct lab
 *                                                                   |
 *        check.c (nothing is touched before it agrees) <------------+
 *                                                                   |
 *        build.c, steps.c (up)   down.c (clean-up)   show.c <-------+
 *
 * The delay box of lossy links is wire.c. docs/lab.md describes the language.
 *
 * Functions that return int give 0, or -1 with a sentence in lab->error that
 * says where, what and what to do. Strings live as long as the lab.
 */
#ifndef DYSCO_LAB_LAB_H
#define DYSCO_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/wire.h"

#define LAB_NODES_MAX	 256
#define LAB_LINKS_MAX	 512
#define LAB_AGENTS_MAX	 64
#define LAB_STEPS_MAX	 1024
#define LAB_LINES_MAX	 4096	     /* logical lines of a file */
#define LAB_EXECUTED_MAX 20000	     /* statements, repetitions counted */
#define LAB_TEXT_BYTES	 (64u << 20) /* what a file may grow to */
#define LAB_VARS_MAX	 64
#define LAB_NODE_BYTES	 16 /* a node's name is also the default name of interfaces (IFNAMSIZ) */
#define LAB_NAME_BYTES	 33

/* Where a lab keeps its files, and its agents their maps. */
#define LAB_RUN_ROOT "/run/dysco-lab"
#define LAB_PIN_ROOT "/sys/fs/bpf/dysco-lab"
#define LAB_BRIDGE   "br0"    /* the interface of a LAB_SWITCH */
#define LAB_WIRES    ".wires" /* namespace of the delay boxes: no node's name begins with a dot */

struct lab_words {
	int count;
	const char *const *word;
};

struct lab_line {
	const char *where; /* "FILE:LINE" */
	struct lab_words words;
};

enum lab_kind { LAB_NODE, LAB_ROUTER, LAB_BOX, LAB_SWITCH };

struct lab_node {
	const char *where;
	const char *name;
	enum lab_kind kind;
	struct lab_words addresses; /* of a bridge's own interface */
	struct lab_words gateways;
};

struct lab_end {
	struct lab_node *node;
	const char *ifname;
	struct lab_words addresses;
};

struct lab_link {
	const char *where;
	const char *name;
	struct lab_end end[2];
	const char *mtu;  /* NULL: the default of the kernel or of `set mtu` */
	const char *rate; /* NULL: as fast as it goes */
	bool wired;	  /* goes through a delay box */
	uint64_t seed;
	struct wire_settings settings[2]; /* [0]: from end 0 to end 1 */
};

/* node NULL: every node. */
struct lab_route {
	const char *where;
	struct lab_node *node;
	struct lab_words words; /* as after `ip route add` */
};

struct lab_sysctl {
	const char *where;
	struct lab_node *node;
	const char *key;
	const char *value;
};

/* `offload` or `rps` of interfaces; the last one that fits an interface counts. */
struct lab_tuning {
	const char *where;
	struct lab_node *node; /* NULL: every node */
	const char *ifname;    /* NULL: every interface */
	const char *value;     /* on or off; CPUs as a mask, the way rps_cpus takes it */
};

struct lab_agent {
	const char *where;
	const char *name;
	struct lab_node *node;
};

/* One line of agents' configuration; agent NULL: of every agent. */
struct lab_config {
	const char *where;
	struct lab_agent *agent;
	struct lab_words words;
};

enum lab_step_kind { LAB_STEP_RUN, LAB_STEP_DAEMON, LAB_STEP_READY, LAB_STEP_FILE, LAB_STEP_AGENT };
enum lab_ready { LAB_READY_TCP, LAB_READY_FILE, LAB_READY_COMMAND };

/* What happens in the order of the file, once all namespaces and links are there. */
struct lab_step {
	const char *where;
	enum lab_step_kind kind;
	enum lab_ready ready;
	struct lab_node *node;
	struct lab_agent *agent;
	const char *name; /* LAB_STEP_FILE; LAB_READY_TCP: the port, LAB_READY_FILE: the path */
	struct lab_words words; /* the command, or the lines of the file */
};

struct lab_var {
	const char *name;
	const char *value;
	bool fixed; /* given on the command line */
	bool used;  /* a `let` has declared it */
};

struct lab_chunk;

struct lab {
	const char *name;
	const char *file;
	char error[1024];
	struct lab_chunk *chunks;
	size_t used_bytes;

	int n_lines, executed;
	struct lab_line lines[LAB_LINES_MAX];
	int n_vars;
	struct lab_var vars[LAB_VARS_MAX];

	const char *congestion;
	const char *mtu;
	int n_nodes, n_links, n_routes, n_sysctls, n_offloads, n_steerings;
	int n_agents, n_configs, n_steps;
	struct lab_node nodes[LAB_NODES_MAX];
	struct lab_link links[LAB_LINKS_MAX];
	struct lab_route routes[LAB_STEPS_MAX];
	struct lab_sysctl sysctls[LAB_STEPS_MAX];
	struct lab_tuning offloads[LAB_STEPS_MAX];
	struct lab_tuning steerings[LAB_STEPS_MAX];
	struct lab_agent agents[LAB_AGENTS_MAX];
	struct lab_config configs[LAB_STEPS_MAX];
	struct lab_step steps[LAB_STEPS_MAX];
};

/* memory.c. None of these fails: without memory the program ends. */
struct lab *lab_new(void);
void lab_free(struct lab *lab);
void *lab_alloc(struct lab *lab, size_t bytes);
const char *lab_copy(struct lab *lab, const char *text);
const char *lab_format(struct lab *lab, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull));
/* Words first..last-1 of w, copied. */
struct lab_words lab_slice(struct lab *lab, const struct lab_words *w, int first, int last);
/* Sets lab->error to "WHERE: text" (or "text" when where is NULL) and returns -1. */
int lab_fail(struct lab *lab, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* read.c: the whole way from a text to a checked lab. */
int lab_read_text(struct lab *lab, const char *name, const char *text, size_t bytes);
int lab_read_file(struct lab *lab, const char *path);

/* expand.c */
int lab_set_var(struct lab *lab, const char *where, const char *name, const char *value);
int lab_fix_var(struct lab *lab, const char *assignment); /* "NAME=VALUE" of the command line */
/* Executes lines[first .. last-1]: repeat, if and @{...} done, each statement handed to
 * lab_parse(). */
int lab_execute(struct lab *lab, int first, int last, int depth);
const char *lab_expand_word(struct lab *lab, const char *where, const char *word);

/* parse.c */
int lab_parse(struct lab *lab, const struct lab_line *line);
struct lab_node *lab_find_node(struct lab *lab, const char *name);
bool lab_name_ok(const char *name, size_t max_bytes);
bool lab_address_ok(const char *text, bool with_bits);
int lab_check_mtu(struct lab *lab, const char *where, const char *value);
/* parse_link.c */
int lab_parse_link(struct lab *lab, const struct lab_line *line);

/* check.c */
int lab_check(struct lab *lab);

/* show.c */
void lab_show(const struct lab *lab);

#endif
