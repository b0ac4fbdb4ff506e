// SPDX-License-Identifier: BSD-2-Clause
/*
 * Removes all that a lab owns (run.h), whatever state an earlier run left it in.
 * Every part may be missing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/run.h"

#define TERM_TIMEOUT_MS 3000
#define KILL_TIMEOUT_MS 3000

struct sweep {
	struct lab *lab;
	int signal; /* 0: only look */
	const char *marker;
	int n_netns;
	struct stat netns[LAB_NODES_MAX + 1];
};

static bool same_namespace(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Does NUL-separated text hold this entry? */
static bool has_marker(const char *path, const char *marker)
{
	size_t n = strlen(marker), capacity = 0;
	FILE *file = fopen(path, "re");
	bool found = false;
	char *text = NULL;

	while (file && !found && getdelim(&text, &capacity, '\0', file) > 0) {
		found = strncmp(text, marker, n + 1) == 0;
	}
	free(text);
	if (file) {
		fclose(file);
	}
	return found;
}

static bool is_ours(const struct sweep *sweep, long pid)
{
	char path[64];
	struct stat ns;

	if (pid == getpid()) {
		return false;
	}
	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	/* Not there: a zombie or gone, in either case past harm. */
	if (stat(path, &ns)) {
		return false;
	}
	for (int i = 0; i < sweep->n_netns; i++) {
		if (same_namespace(&sweep->netns[i], &ns)) {
			return true;
		}
	}
	snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
	return has_marker(path, sweep->marker);
}

/* True when no process of the lab is left; signals those that are. */
static bool sweep_processes(void *context)
{
	const struct sweep *sweep = context;
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	bool none = true;

	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
	while (proc && (entry = readdir(proc))) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 1 && is_ours(sweep, pid)) {
			none = false;
			if (sweep->signal) {
				kill((pid_t)pid, sweep->signal);
			}
		}
	}
	if (proc) {
		closedir(proc);
	}
	return none;
}

/* The namespaces on the list that exist; never the one we are in. */
static void find_namespaces(struct sweep *sweep, char *names)
{
	struct stat own = {0};
	char *rest = NULL;

	stat("/proc/self/ns/net", &own);
	for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		struct stat *ns = &sweep->netns[sweep->n_netns];

		if (sweep->n_netns <= LAB_NODES_MAX &&
		    stat(lab_format(sweep->lab, "/run/netns/%s", name), ns) == 0 &&
		    ns->st_dev == own.st_dev && !same_namespace(ns, &own)) {
			sweep->n_netns++;
		}
	}
}

static int stop_processes(struct sweep *sweep)
{
	sweep->signal = SIGTERM;
	if (sweep_processes(sweep)) {
		return 0;
	}
	sweep->signal = 0;
	if (lab_until(sweep_processes, sweep, TERM_TIMEOUT_MS)) {
		return 0;
	}
	sweep->signal = SIGKILL;
	if (lab_until(sweep_processes, sweep, KILL_TIMEOUT_MS)) {
		return 0;
	}
	return lab_fail(sweep->lab, NULL, "lab %s: a process does not end; see: ip netns pids",
			sweep->lab->name);
}

static int remove_namespaces(struct lab *lab, char *names)
{
	char *rest = NULL;

	for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		const char *path = lab_format(lab, "/run/netns/%s", name);

		umount2(path, MNT_DETACH);
		if (unlink(path) && errno != ENOENT) {
			return lab_fail(lab, NULL, "%s: %s", path, strerror(errno));
		}
	}
	return 0;
}

static int remove_all(struct lab *lab)
{
	const char *names = lab_slurp(lab, lab_format(lab, "%s/netns", lab_dir(lab)));
	struct sweep *sweep = lab_alloc(lab, sizeof(*sweep));

	sweep->lab = lab;
	sweep->marker = lab_format(lab, "DYSCO_LAB_PART=%s", lab->name);
	names = names ? names : "";
	find_namespaces(sweep, (char *)lab_copy(lab, names));
	if (stop_processes(sweep) || remove_namespaces(lab, (char *)lab_copy(lab, names))) {
		return -1;
	}
	lab_remove_tree(lab_format(lab, LAB_PIN_ROOT "/%s", lab->name));
	lab_remove_tree(lab_dir(lab));
	rmdir(LAB_PIN_ROOT);
	return access(lab_dir(lab), F_OK) == 0
		   ? lab_fail(lab, NULL, "%s: cannot be removed", lab_dir(lab))
		   : 0;
}

int lab_remove(struct lab *lab)
{
	int result;

	lab_set_deaf(true);
	result = remove_all(lab);
	lab_set_deaf(false);
	return result;
}
