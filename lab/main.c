// SPDX-License-Identifier: BSD-2-Clause
/* `dysco lab`: its verbs. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/run.h"

/* As all of dysco: 0 done, 1 refused or failed, 2 wrong usage. */
#define EXIT_USAGE 2

static const char USAGE[] =
    "usage: dysco lab up FILE [--name LAB] [--set VARIABLE=VALUE]...\n"
    "       dysco lab run FILE [--name LAB] [--set VARIABLE=VALUE]... [-- COMMAND...]\n"
    "       dysco lab exec LAB NODE COMMAND...\n"
    "       dysco lab set LAB LINK [SETTING VALUE]...\n"
    "       dysco lab down LAB... | --all\n"
    "       dysco lab list\n"
    "       dysco lab show FILE [--set VARIABLE=VALUE]...\n";

static int usage(void)
{
	fputs(USAGE, stderr);
	return EXIT_USAGE;
}

static int complain(const struct lab *lab)
{
	fprintf(stderr, "dysco lab: %s\n", lab->error);
	return EXIT_FAILURE;
}

/* FILE without folder and suffix, where neither the file nor --name says otherwise. */
static const char *default_name(struct lab *lab, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');

	return lab_format(lab, "%.*s", dot > base ? (int)(dot - base) : -1, base);
}

/* Options, FILE and the command after --; reads and checks the file. Exit code, 0: go on. */
static int read_arguments(struct lab *lab, int argc, char **argv, char ***command)
{
	const char *file = NULL, *name = NULL;

	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "--") == 0) {
			*command = argv + i + 1;
			break;
		}
		if (strcmp(argv[i], "--name") == 0 && more) {
			name = argv[++i];
		} else if (strcmp(argv[i], "--set") == 0 && more) {
			if (lab_fix_var(lab, argv[++i])) {
				complain(lab);
				return EXIT_USAGE;
			}
		} else if (argv[i][0] != '-' && !file) {
			file = argv[i];
		} else {
			return usage();
		}
	}
	if (!file) {
		return usage();
	}
	if (lab_read_file(lab, file)) {
		return complain(lab);
	}
	lab->name = name ? name : lab->name ? lab->name : default_name(lab, file);
	if (!lab_name_ok(lab->name, LAB_NAME_BYTES)) {
		lab_fail(lab, NULL, "'%s' is no name for a lab: at most %d letters, digits, - _ .",
			 lab->name, LAB_NAME_BYTES - 1);
		return complain(lab);
	}
	return 0;
}

/* Everything from nothing; on failure nothing is left. */
static int bring_up(struct lab *lab, const char *state)
{
	int lock = lab_lock(lab);
	char error[sizeof(lab->error)];

	if (lock < 0) {
		return -1;
	}
	if (lab_read_state(lab) == LAB_UP) {
		lab_fail(lab, NULL, "lab %s is up already; first: dysco lab down %s", lab->name,
			 lab->name);
		lab_unlock(lab, lock, false);
		return -1;
	}
	if (lab_remove(lab) == 0 && lab_mkdirs(lab, lab_dir(lab)) == 0 &&
	    lab_write_state(lab, "building") == 0 && lab_build(lab) == 0 &&
	    lab_start_wires(lab) == 0 && lab_run_steps(lab) == 0 && !lab_stopped() &&
	    lab_write_state(lab, state) == 0) {
		lab_unlock(lab, lock, false);
		return 0;
	}
	memcpy(error, lab->error, sizeof(error));
	lab_remove(lab);
	memcpy(lab->error, error, sizeof(error));
	lab_unlock(lab, lock, true);
	if (lab_stopped()) {
		lab_fail(lab, NULL, "stopped by a signal; nothing is left of lab %s", lab->name);
	}
	return -1;
}

static int take_down(struct lab *lab)
{
	int lock = lab_lock(lab);
	int result;

	if (lock < 0) {
		return -1;
	}
	result = lab_remove(lab);
	lab_unlock(lab, lock, result == 0);
	return result;
}

static int verb_up(struct lab *lab, int argc, char **argv)
{
	char **command = NULL;
	int code = read_arguments(lab, argc, argv, &command);

	if (code) {
		return code;
	}
	if (command) {
		return usage();
	}
	return bring_up(lab, "up") ? complain(lab) : EXIT_SUCCESS;
}

/* The command of `run`; with a signal to us, it is told to end and waited for. */
static int run_command(struct lab *lab, char **command)
{
	char *shell[] = {getenv("SHELL") ? getenv("SHELL") : (char *)"/bin/sh", NULL};
	char **argv = command && command[0] ? command : shell;
	struct lab_words words = {0, (const char *const *)argv};
	struct lab_command c = {.words = &words};
	pid_t pid;
	int status;

	while (argv[words.count]) {
		words.count++;
	}
	pid = lab_spawn(lab, &c);
	if (pid < 0) {
		return complain(lab);
	}
	status = lab_wait(lab, pid, -1);
	if (status < 0) {
		lab_set_deaf(true);
		kill(pid, SIGTERM);
		if (lab_wait(lab, pid, 5000) < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		status = 128 + SIGTERM;
	}
	return status;
}

static int verb_run(struct lab *lab, int argc, char **argv)
{
	char **command = NULL;
	int code = read_arguments(lab, argc, argv, &command);

	if (code) {
		return code;
	}
	if (bring_up(lab, "run")) {
		return complain(lab);
	}
	code = run_command(lab, command);
	if (take_down(lab)) {
		complain(lab);
		return code ? code : EXIT_FAILURE;
	}
	return code;
}

static int verb_exec(struct lab *lab, int argc, char **argv)
{
	int before;

	if (argc < 4) {
		return usage();
	}
	lab->name = argv[1];
	before = lab_enter(lab, lab_netns(lab, argv[2]));
	if (before < 0) {
		lab_fail(lab, NULL, "lab %s has no node '%s'; see: dysco lab list", argv[1],
			 argv[2]);
		return complain(lab);
	}
	close(before);
	setenv("DYSCO_LAB", lab->name, 1);
	setenv("DYSCO_LAB_DIR", lab_dir(lab), 1);
	setenv("DYSCO_NODE", argv[2], 1);
	execvp(argv[3], argv + 3);
	lab_fail(lab, NULL, "%s: %s", argv[3], strerror(errno));
	complain(lab);
	return errno == ENOENT ? 127 : 126;
}

static int verb_set(struct lab *lab, int argc, char **argv)
{
	const char *line = "";

	if (argc < 3) {
		return usage();
	}
	lab->name = argv[1];
	for (int i = 3; i < argc; i++) {
		line = lab_format(lab, "%s %s", line, argv[i]);
	}
	return lab_ask_wire(lab, argv[2], line) ? complain(lab) : EXIT_SUCCESS;
}

/* Calls fn for every lab there is a folder of; the sum of its results. */
static int for_labs(struct lab *lab, int (*fn)(struct lab *lab))
{
	DIR *dir = opendir(LAB_RUN_ROOT);
	const struct dirent *entry;
	int result = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.') {
			lab->name = lab_copy(lab, entry->d_name);
			result |= fn(lab);
		}
	}
	if (dir) {
		closedir(dir);
	}
	return result;
}

static int down_one(struct lab *lab)
{
	return take_down(lab) ? complain(lab) : EXIT_SUCCESS;
}

static int verb_down(struct lab *lab, int argc, char **argv)
{
	int code = 0;

	if (argc < 2) {
		return usage();
	}
	if (strcmp(argv[1], "--all") == 0) {
		return argc == 2 ? for_labs(lab, down_one) : usage();
	}
	for (int i = 1; i < argc; i++) {
		if (!lab_name_ok(argv[i], LAB_NAME_BYTES)) {
			return usage();
		}
		lab->name = argv[i];
		if (lab_read_state(lab) == LAB_ABSENT) {
			lab_fail(lab, NULL, "there is no lab %s; see: dysco lab list", argv[i]);
			code = complain(lab);
		} else {
			code |= down_one(lab);
		}
	}
	return code;
}

static int list_one(struct lab *lab)
{
	static const char *const STATE[] = {"absent", "crashed", "building", "up"};
	const char *names = lab_slurp(lab, lab_format(lab, "%s/netns", lab_dir(lab)));
	size_t prefix = strlen(lab_netns(lab, ""));
	char *rest = NULL;

	printf("%-24s%-10s", lab->name, STATE[lab_read_state(lab)]);
	for (char *name = names ? strtok_r((char *)names, "\n", &rest) : NULL; name;
	     name = strtok_r(NULL, "\n", &rest)) {
		if (strlen(name) > prefix && name[prefix] != '.') {
			printf(" %s", name + prefix);
		}
	}
	putchar('\n');
	return 0;
}

static int verb_list(struct lab *lab, int argc, char **argv)
{
	(void)argv;
	return argc == 1 ? for_labs(lab, list_one) : usage();
}

static int verb_show(struct lab *lab, int argc, char **argv)
{
	char **command = NULL;
	int code = read_arguments(lab, argc, argv, &command);

	if (code == 0) {
		lab_show(lab);
	}
	return code;
}

static int verb_wire(struct lab *lab, int argc, char **argv)
{
	(void)lab;
	return wire_main(argc, argv);
}

static const struct verb {
	const char *name;
	bool catches; /* cleans up when a signal comes */
	int (*run)(struct lab *lab, int argc, char **argv);
} VERBS[] = {
    {"up", true, verb_up},	{"run", true, verb_run},    {"down", true, verb_down},
    {"exec", false, verb_exec}, {"set", false, verb_set},   {"list", false, verb_list},
    {"show", false, verb_show}, {"wire", false, verb_wire},
};

/* Our caller may have taken options out of argv: what is left need not end in NULL. */
static char **terminated(struct lab *lab, int argc, char **argv)
{
	char **copy = lab_alloc(lab, sizeof(*copy) * ((size_t)argc + 1));

	memcpy(copy, argv, sizeof(*copy) * (size_t)argc);
	return copy;
}

int dysco_lab_main(int argc, char **argv)
{
	if (argc < 2) {
		return usage();
	}
	for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
		struct lab *lab;
		int code;

		if (strcmp(argv[1], VERBS[i].name) != 0) {
			continue;
		}
		lab = lab_new();
		if (VERBS[i].catches) {
			lab_catch_signals();
		}
		code = VERBS[i].run(lab, argc - 1, terminated(lab, argc - 1, argv + 1));
		lab_free(lab);
		return code;
	}
	return usage();
}
