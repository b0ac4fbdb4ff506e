// SPDX-License-Identifier: BSD-2-Clause
/* What happens inside the nodes, in the order of the file: files, commands, daemons, agents. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/words.h"
#include "lab/run.h"

#define READY_TIMEOUT_MS 15000
/* The kernel checks an agent's programs, for all agents of a lab at once. */
#define AGENT_TIMEOUT_MS 120000

/* A daemon or agent that this run has started. */
struct started {
	const struct lab_step *step;
	const char *log;
	pid_t pid;
};

struct steps {
	struct lab *lab;
	int n_started;
	struct started started[LAB_STEPS_MAX];
};

static int run_file(struct lab *lab, const struct lab_step *step)
{
	const char *text = "";

	for (int i = 0; i < step->words.count; i++) {
		text = lab_format(lab, "%s%s\n", text, step->words.word[i]);
	}
	return lab_write(lab, lab_format(lab, "%s/%s", lab_dir(lab), step->name), text, 0644);
}

static int start(struct steps *s, const struct lab_step *step, const struct lab_words *words,
		 const char *log)
{
	struct lab *lab = s->lab;
	struct lab_command c = {.where = step->where,
				.words = words,
				.netns = lab_netns(lab, step->node->name),
				.node = step->node->name,
				.dir = lab_dir(lab),
				.output = log,
				.part = true};
	pid_t pid = lab_spawn(lab, &c);

	if (pid < 0) {
		return -1;
	}
	s->started[s->n_started++] = (struct started){step, log, pid};
	return 0;
}

/* A daemon that has ended is an error, also long after its own statement. */
static int check_started(struct steps *s)
{
	for (int i = 0; i < s->n_started; i++) {
		struct started *d = &s->started[i];
		int status;

		if (d->pid > 0 && waitpid(d->pid, &status, WNOHANG) == d->pid) {
			d->pid = -1;
			return lab_fail(s->lab, d->step->where, "%s has ended (%s %d): %s",
					d->step->agent ? "the agent" : d->step->words.word[0],
					WIFEXITED(status) ? "exit" : "signal",
					WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
					lab_last_words(s->lab, d->log));
		}
	}
	return 0;
}

static int run_daemon(struct steps *s, const struct lab_step *step)
{
	const char *slash = strrchr(step->words.word[0], '/');

	return start(s, step, &step->words,
		     lab_format(s->lab, "%s/log/%s-%s.log", lab_dir(s->lab), step->node->name,
				slash ? slash + 1 : step->words.word[0]));
}

struct ready {
	struct steps *steps;
	const struct lab_step *step;
	const char *path;
	bool failed;
};

/* Does a socket of the namespace we are in listen there? Column 2 ADDRESS:PORT, column 4 0A. */
static bool port_listens(const char *path, unsigned int port)
{
	char line[512], local[64];
	FILE *file = fopen(path, "re");
	unsigned int state;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %*s %63s %*s %x", local, &state) == 2 && strchr(local, ':')) {
			found = state == 0x0a && strtoul(strchr(local, ':') + 1, NULL, 16) == port;
		}
	}
	if (file) {
		fclose(file);
	}
	return found;
}

static bool tcp_is_ready(struct ready *r)
{
	unsigned int port = (unsigned int)strtoul(r->step->name, NULL, 10);
	int before = lab_enter(r->steps->lab, lab_netns(r->steps->lab, r->step->node->name));
	bool found;

	if (before < 0) {
		r->failed = true;
		return true;
	}
	found =
	    port_listens("/proc/self/net/tcp", port) || port_listens("/proc/self/net/tcp6", port);
	lab_leave(before);
	return found;
}

static bool command_is_ready(struct ready *r)
{
	return lab_tool(r->steps->lab, r->step->where, r->step->node->name, r->step->words.word) ==
	       0;
}

/*
 * The agent answers: it listens before its attachments are made, and serves
 * its socket after them.
 */
static bool agent_is_ready(const char *path)
{
	static const char QUESTION[] = "version\n";
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval patience = {1, 0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;
	bool ok;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	     setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	     write(fd, QUESTION, strlen(QUESTION)) == (ssize_t)strlen(QUESTION) &&
	     read(fd, &byte, 1) == 1;
	close(fd);
	return ok;
}

static bool is_ready(void *context)
{
	struct ready *r = context;

	if (check_started(r->steps)) {
		r->failed = true;
		return true;
	}
	if (r->step->kind == LAB_STEP_AGENT) {
		return agent_is_ready(r->path);
	}
	switch (r->step->ready) {
	case LAB_READY_TCP:
		return tcp_is_ready(r);
	case LAB_READY_FILE:
		return access(r->path, F_OK) == 0;
	default:
		return command_is_ready(r);
	}
}

static int wait_ready(struct steps *s, const struct lab_step *step, const char *path)
{
	struct ready r = {.steps = s, .step = step, .path = path};

	int timeout_ms = step->agent ? AGENT_TIMEOUT_MS : READY_TIMEOUT_MS;

	if (lab_until(is_ready, &r, timeout_ms)) {
		return r.failed ? -1 : 0;
	}
	return lab_fail(s->lab, step->where, "%s",
			lab_stopped() ? "stopped by a signal"
				      : lab_format(s->lab,
						   "not ready within %d s; the logs are in "
						   "%s/log until clean-up",
						   timeout_ms / 1000, lab_dir(s->lab)));
}

static int run_ready(struct steps *s, const struct lab_step *step)
{
	const char *path = step->name;

	if (path[0] != '/') {
		path = lab_format(s->lab, "%s/%s", lab_dir(s->lab), path);
	}
	return wait_ready(s, step, path);
}

/* `netns NODE` of an attach statement means the namespace of that node. */
static const char *config_word(struct lab *lab, const struct lab_words *w, int i)
{
	char quoted[2 * DYSCO_LINE_BYTES];
	const char *word = w->word[i];

	if (i > 0 && strcmp(w->word[i - 1], "netns") == 0 && lab_find_node(lab, word)) {
		word = lab_netns(lab, word);
	}
	dysco_words_quote(quoted, sizeof(quoted), word);
	return lab_copy(lab, quoted);
}

static const char *config_text(struct lab *lab, const struct lab_agent *agent)
{
	const char *text = lab_format(lab, "agent %s\n", agent->name);

	for (int i = 0; i < lab->n_configs; i++) {
		const struct lab_config *c = &lab->configs[i];

		if (c->agent && c->agent != agent) {
			continue;
		}
		for (int k = 0; k < c->words.count; k++) {
			text = lab_format(lab, "%s%s%s", text, k ? " " : "",
					  config_word(lab, &c->words, k));
		}
		text = lab_format(lab, "%s\n", text);
	}
	return text;
}

/* dyscod beside us, as installed or as built; else the one on the PATH. */
static const char *find_dyscod(struct lab *lab)
{
	static const char *const PLACES[] = {"dyscod", "../agent/dyscod", "../sbin/dyscod"};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (getenv("DYSCO_DYSCOD")) {
		return getenv("DYSCO_DYSCOD");
	}
	self[n > 0 ? n : 0] = '\0';
	if (strrchr(self, '/')) {
		*strrchr(self, '/') = '\0';
	}
	for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
		const char *path = lab_format(lab, "%s/%s", self, PLACES[i]);
		struct stat st;

		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
			return path;
		}
	}
	return "dyscod";
}

static const char *agent_path(struct lab *lab, const struct lab_step *step, const char *file)
{
	return lab_format(lab, "%s/agents/%s%s", lab_dir(lab), step->agent->name, file);
}

static int run_agent(struct steps *s, const struct lab_step *step)
{
	struct lab *lab = s->lab;
	const char *dir = agent_path(lab, step, "");
	const char *config = agent_path(lab, step, "/dysco.conf");
	const char *socket = agent_path(lab, step, "/dysco.sock");
	const char *pin = lab_format(lab, LAB_PIN_ROOT "/%s/%s", lab->name, step->agent->name);
	const char *argv[] = {find_dyscod(lab), "-c", config, "-s", socket, "-p", pin};
	struct lab_words words = {sizeof(argv) / sizeof(argv[0]), lab_alloc(lab, sizeof(argv) + 8)};

	memcpy((void *)words.word, argv, sizeof(argv));
	/* The configuration may hold a key. */
	return lab_mkdirs(lab, dir) || lab_mkdirs(lab, pin) ||
		       lab_write(lab, config, config_text(lab, step->agent), 0600) ||
		       start(s, step, &words, agent_path(lab, step, "/log"))
		   ? -1
		   : 0;
}

/* Agents that stand together in the file start together; what follows them finds them ready. */
static int wait_agents(struct steps *s, int first, int last)
{
	for (int i = first; i < last; i++) {
		const struct lab_step *step = &s->lab->steps[i];

		if (wait_ready(s, step, agent_path(s->lab, step, "/dysco.sock"))) {
			return -1;
		}
	}
	return 0;
}

static int run_step(struct steps *s, const struct lab_step *step)
{
	switch (step->kind) {
	case LAB_STEP_FILE:
		return run_file(s->lab, step);
	case LAB_STEP_RUN:
		return lab_tool(s->lab, step->where, step->node->name, step->words.word);
	case LAB_STEP_DAEMON:
		return run_daemon(s, step);
	case LAB_STEP_READY:
		return run_ready(s, step);
	default:
		return run_agent(s, step);
	}
}

int lab_run_steps(struct lab *lab)
{
	struct steps *s = lab_alloc(lab, sizeof(*s));
	int waited = 0;

	s->lab = lab;
	for (int i = 0; i < lab->n_steps; i++) {
		bool agent = lab->steps[i].kind == LAB_STEP_AGENT;

		if (lab_stopped()) {
			return lab_fail(lab, lab->steps[i].where, "stopped by a signal");
		}
		if ((!agent && wait_agents(s, waited, i)) || run_step(s, &lab->steps[i])) {
			return -1;
		}
		waited = agent ? waited : i + 1;
	}
	return wait_agents(s, waited, lab->n_steps) || check_started(s) ? -1 : 0;
}
