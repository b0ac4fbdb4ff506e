/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line `dysco`: what its files share. A command either goes to the
 * agent as one line (docs/socket.md), and `show` prints the answer for people,
 * or `run` does it here (doctor, keygen, lab).
 */
#ifndef DYSCO_CLI_CLI_H
#define DYSCO_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>

#define DYSCO_SOCKET_DEFAULT "/run/dysco/dysco.sock"
#define DYSCO_PIN_DEFAULT    "/sys/fs/bpf/dysco"

enum dysco_exit {
	DYSCO_EXIT_DONE = 0,
	DYSCO_EXIT_REFUSED = 1, /* the agent answered with an error */
	DYSCO_EXIT_USAGE = 2,
	DYSCO_EXIT_NO_AGENT = 3,
	DYSCO_EXIT_FINDINGS = 4, /* done, and there is something to look at */
	DYSCO_EXIT_INTERNAL = 5,
};

struct dysco_cli {
	const char *socket;
	bool json;
	bool all;  /* stats: zero counts too */
	bool wait; /* for the end of a job */
};

struct dysco_command {
	const char *words;     /* "policy add" */
	const char *arguments; /* for people */
	const char *summary;
	int min_arguments;
	/* Prints an answer without `error`; NULL: a change, nothing to print. */
	enum dysco_exit (*show)(const struct dysco_cli *cli, const json_t *answer);
	/* Commands that the agent does not answer; argv[0] is the command's last word. */
	enum dysco_exit (*run)(const struct dysco_cli *cli, int argc, char **argv);
};

extern const struct dysco_command dysco_commands[]; /* ends with words == NULL */

/* cli/show*.c */
enum dysco_exit dysco_show_status(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_boxes(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_types(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_stats(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_metrics(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_event(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_policies(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_policy_test(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_sessions(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_session(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_trace(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_why(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_killed(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_adopted(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_reconfigured(const struct dysco_cli *cli, const json_t *answer);
/* An answer that tells of a job, or of a dry run. */
enum dysco_exit dysco_show_change(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_jobs(const struct dysco_cli *cli, const json_t *answer);
enum dysco_exit dysco_show_job(const struct dysco_cli *cli, const json_t *answer);
/* DONE, or FINDINGS when the job (or dry run) has sessions that are not as wished. */
enum dysco_exit dysco_job_exit(const json_t *job);
/* Of an answer to box drain: policies that still send new sessions there. */
void dysco_warn_of_policies(const json_t *answer);
/* One line on a terminal, written over itself. */
void dysco_show_progress(const json_t *job);
enum dysco_exit dysco_show_detached(const struct dysco_cli *cli, const json_t *answer);

enum dysco_exit dysco_run_doctor(const struct dysco_cli *cli, int argc, char **argv);
enum dysco_exit dysco_run_keygen(const struct dysco_cli *cli, int argc, char **argv);
enum dysco_exit dysco_run_lab(const struct dysco_cli *cli, int argc, char **argv);
enum dysco_exit dysco_run_version(const struct dysco_cli *cli, int argc, char **argv);
enum dysco_exit dysco_run_help(const struct dysco_cli *cli, int argc, char **argv);

/* Says on stderr what is wrong with the way a command was called; returns DYSCO_EXIT_USAGE. */
enum dysco_exit dysco_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Members of answers; absent or of another type: "", 0, false, -1.0. */
const char *dysco_json_text(const json_t *object, const char *member);
json_int_t dysco_json_count(const json_t *object, const char *member);
double dysco_json_number(const json_t *object, const char *member);
bool dysco_json_true(const json_t *object, const char *member);

#endif
