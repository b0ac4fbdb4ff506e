// SPDX-License-Identifier: BSD-2-Clause
/* The statements of a lab file (docs/lab.md), all but `link`. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/lab.h"

#define CPUS_MAX 64 /* that a mask here has bits for */

typedef int statement_fn(struct lab *lab, const struct lab_line *line);

struct statement {
	const char *name;
	int min, max; /* words, the name included; max 0: any */
	statement_fn *parse;
	const char *usage;
};

bool lab_name_ok(const char *name, size_t max_bytes)
{
	size_t n = strlen(name);

	return n > 0 && n < max_bytes && name[0] != '-' && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		   n;
}

/* BITS of an address of so many bits: digits, no sign, no leading zero. */
static bool bits_ok(const char *text, long max)
{
	size_t n = strlen(text);

	return n >= 1 && n <= 3 && strspn(text, "0123456789") == n && (text[0] != '0' || n == 1) &&
	       strtol(text, NULL, 10) <= max;
}

bool lab_address_ok(const char *text, bool with_bits)
{
	const char *slash = strchr(text, '/');
	size_t bytes = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	uint8_t binary[16];

	if (bytes >= sizeof(addr) || (slash != NULL) != with_bits) {
		return false;
	}
	memcpy(addr, text, bytes);
	addr[bytes] = '\0';
	if (inet_pton(AF_INET, addr, binary) == 1) {
		return !slash || bits_ok(slash + 1, 32);
	}
	return inet_pton(AF_INET6, addr, binary) == 1 && (!slash || bits_ok(slash + 1, 128));
}

struct lab_node *lab_find_node(struct lab *lab, const char *name)
{
	for (int i = 0; i < lab->n_nodes; i++) {
		if (strcmp(lab->nodes[i].name, name) == 0) {
			return &lab->nodes[i];
		}
	}
	return NULL;
}

/* As lab_find_node(), but an unknown name is an error of this line. */
static struct lab_node *need_node(struct lab *lab, const struct lab_line *line, const char *name)
{
	struct lab_node *node = lab_find_node(lab, name);

	if (!node) {
		lab_fail(lab, line->where, "there is no node '%s' above this line; write: node %s",
			 name, name);
	}
	return node;
}

/* "*" gives NULL in *node. */
static int node_or_all(struct lab *lab, const struct lab_line *line, const char *name,
		       struct lab_node **node)
{
	*node = NULL;
	if (strcmp(name, "*") == 0) {
		return 0;
	}
	*node = need_node(lab, line, name);
	return *node ? 0 : -1;
}

static int room(struct lab *lab, const struct lab_line *line, int used, int max, const char *what)
{
	if (used == max) {
		return lab_fail(lab, line->where, "more than %d %s", max, what);
	}
	return 0;
}

static struct lab_node *add_node(struct lab *lab, const struct lab_line *line, enum lab_kind kind)
{
	const char *name = line->words.word[1];
	struct lab_node *node = lab_find_node(lab, name);

	if (node) {
		lab_fail(lab, line->where, "'%s' is already a node (%s)", name, node->where);
		return NULL;
	}
	if (!lab_name_ok(name, LAB_NODE_BYTES)) {
		lab_fail(lab, line->where,
			 "'%s' is no name for a node: at most %d letters, digits, - _ .", name,
			 LAB_NODE_BYTES - 1);
		return NULL;
	}
	if (room(lab, line, lab->n_nodes, LAB_NODES_MAX, "nodes")) {
		return NULL;
	}
	node = &lab->nodes[lab->n_nodes++];
	*node = (struct lab_node){.where = line->where, .name = name, .kind = kind};
	return node;
}

/* The words from `first` on are addresses; -1: one is none. */
static int need_addresses(struct lab *lab, const struct lab_line *line, int first, bool with_bits)
{
	for (int i = first; i < line->words.count; i++) {
		if (!lab_address_ok(line->words.word[i], with_bits)) {
			return lab_fail(lab, line->where, "'%s' is not %s", line->words.word[i],
					with_bits ? "ADDRESS/BITS" : "an address (without /BITS)");
		}
	}
	return 0;
}

static int parse_node(struct lab *lab, const struct lab_line *line)
{
	const char *word = line->words.word[0];
	enum lab_kind kind = strcmp(word, "node") == 0	   ? LAB_NODE
			     : strcmp(word, "router") == 0 ? LAB_ROUTER
							   : LAB_BOX;
	struct lab_node *node = add_node(lab, line, kind);

	if (!node) {
		return -1;
	}
	if (line->words.count == 2) {
		return 0;
	}
	if (line->words.count == 3 || strcmp(line->words.word[2], "gateway") != 0) {
		return lab_fail(lab, line->where, "write: %s NAME [gateway ADDRESS...]", word);
	}
	node->gateways = lab_slice(lab, &line->words, 3, line->words.count);
	return need_addresses(lab, line, 3, false);
}

static int parse_bridge(struct lab *lab, const struct lab_line *line)
{
	struct lab_node *node = add_node(lab, line, LAB_SWITCH);

	if (!node) {
		return -1;
	}
	node->addresses = lab_slice(lab, &line->words, 2, line->words.count);
	return need_addresses(lab, line, 2, true);
}

static int parse_route(struct lab *lab, const struct lab_line *line)
{
	struct lab_node *node = need_node(lab, line, line->words.word[1]);
	const char *prefix = line->words.word[2];

	if (!node || room(lab, line, lab->n_routes, LAB_STEPS_MAX, "routes")) {
		return -1;
	}
	if (strcmp(prefix, "default") != 0 && !lab_address_ok(prefix, true) &&
	    !lab_address_ok(prefix, false)) {
		return lab_fail(lab, line->where, "'%s' is not ADDRESS[/BITS] or default", prefix);
	}
	for (int i = 2; i < line->words.count; i++) {
		if (strpbrk(line->words.word[i], " \t\n\r\"'\\#;") || !line->words.word[i][0]) {
			return lab_fail(lab, line->where, "'%s' is no word for ip route",
					line->words.word[i]);
		}
	}
	lab->routes[lab->n_routes++] = (struct lab_route){
	    line->where, node, lab_slice(lab, &line->words, 2, line->words.count)};
	return 0;
}

static int parse_sysctl(struct lab *lab, const struct lab_line *line)
{
	struct lab_sysctl *s = &lab->sysctls[lab->n_sysctls];
	const char *key = line->words.word[2];

	if (room(lab, line, lab->n_sysctls, LAB_STEPS_MAX, "sysctls")) {
		return -1;
	}
	if (strncmp(key, "net.", 4) != 0 || strstr(key, "..") || strchr(key, '/')) {
		return lab_fail(lab, line->where,
				"'%s' is not a sysctl of a network namespace (net.x.y)", key);
	}
	*s = (struct lab_sysctl){line->where, NULL, key, line->words.word[3]};
	lab->n_sysctls++;
	return node_or_all(lab, line, line->words.word[1], &s->node);
}

/* NODE[:INTERFACE]|* and what its interfaces get. */
static int parse_tuning(struct lab *lab, const struct lab_line *line, struct lab_tuning *tuning,
			const char *value)
{
	const char *colon = strchr(line->words.word[1], ':');
	int bytes = colon ? (int)(colon - line->words.word[1]) : -1;

	*tuning = (struct lab_tuning){line->where, NULL, colon ? colon + 1 : NULL, value};
	return node_or_all(lab, line, lab_format(lab, "%.*s", bytes, line->words.word[1]),
			   &tuning->node);
}

static int parse_offload(struct lab *lab, const struct lab_line *line)
{
	const char *value = line->words.word[2];

	if (room(lab, line, lab->n_offloads, LAB_STEPS_MAX, "offload statements")) {
		return -1;
	}
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
		return lab_fail(lab, line->where, "write on or off, not '%s'", value);
	}
	return parse_tuning(lab, line, &lab->offloads[lab->n_offloads++], value);
}

/* 0,3 is the mask 9. NULL: not a list of CPUs below `count`. */
static const char *mask_of_cpus(struct lab *lab, const char *list, unsigned long count)
{
	uint64_t mask = 0;
	char *end;

	for (;; list = end + 1) {
		unsigned long cpu = strtoul(list, &end, 10);

		if (*list < '0' || *list > '9' || cpu >= count || (*end && *end != ',')) {
			return NULL;
		}
		mask |= UINT64_C(1) << cpu;
		if (!*end) {
			/* More words than the machine has CPUs for are refused. */
			return mask >> 32 ? lab_format(lab, "%x,%08x", (unsigned)(mask >> 32),
						       (unsigned)mask)
					  : lab_format(lab, "%x", (unsigned)mask);
		}
	}
}

static int parse_rps(struct lab *lab, const struct lab_line *line)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned long count = cpus < 1 ? 1 : cpus < CPUS_MAX ? (unsigned long)cpus : CPUS_MAX;
	const char *mask = mask_of_cpus(lab, line->words.word[2], count);

	if (room(lab, line, lab->n_steerings, LAB_STEPS_MAX, "rps statements")) {
		return -1;
	}
	if (!mask) {
		return lab_fail(lab, line->where,
				"'%s' is not a list of CPUs: numbers from 0 to %lu with commas "
				"between them",
				line->words.word[2], count - 1);
	}
	return parse_tuning(lab, line, &lab->steerings[lab->n_steerings++], mask);
}

int lab_check_mtu(struct lab *lab, const char *where, const char *value)
{
	size_t n = strlen(value);

	if (n == 0 || n > 5 || strspn(value, "0123456789") != n || atoi(value) < 68 ||
	    atoi(value) > 65535) {
		return lab_fail(lab, where, "mtu '%s' is not a number of bytes, 68 to 65535",
				value);
	}
	return 0;
}

static int parse_set(struct lab *lab, const struct lab_line *line)
{
	const char *key = line->words.word[1], *value = line->words.word[2];

	if (strcmp(key, "congestion") == 0) {
		lab->congestion = value;
		return 0;
	}
	if (strcmp(key, "mtu") == 0) {
		lab->mtu = value;
		return lab_check_mtu(lab, line->where, value);
	}
	return lab_fail(lab, line->where, "there is no setting '%s': congestion, mtu", key);
}

static int parse_let(struct lab *lab, const struct lab_line *line)
{
	return lab_set_var(lab, line->where, line->words.word[1], line->words.word[2]);
}

static int parse_lab(struct lab *lab, const struct lab_line *line)
{
	if (!lab_name_ok(line->words.word[1], LAB_NAME_BYTES)) {
		return lab_fail(lab, line->where, "'%s' is no name for a lab", line->words.word[1]);
	}
	lab->name = line->words.word[1];
	return 0;
}

static struct lab_step *add_step(struct lab *lab, const struct lab_line *line,
				 enum lab_step_kind kind)
{
	struct lab_step *step = &lab->steps[lab->n_steps];

	if (room(lab, line, lab->n_steps, LAB_STEPS_MAX, "steps")) {
		return NULL;
	}
	lab->n_steps++;
	*step = (struct lab_step){.where = line->where, .kind = kind};
	return step;
}

static int parse_command(struct lab *lab, const struct lab_line *line)
{
	bool daemon = strcmp(line->words.word[0], "daemon") == 0;
	struct lab_step *step = add_step(lab, line, daemon ? LAB_STEP_DAEMON : LAB_STEP_RUN);

	if (!step) {
		return -1;
	}
	step->words = lab_slice(lab, &line->words, 2, line->words.count);
	step->node = need_node(lab, line, line->words.word[1]);
	return step->node ? 0 : -1;
}

static int parse_ready(struct lab *lab, const struct lab_line *line)
{
	struct lab_step *step = add_step(lab, line, LAB_STEP_READY);
	const char *what = line->words.word[2], *name = line->words.word[3];
	bool tcp = strcmp(what, "tcp") == 0, file = strcmp(what, "file") == 0;

	if (!step) {
		return -1;
	}
	if ((!tcp && !file && strcmp(what, "run") != 0) ||
	    ((tcp || file) && line->words.count != 4) || (tcp && atoi(name) <= 0)) {
		return lab_fail(lab, line->where,
				"write: ready NODE tcp PORT | file PATH | run COMMAND...");
	}
	step->ready = tcp ? LAB_READY_TCP : file ? LAB_READY_FILE : LAB_READY_COMMAND;
	step->name = name;
	step->words = lab_slice(lab, &line->words, 3, line->words.count);
	step->node = need_node(lab, line, line->words.word[1]);
	return step->node ? 0 : -1;
}

static int parse_file(struct lab *lab, const struct lab_line *line)
{
	struct lab_step *step = add_step(lab, line, LAB_STEP_FILE);

	if (!step) {
		return -1;
	}
	step->name = line->words.word[1];
	step->words = lab_slice(lab, &line->words, 2, line->words.count);
	if (!lab_name_ok(step->name, 64)) {
		return lab_fail(lab, line->where, "'%s': give the file's name without a folder",
				step->name);
	}
	return 0;
}

static struct lab_agent *find_agent(struct lab *lab, const char *name)
{
	for (int i = 0; i < lab->n_agents; i++) {
		if (strcmp(lab->agents[i].name, name) == 0) {
			return &lab->agents[i];
		}
	}
	return NULL;
}

static int parse_agent(struct lab *lab, const struct lab_line *line)
{
	struct lab_agent *agent = &lab->agents[lab->n_agents];
	const char *name = line->words.word[1];
	struct lab_step *step;

	if (strcmp(line->words.word[2], "node") != 0) {
		return lab_fail(lab, line->where, "write: agent NAME node NODE");
	}
	if (find_agent(lab, name) || !lab_name_ok(name, LAB_NODE_BYTES)) {
		return lab_fail(lab, line->where, "'%s' is %s", name,
				find_agent(lab, name) ? "already an agent"
						      : "no name for an agent");
	}
	if (room(lab, line, lab->n_agents, LAB_AGENTS_MAX, "agents")) {
		return -1;
	}
	*agent = (struct lab_agent){line->where, name, need_node(lab, line, line->words.word[3])};
	step = add_step(lab, line, LAB_STEP_AGENT);
	if (!agent->node || !step) {
		return -1;
	}
	lab->n_agents++;
	step->agent = agent;
	step->node = agent->node;
	return 0;
}

static int parse_dysco(struct lab *lab, const struct lab_line *line)
{
	const char *name = line->words.word[1];
	struct lab_config *config = &lab->configs[lab->n_configs];

	if (room(lab, line, lab->n_configs, LAB_STEPS_MAX, "dysco statements")) {
		return -1;
	}
	*config = (struct lab_config){line->where, NULL,
				      lab_slice(lab, &line->words, 2, line->words.count)};
	lab->n_configs++;
	if (strcmp(name, "*") == 0) {
		return 0;
	}
	config->agent = find_agent(lab, name);
	if (!config->agent) {
		return lab_fail(lab, line->where,
				"there is no agent '%s' above this line; write: agent %s node NODE",
				name, name);
	}
	return 0;
}

static int parse_stray(struct lab *lab, const struct lab_line *line)
{
	return lab_fail(lab, line->where, "this %s belongs to no block", line->words.word[0]);
}

static const struct statement STATEMENTS[] = {
    {"lab", 2, 2, parse_lab, "lab NAME"},
    {"set", 3, 3, parse_set, "set congestion NAME | set mtu BYTES"},
    {"let", 3, 3, parse_let, "let VARIABLE VALUE"},
    {"node", 2, 0, parse_node, "node NAME [gateway ADDRESS...]"},
    {"router", 2, 0, parse_node, "router NAME [gateway ADDRESS...]"},
    {"box", 2, 0, parse_node, "box NAME [gateway ADDRESS...]"},
    {"bridge", 2, 0, parse_bridge, "bridge NAME [ADDRESS/BITS...]"},
    {"link", 4, 0, lab_parse_link,
     "link NODE[:INTERFACE] [ADDRESS/BITS...] -- NODE[:INTERFACE] [ADDRESS/BITS...] [OPTION "
     "VALUE]..."},
    {"route", 4, 0, parse_route, "route NODE PREFIX|default via ADDRESS [dev INTERFACE]"},
    {"sysctl", 4, 4, parse_sysctl, "sysctl NODE|* KEY VALUE"},
    {"offload", 3, 3, parse_offload, "offload NODE[:INTERFACE]|* on|off"},
    {"rps", 3, 3, parse_rps, "rps NODE[:INTERFACE]|* CPU[,CPU...]"},
    {"file", 3, 0, parse_file, "file NAME LINE..."},
    {"run", 3, 0, parse_command, "run NODE COMMAND..."},
    {"daemon", 3, 0, parse_command, "daemon NODE COMMAND..."},
    {"ready", 4, 0, parse_ready, "ready NODE tcp PORT | file PATH | run COMMAND..."},
    {"agent", 4, 4, parse_agent, "agent NAME node NODE"},
    {"dysco", 3, 0, parse_dysco, "dysco AGENT|* STATEMENT..."},
    {"else", 1, 0, parse_stray, ""},
    {"end", 1, 0, parse_stray, ""},
};

int lab_parse(struct lab *lab, const struct lab_line *line)
{
	int count = line->words.count;

	for (size_t i = 0; i < sizeof(STATEMENTS) / sizeof(STATEMENTS[0]); i++) {
		const struct statement *s = &STATEMENTS[i];

		if (strcmp(s->name, line->words.word[0]) != 0) {
			continue;
		}
		if (count < s->min || (s->max && count > s->max)) {
			return lab_fail(lab, line->where, "write: %s", s->usage);
		}
		return s->parse(lab, line);
	}
	return lab_fail(lab, line->where, "there is no statement '%s'; see docs/lab.md",
			line->words.word[0]);
}
