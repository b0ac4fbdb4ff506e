// SPDX-License-Identifier: BSD-2-Clause
/* Starts the delay boxes of a lab's lossy links, and talks to them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/run.h"

#define WIRE_TIMEOUT_MS 5000

static const char *wire_path(struct lab *lab, const char *link)
{
	return lab_format(lab, "%s/wires/%s.sock", lab_dir(lab), link);
}

static int ask(struct lab *lab, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path)) {
		close(fd);
		return lab_fail(lab, NULL, "%s: too long for a socket", path);
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		lab_fail(lab, NULL, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

struct waiting {
	struct lab *lab;
	const char *path;
};

static bool answers(void *context)
{
	const struct waiting *w = context;
	int fd = ask(w->lab, w->path);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static const char *number_pair(struct lab *lab, uint32_t a, uint32_t b, const char *unit)
{
	return lab_format(lab, "%u%s/%u%s", a, unit, b, unit);
}

/* In the words that wire_set() reads; ppm is the unit of chances. */
static struct lab_words wire_command(struct lab *lab, const struct lab_link *link, int index)
{
	const struct wire_settings *a = &link->settings[0], *b = &link->settings[1];
	const char *argv[] = {
	    "/proc/self/exe",
	    "lab",
	    "wire",
	    lab_format(lab, "w%da", index),
	    lab_format(lab, "w%db", index),
	    wire_path(lab, link->name),
	    lab_format(lab, "%llu", (unsigned long long)link->seed),
	    "delay",
	    number_pair(lab, a->delay_us, b->delay_us, "us"),
	    "jitter",
	    number_pair(lab, a->jitter_us, b->jitter_us, "us"),
	    "loss",
	    number_pair(lab, a->loss_ppm, b->loss_ppm, "ppm"),
	    "duplicate",
	    number_pair(lab, a->duplicate_ppm, b->duplicate_ppm, "ppm"),
	    "reorder",
	    number_pair(lab, a->reorder_ppm, b->reorder_ppm, "ppm"),
	    "queue",
	    number_pair(lab, a->queue, b->queue, ""),
	};
	struct lab_words words = {sizeof(argv) / sizeof(argv[0]), argv};

	return lab_slice(lab, &words, 0, words.count);
}

static int start_wire(struct lab *lab, int index)
{
	const struct lab_link *link = &lab->links[index];
	struct lab_words words = wire_command(lab, link, index);
	struct waiting w = {lab, wire_path(lab, link->name)};
	struct lab_command c = {
	    .where = link->where,
	    .words = &words,
	    .netns = lab_netns(lab, LAB_WIRES),
	    .output = lab_format(lab, "%s/log/wire-%s.log", lab_dir(lab), link->name),
	    .part = true,
	};

	if (lab_spawn(lab, &c) < 0) {
		return -1;
	}
	if (!lab_until(answers, &w, WIRE_TIMEOUT_MS)) {
		return lab_fail(lab, link->where, "the delay box does not start: %s",
				lab_last_words(lab, c.output));
	}
	return 0;
}

int lab_start_wires(struct lab *lab)
{
	for (int i = 0; i < lab->n_links; i++) {
		if (lab->links[i].wired && start_wire(lab, i)) {
			return -1;
		}
	}
	return 0;
}

int lab_ask_wire(struct lab *lab, const char *link, const char *line)
{
	int fd = ask(lab, wire_path(lab, link));
	const char *text = lab_format(lab, "%s\n", line);
	char answer[4096];
	size_t used = 0;
	ssize_t n;

	if (fd < 0) {
		return lab_fail(lab, NULL,
				"lab %s has no lossy link '%s'; see: dysco lab show FILE",
				lab->name, link);
	}
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		close(fd);
		return lab_fail(lab, NULL, "link %s: %s", link, strerror(errno));
	}
	while (used < sizeof(answer) - 1 &&
	       (n = read(fd, answer + used, sizeof(answer) - 1 - used)) > 0) {
		used += (size_t)n;
	}
	close(fd);
	answer[used] = '\0';
	if (strncmp(answer, "error: ", 7) == 0) {
		answer[strcspn(answer, "\n")] = '\0';
		return lab_fail(lab, NULL, "link %s: %s", link, answer + 7);
	}
	fputs(answer, stdout);
	return used ? 0 : lab_fail(lab, NULL, "link %s: its delay box gave no answer", link);
}
