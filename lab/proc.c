// SPDX-License-Identifier: BSD-2-Clause
/* Starting processes in namespaces, and waiting for them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/run.h"

#define TOOL_TIMEOUT_MS 60000
#define ENVIRONMENT_MAX 512

static volatile sig_atomic_t stopped;
static bool deaf;

static void note_signal(int number)
{
	stopped = number;
}

void lab_catch_signals(void)
{
	static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note_signal};
	sigset_t set;

	/* Blocked but during ppoll(): no signal falls between a test and a wait. */
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
		sigaction(SIGNALS[i], &action, NULL);
		sigaddset(&set, SIGNALS[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void lab_set_deaf(bool on)
{
	deaf = on;
}

bool lab_stopped(void)
{
	struct timespec none = {0, 0};
	sigset_t open;

	sigemptyset(&open);
	(void)ppoll(NULL, 0, &none, &open);
	return stopped != 0;
}

int lab_enter(struct lab *lab, const char *netns)
{
	const char *path = lab_format(lab, "/run/netns/%s", netns);
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int target = open(path, O_RDONLY | O_CLOEXEC);
	int error = errno;

	if (before < 0 || target < 0 || setns(target, CLONE_NEWNET)) {
		error = target < 0 ? error : errno;
		close(before);
		before = -1;
		lab_fail(lab, NULL, "%s: %s", path, strerror(error));
	}
	close(target);
	return before;
}

void lab_leave(int before)
{
	if (setns(before, CLONE_NEWNET)) {
		perror("dysco lab: cannot return to its namespace");
		abort();
	}
	close(before);
}

/* Our environment with the lab's names on top. */
static char **environment(struct lab *lab, const struct lab_command *c)
{
	const char **env = lab_alloc(lab, sizeof(*env) * (ENVIRONMENT_MAX + 8));
	int n = 0;

	for (char **e = environ; *e && n < ENVIRONMENT_MAX; e++) {
		if (strncmp(*e, "DYSCO_LAB", 9) != 0 && strncmp(*e, "DYSCO_NODE=", 11) != 0) {
			env[n++] = *e;
		}
	}
	env[n++] = lab_format(lab, "DYSCO_LAB=%s", lab->name);
	env[n++] = lab_format(lab, "DYSCO_LAB_DIR=%s", lab_dir(lab));
	if (c->node) {
		env[n++] = lab_format(lab, "DYSCO_NODE=%s", c->node);
	}
	if (c->part) {
		env[n++] = lab_format(lab, "DYSCO_LAB_PART=%s", lab->name);
	}
	return (char **)env;
}

static void set_attributes(posix_spawnattr_t *attr, bool part)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setflags(attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					       (part ? POSIX_SPAWN_SETSID : 0)));
}

static void set_files(posix_spawn_file_actions_t *files, const struct lab_command *c)
{
	posix_spawn_file_actions_init(files);
	if (c->output) {
		posix_spawn_file_actions_addopen(files, 1, c->output, O_WRONLY | O_CREAT | O_APPEND,
						 0644);
		posix_spawn_file_actions_adddup2(files, 1, 2);
	}
	if (c->part) {
		posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	}
	if (c->dir) {
		posix_spawn_file_actions_addchdir_np(files, c->dir);
	}
}

pid_t lab_spawn(struct lab *lab, const struct lab_command *c)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char **argv = lab_alloc(lab, sizeof(*argv) * (size_t)(c->words->count + 1));
	int before = c->netns ? lab_enter(lab, c->netns) : -1;
	pid_t pid = -1;
	int error;

	if (c->netns && before < 0) {
		return -1;
	}
	for (int i = 0; i < c->words->count; i++) {
		argv[i] = (char *)c->words->word[i];
	}
	set_attributes(&attr, c->part);
	set_files(&files, c);
	error = posix_spawnp(&pid, argv[0], &files, &attr, argv, environment(lab, c));
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (before >= 0) {
		lab_leave(before);
	}
	if (error) {
		return lab_fail(lab, c->where, "%s cannot be started: %s", argv[0],
				strerror(error));
	}
	return pid;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits on fd (-1: on time alone); false when a signal came. */
static bool pause_on(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	sigset_t open;

	sigemptyset(&open);
	return ppoll(&p, 1, ms < 0 ? NULL : &t, deaf ? NULL : &open) >= 0 && (deaf || !stopped);
}

int lab_wait(struct lab *lab, pid_t pid, int timeout_ms)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool in_time = pause_on(fd, timeout_ms);
	int status;

	close(fd);
	if (waitpid(pid, &status, WNOHANG) == pid) {
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return lab_fail(lab, NULL, "%s", in_time ? "took too long" : "stopped by a signal");
}

const char *lab_last_words(struct lab *lab, const char *path)
{
	const char *text = lab_slurp(lab, path);
	size_t bytes = text ? strlen(text) : 0;

	while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == ' ')) {
		bytes--;
	}
	if (bytes == 0) {
		return "(it said nothing)";
	}
	return lab_format(lab, "%.*s", (int)(bytes > 400 ? 400 : bytes),
			  text + (bytes > 400 ? bytes - 400 : 0));
}

int lab_tool(struct lab *lab, const char *where, const char *node, const char *const *argv)
{
	const char *said = lab_format(lab, "%s/tool.out", lab_dir(lab));
	struct lab_words words = {0, argv};
	struct lab_command c = {
	    .where = where, .words = &words, .output = said, .dir = lab_dir(lab), .part = true};
	int status;
	pid_t pid;

	while (argv[words.count]) {
		words.count++;
	}
	if (node) {
		c.node = node;
		c.netns = lab_netns(lab, node);
	}
	unlink(said);
	pid = lab_spawn(lab, &c);
	if (pid < 0) {
		return -1;
	}
	status = lab_wait(lab, pid, TOOL_TIMEOUT_MS);
	if (status < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return lab_fail(lab, where, "%s: %s", argv[0], lab_copy(lab, lab->error));
	}
	if (status) {
		return lab_fail(lab, where, "%s failed (exit %d): %s", argv[0], status,
				lab_last_words(lab, said));
	}
	return 0;
}

bool lab_until(bool (*done)(void *context), void *context, int timeout_ms)
{
	long long end = now_ms() + timeout_ms;

	for (int ms = 1; !done(context); ms = ms < 20 ? ms * 2 : 20) {
		if (now_ms() >= end || !pause_on(-1, ms)) {
			return false;
		}
	}
	return true;
}
