/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about changes of sessions: one, a dry run, a job, all jobs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/show.h"

#define BAR 30 /* columns */

enum dysco_exit dysco_job_exit(const json_t *job)
{
	return dysco_json_count(job, "failed") > 0 || dysco_json_count(job, "skipped") > 0 ||
		       strcmp(dysco_json_text(job, "state"), "aborted") == 0
		   ? DYSCO_EXIT_FINDINGS
		   : DYSCO_EXIT_DONE;
}

static json_int_t sessions_over(const json_t *job)
{
	return dysco_json_count(job, "total") - dysco_json_count(job, "pending") -
	       dysco_json_count(job, "running");
}

void dysco_show_progress(const json_t *job)
{
	json_int_t total = dysco_json_count(job, "total"), over = sessions_over(job);
	int filled = total > 0 ? (int)(over * BAR / total) : 0;

	if (!isatty(STDOUT_FILENO)) {
		return;
	}
	printf("\r\033[K");
	if (job) {
		printf("[%.*s%.*s] %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT
		       "  %" JSON_INTEGER_FORMAT " failed  %s",
		       filled, "##############################", BAR - filled,
		       "..............................", over, total,
		       dysco_json_count(job, "failed"), dysco_json_text(job, "state"));
	}
	fflush(stdout);
}

/* ---- sessions, causes ---- */

static void add_session(struct dysco_text_table *table, const json_t *session)
{
	const char *result = dysco_json_text(session, "result");
	const char *cause = dysco_json_text(session, "cause");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];

	dysco_table_add(table, DYSCO_CYAN, "%.*s", DYSCO_ID_SHOWN, dysco_json_text(session, "id"));
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_show_tuple(tuple, json_object_get(session, "session")));
	dysco_cell_text(table, session, "host");
	dysco_table_add(table, cause[0] ? DYSCO_YELLOW : DYSCO_GREEN, "%s%s%s", result,
			cause[0] ? ": " : "", cause);
	dysco_cell_list(table, session, "from", " ");
	dysco_cell_list(table, session, "to", " ");
}

static void show_causes(const json_t *answer)
{
	size_t index;
	const json_t *cause;

	json_array_foreach(json_object_get(answer, "causes"), index, cause)
	{
		printf("  %" JSON_INTEGER_FORMAT " %s  %s%s%s  %s\n",
		       dysco_json_count(cause, "count"), dysco_json_text(cause, "result"),
		       dysco_colour(DYSCO_YELLOW), dysco_json_text(cause, "cause"),
		       dysco_colour_off(), dysco_json_text(cause, "message"));
	}
}

static void show_dry_run(const json_t *answer)
{
	dysco_show_rows("ID SESSION HOST RESULT FROM TO", json_object_get(answer, "sessions"),
			add_session, "no session is concerned");
	printf("%" JSON_INTEGER_FORMAT " would be changed, %" JSON_INTEGER_FORMAT
	       " skipped, %" JSON_INTEGER_FORMAT " are so already\n",
	       dysco_json_count(answer, "would"), dysco_json_count(answer, "skipped"),
	       dysco_json_count(answer, "unchanged"));
	show_causes(answer);
}

enum dysco_exit dysco_show_job(const struct dysco_cli *cli, const json_t *answer)
{
	static const char *const counts[] = {"done", "failed",	"skipped", "unchanged",
					     "gone", "pending", "running", "retried"};

	(void)cli;
	printf("%sjob %" JSON_INTEGER_FORMAT "%s  %s  %s: %" JSON_INTEGER_FORMAT
	       " session%s, %.1f s\n",
	       dysco_colour(DYSCO_BOLD), dysco_json_count(answer, "job"), dysco_colour_off(),
	       dysco_json_text(answer, "what"), dysco_json_text(answer, "state"),
	       dysco_json_count(answer, "total"), dysco_json_count(answer, "total") == 1 ? "" : "s",
	       dysco_json_number(answer, "took_s"));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (i == 0 || dysco_json_count(answer, counts[i]) > 0) {
			printf("  %" JSON_INTEGER_FORMAT " %s\n",
			       dysco_json_count(answer, counts[i]), counts[i]);
		}
	}
	show_causes(answer);
	return dysco_job_exit(answer);
}

static void add_job(struct dysco_text_table *table, const json_t *job)
{
	static const char *const counts[] = {"total", "done", "failed", "skipped", "pending"};
	char text[DYSCO_QUANTITY_BYTES];

	dysco_cell_count(table, job, "job");
	dysco_cell_text(table, job, "state");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		dysco_cell_count(table, job, counts[i]);
	}
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_text_seconds(text, dysco_json_number(job, "took_s")));
	dysco_cell_text(table, job, "what");
}

enum dysco_exit dysco_show_jobs(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	dysco_show_rows("JOB STATE TOTAL DONE FAILED SKIPPED PENDING TIME WHAT",
			json_object_get(answer, "jobs"), add_job, "no jobs");
	return DYSCO_EXIT_DONE;
}

/* The box drains, but not from those. */
void dysco_warn_of_policies(const json_t *answer)
{
	char *names;

	if (json_array_size(json_object_get(answer, "policies")) == 0) {
		return;
	}
	names = dysco_show_list(json_object_get(answer, "policies"), ", ");
	fprintf(stderr,
		"dysco: these policies name the box itself and still send new sessions "
		"there: %s\n",
		names);
	free(names);
}

enum dysco_exit dysco_show_change(const struct dysco_cli *cli, const json_t *answer)
{
	dysco_warn_of_policies(answer);
	if (dysco_json_true(answer, "dry_run")) {
		show_dry_run(answer);
	} else if (json_object_get(answer, "state")) {
		return dysco_show_job(cli, answer);
	} else if (json_object_get(answer, "job")) {
		printf("job %" JSON_INTEGER_FORMAT "\n", dysco_json_count(answer, "job"));
	} else if (json_object_get(answer, "chain")) {
		return dysco_show_reconfigured(cli, answer);
	}
	return dysco_job_exit(answer);
}
