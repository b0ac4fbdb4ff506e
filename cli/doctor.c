/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco doctor`: the round, and how findings are printed. */
#include "cli/doctor.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/text.h"

static const char *const level_names[] = {
    [DYSCO_LEVEL_OK] = "ok",
    [DYSCO_LEVEL_NOTE] = "note",
    [DYSCO_LEVEL_WARNING] = "warning",
    [DYSCO_LEVEL_ERROR] = "error",
};

static const enum dysco_colour level_colours[] = {
    [DYSCO_LEVEL_OK] = DYSCO_GREEN,
    [DYSCO_LEVEL_NOTE] = DYSCO_CYAN,
    [DYSCO_LEVEL_WARNING] = DYSCO_YELLOW,
    [DYSCO_LEVEL_ERROR] = DYSCO_RED,
};

static void print_check(const struct dysco_doctor *doctor, const struct dysco_finding *f,
			const char *mend)
{
	if (doctor->cli->json) {
		return;
	}
	printf("%s%-8s%s %-16s %s%s%s\n", dysco_colour(level_colours[f->level]),
	       level_names[f->level], dysco_colour_off(), f->name, doctor->subject,
	       doctor->subject[0] ? ": " : "", f->what);
	if (f->level > DYSCO_LEVEL_OK) {
		printf("         %swhy%s   %s\n", dysco_colour(DYSCO_DIM), dysco_colour_off(),
		       f->why);
		if (mend[0] != '\0') {
			printf("         %smend%s  %s\n", dysco_colour(DYSCO_DIM),
			       dysco_colour_off(), mend);
		}
	}
}

void dysco_doctor_found(struct dysco_doctor *doctor, const struct dysco_finding *f)
{
	char mend[320] = "";
	json_t *check;

	if (f->mend[0] != '\0') {
		snprintf(mend, sizeof(mend), "%s%s%s%s", doctor->netns[0] ? "ip netns exec " : "",
			 doctor->netns, doctor->netns[0] ? " " : "", f->mend);
	}
	check = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "check", f->name, "result",
			  level_names[f->level], "where", doctor->subject, "what", f->what, "why",
			  f->level > DYSCO_LEVEL_OK ? f->why : "", "mend", mend);
	json_array_append_new(doctor->checks, check);
	if (f->level >= DYSCO_LEVEL_WARNING) {
		doctor->findings++;
	}
	print_check(doctor, f, mend);
}

void dysco_doctor_ok(struct dysco_doctor *doctor, const char *name, const char *format, ...)
{
	struct dysco_finding fine = {.level = DYSCO_LEVEL_OK, .name = name, .why = ""};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fine.what, sizeof(fine.what), format, arguments);
	va_end(arguments);
	dysco_doctor_found(doctor, &fine);
}

long dysco_doctor_sysctl(const char *format, ...)
{
	char name[160], path[192] = "/proc/sys/", text[64];
	size_t used = strlen(path);
	va_list arguments;
	FILE *file;
	char *got;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	/* A slash in the name stands for a dot of an interface (eth0.5), as in sysctl(8). */
	for (const char *c = name; *c != '\0' && used + 1 < sizeof(path); c++) {
		path[used++] = *c == '.' ? '/' : (*c == '/' ? '.' : *c);
	}
	path[used] = '\0';
	file = fopen(path, "re");
	if (!file) {
		return -1;
	}
	got = fgets(text, sizeof(text), file);
	fclose(file);
	return got ? strtol(text, NULL, 10) : -1;
}

static json_t *read_json(int fd)
{
	json_error_t problem;
	FILE *file = fdopen(fd, "r");
	json_t *document;

	if (!file) {
		close(fd);
		return NULL;
	}
	document = json_loadf(file, 0, &problem);
	fclose(file);
	return document;
}

json_t *dysco_doctor_tool(const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	int pipes[2], status = -1, spawned;
	json_t *document;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) != 0) {
		return NULL;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	spawned = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	if (spawned != 0) {
		close(pipes[0]);
		return NULL;
	}
	document = read_json(pipes[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

static bool lists_address(const json_t *addresses, const char *text)
{
	size_t index, length = strcspn(text, "/");
	const json_t *address;

	json_array_foreach(addresses, index, address)
	{
		const char *other = json_string_value(address);

		if (strcspn(other, "/") == length && memcmp(other, text, length) == 0) {
			return true;
		}
	}
	return false;
}

const char *dysco_doctor_box(const struct dysco_doctor *doctor, const char *host)
{
	size_t i, j, k;
	const json_t *item, *box, *address;

	json_array_foreach(json_object_get(doctor->status, "hosts"), i, item)
	{
		if (strcmp(dysco_json_text(item, "name"), host) != 0) {
			continue;
		}
		json_array_foreach(json_object_get(doctor->boxes, "boxes"), j, box)
		{
			json_array_foreach(json_object_get(box, "addresses"), k, address)
			{
				const char *text = json_string_value(address);

				if (lists_address(json_object_get(item, "addresses"), text)) {
					return text;
				}
			}
		}
	}
	return "";
}

/* Into a namespace of the agent's naming: a name, an absolute path, or "" for where we began. */
static int enter(const char *netns)
{
	char path[128];
	int fd, result;

	snprintf(path, sizeof(path), "%s%s", netns[0] == '/' ? "" : "/run/netns/", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -1;
	}
	result = setns(fd, CLONE_NEWNET);
	close(fd);
	return result;
}

static void look_at_attachment(struct dysco_doctor *doctor, const json_t *attachment)
{
	const char *netns = dysco_json_text(attachment, "netns");
	const char *ifname = dysco_json_text(attachment, "interface");
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	snprintf(doctor->subject, sizeof(doctor->subject), "%s%.40s%s%.40s",
		 netns[0] ? "netns " : "", netns, netns[0] ? " " : "", ifname);
	if (netns[0] != '\0' && enter(netns) != 0) {
		struct dysco_finding gone = {DYSCO_LEVEL_ERROR, "namespace",
					     "an attachment without its namespace carries nothing",
					     "", ""};

		snprintf(gone.what, sizeof(gone.what), "cannot enter the network namespace");
		snprintf(gone.mend, sizeof(gone.mend), "dysco detach %s netns %s", ifname, netns);
		dysco_doctor_found(doctor, &gone);
	} else {
		snprintf(doctor->netns, sizeof(doctor->netns), "%s", netns);
		dysco_doctor_interface(doctor, ifname, attachment);
		dysco_doctor_namespace(doctor, attachment);
	}
	doctor->netns[0] = '\0';
	doctor->subject[0] = '\0';
	if (home >= 0) {
		(void)setns(home, CLONE_NEWNET);
		close(home);
	}
}

static void ask_agent(struct dysco_doctor *doctor, char *trouble, size_t trouble_bytes)
{
	doctor->status = dysco_client_ask(doctor->cli->socket, "status", trouble, trouble_bytes);
	if (doctor->status) {
		doctor->boxes =
		    dysco_client_ask(doctor->cli->socket, "box list", trouble, trouble_bytes);
	}
}

static void print_result(const struct dysco_doctor *doctor)
{
	if (doctor->cli->json) {
		json_t *document =
		    json_pack("{s:O,s:i}", "checks", doctor->checks, "findings", doctor->findings);

		json_dumpf(document, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(document);
		return;
	}
	printf("\n%zu checks, %d finding%s\n", json_array_size(doctor->checks), doctor->findings,
	       doctor->findings == 1 ? "" : "s");
}

enum dysco_exit dysco_run_doctor(const struct dysco_cli *cli, int argc, char **argv)
{
	struct dysco_doctor doctor = {.cli = cli, .checks = json_array()};
	char trouble[256] = "";
	size_t index;
	const json_t *attachment;

	ask_agent(&doctor, trouble, sizeof(trouble));
	dysco_doctor_machine(&doctor);
	dysco_doctor_agent(&doctor, trouble);
	json_array_foreach(json_object_get(doctor.status, "attachments"), index, attachment)
	{
		look_at_attachment(&doctor, attachment);
	}
	for (int i = 1; i < argc; i++) {
		json_t *wanted = json_pack("{s:s}", "interface", argv[i]);

		look_at_attachment(&doctor, wanted);
		json_decref(wanted);
	}
	print_result(&doctor);
	json_decref(doctor.checks);
	json_decref(doctor.status);
	json_decref(doctor.boxes);
	return doctor.findings > 0 ? DYSCO_EXIT_FINDINGS : DYSCO_EXIT_DONE;
}
