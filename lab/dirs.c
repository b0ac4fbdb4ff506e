// SPDX-License-Identifier: BSD-2-Clause
/* Files, folders, the lock and the state of a lab. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/run.h"

const char *lab_dir(struct lab *lab)
{
	return lab_format(lab, LAB_RUN_ROOT "/%s", lab->name);
}

const char *lab_netns(struct lab *lab, const char *node)
{
	return lab_format(lab, "dysco-%s-%s", lab->name, node);
}

int lab_write(struct lab *lab, const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!file || fputs(text, file) == EOF) {
		lab_fail(lab, NULL, "%s: %s", path, strerror(errno));
		if (file) {
			fclose(file);
		}
		return -1;
	}
	return fclose(file) ? lab_fail(lab, NULL, "%s: %s", path, strerror(errno)) : 0;
}

const char *lab_slurp(struct lab *lab, const char *path)
{
	char text[65536];
	FILE *file = fopen(path, "re");
	size_t bytes;

	if (!file) {
		return NULL;
	}
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	return lab_copy(lab, text);
}

int lab_mkdirs(struct lab *lab, const char *path)
{
	for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		const char *part =
		    slash ? lab_format(lab, "%.*s", (int)(slash - path), path) : path;

		if (mkdir(part, 0755) && errno != EEXIST) {
			return lab_fail(lab, NULL, "%s: %s", part, strerror(errno));
		}
		if (!slash) {
			return 0;
		}
	}
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
	(void)stat;
	(void)kind;
	(void)ftw;
	/* What cannot be removed shows when its folder cannot be made anew. */
	(void)remove(path);
	return 0;
}

void lab_remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static const char *lock_path(struct lab *lab)
{
	return lab_format(lab, LAB_RUN_ROOT "/.%s.lock", lab->name);
}

int lab_lock(struct lab *lab)
{
	const char *path = lock_path(lab);

	if (lab_mkdirs(lab, LAB_RUN_ROOT)) {
		return -1;
	}
	for (int i = 0; i < 100; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0) {
			return lab_fail(lab, NULL, "%s: %s; are you root?", path, strerror(errno));
		}
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			close(fd);
			return lab_fail(
			    lab, NULL,
			    "lab %s is being changed by another dysco lab; try again when "
			    "that has ended",
			    lab->name);
		}
		/* The holder before us may have removed the file we have opened. */
		if (same_file(fd, path)) {
			return fd;
		}
		close(fd);
	}
	return lab_fail(lab, NULL, "%s: cannot be locked", path);
}

void lab_unlock(struct lab *lab, int lock, bool gone)
{
	if (gone) {
		unlink(lock_path(lab));
	}
	close(lock);
}

/* Field 22 of /proc/PID/stat: tells a process from a later one with its number. */
static unsigned long long start_time(struct lab *lab, long pid)
{
	const char *text = lab_slurp(lab, lab_format(lab, "/proc/%ld/stat", pid));
	const char *at = text ? strrchr(text, ')') : NULL;

	for (int field = 2; at && field < 22; field++) {
		at = strchr(at + 1, ' ');
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

int lab_write_state(struct lab *lab, const char *state)
{
	long pid = getpid();

	return lab_write(lab, lab_format(lab, "%s/state", lab_dir(lab)),
			 lab_format(lab, "%s %ld %llu\n", state, pid, start_time(lab, pid)), 0644);
}

enum lab_state lab_read_state(struct lab *lab)
{
	const char *text = lab_slurp(lab, lab_format(lab, "%s/state", lab_dir(lab)));
	unsigned long long start;
	char *rest;
	long pid;

	if (!text) {
		return access(lab_dir(lab), F_OK) ? LAB_ABSENT : LAB_CRASHED;
	}
	if (strncmp(text, "up ", 3) == 0) {
		return LAB_UP;
	}
	pid = strtol(text + strcspn(text, " "), &rest, 10);
	start = strtoull(rest, NULL, 10);
	if (pid <= 0 || start_time(lab, pid) != start) {
		return LAB_CRASHED;
	}
	return strncmp(text, "run ", 4) == 0 ? LAB_UP : LAB_BUILDING;
}
