// SPDX-License-Identifier: BSD-2-Clause
/*
 * explore: all configurations, or those named, each in a process of its own.
 * The last line sums up for a machine.
 */
#include "tests/explore/explore.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct job {
	const struct xp_config *config;
	struct xp_result result;
	struct xp_coverage coverage;
	pid_t pid;
};

struct run {
	struct job *jobs;
	size_t n_jobs;
	int parallel, total; /* total < 0: the configuration's own */
	struct xp_limits limits;
	const char *save; /* folder for traces of failures */
	bool list, replay, follow, talk;
};

/* What `make explore` takes, and `make explore-full`; for each configuration. */
static const struct xp_limits short_run = {12000000, 1ull << 30, 2.6, 1000, 1500};
static const struct xp_limits full_run = {90000000, 2ull << 30, 280, 1000, 100000};

static void usage(void)
{
	puts("explore [--list] [--short | --full] [--states N] [--seconds S] [--memory MB] "
	     "[--total N] [--sample N] [--walks N]\n"
	     "        [--jobs N] [--save DIR] [CONFIGURATION...]\n"
	     "explore --replay | --follow [--talk] FILE...");
}

/* ---- one configuration ---- */

static void report_failure(struct xp *x, const struct run *run, struct xp_trace *trace)
{
	char path[512];

	xp_shrink(x, trace);
	printf("\n%s: shortest trace found\n", x->config->name);
	x->talk = true;
	xp_replay(x, trace);
	if (run->save) {
		snprintf(path, sizeof(path), "%s/%s.trace", run->save, x->config->name);
		printf("kept in %s\n", xp_trace_write(x, trace, path) ? path : "no file");
	}
	fflush(stdout);
}

static void work(const struct run *run, struct job *job)
{
	struct xp_trace trace = {0};
	struct xp *x = calloc(1, sizeof(*x));

	if (!x || !xp_open(x, job->config)) {
		exit(2);
	}
	if (run->total >= 0) {
		x->total = (uint8_t)run->total;
		for (int i = 0; i < XP_FREE; i++) {
			x->budget[i] = x->budget[i] ? x->total : 0;
		}
	}
	x->coverage = &job->coverage;
	xp_search(x, &run->limits, &job->result, &trace);
	if (job->result.failed) {
		report_failure(x, run, &trace);
	}
	free(trace.list);
	xp_close(x);
	free(x);
}

/* ---- all of them ---- */

static void report(const struct job *job)
{
	const struct xp_result *r = &job->result;

	printf("%-20s %11llu %12llu %6u %8llu %8llu %8llu %5d %-4s %7.1f  %s\n", job->config->name,
	       (unsigned long long)r->states, (unsigned long long)r->transitions, r->depth,
	       (unsigned long long)r->ends, (unsigned long long)r->completions,
	       (unsigned long long)r->walks, r->total == 0xff ? -1 : r->total,
	       r->exhausted ? "all" : "part", r->seconds, r->failed ? r->failure : "");
	fflush(stdout);
}

static void reap(struct run *run)
{
	int status;
	pid_t pid = wait(&status);

	for (size_t i = 0; i < run->n_jobs; i++) {
		struct job *job = &run->jobs[i];

		if (job->pid == pid) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
				job->result.failed = true;
				snprintf(job->result.failure, sizeof(job->result.failure),
					 "the explorer died, status %d", status);
			}
			report(job);
		}
	}
}

static void run_all(struct run *run)
{
	int running = 0;
	pid_t pid;

	printf("%-20s %11s %12s %6s %8s %8s %8s %5s %-4s %7s  %s\n", "configuration", "states",
	       "transitions", "depth", "ends", "finished", "walks", "cost", "", "seconds",
	       "violation");
	fflush(stdout);
	for (size_t i = 0; i < run->n_jobs; i++) {
		if (running == run->parallel) {
			reap(run);
			running--;
		}
		pid = fork();
		if (pid == 0) {
			work(run, &run->jobs[i]);
			exit(0);
		}
		run->jobs[i].pid = pid;
		running += pid > 0;
	}
	while (running-- > 0) {
		reap(run);
	}
}

static void sum_up_coverage(const struct run *run)
{
	static struct xp_coverage all;
	uint64_t *sum = &all.met[0][0][0];

	for (size_t i = 0; i < run->n_jobs; i++) {
		const uint64_t *one = &run->jobs[i].coverage.met[0][0][0];

		for (size_t j = 0; j < sizeof(all) / sizeof(*sum); j++) {
			sum[j] += one[j];
		}
	}
	xp_cover_report(&all);
}

static int sum_up(const struct run *run)
{
	unsigned long long states = 0, transitions = 0, exhausted = 0, violations = 0;

	for (size_t i = 0; i < run->n_jobs; i++) {
		const struct xp_result *r = &run->jobs[i].result;

		states += r->states;
		transitions += r->transitions;
		exhausted += r->exhausted;
		violations += r->failed;
	}
	printf("{\"configurations\":%zu,\"exhausted\":%llu,\"states\":%llu,\"transitions\":%llu,"
	       "\"violations\":%llu}\n",
	       run->n_jobs, exhausted, states, transitions, violations);
	return violations ? 1 : 0;
}

/* ---- traces kept ---- */

static bool replay(const char *path, bool talk)
{
	struct xp_trace trace = {0};
	const struct xp_config *config = xp_trace_read(&trace, path);
	struct xp *x = calloc(1, sizeof(*x));
	bool good;

	if (!config || !x || !xp_open(x, config)) {
		printf("%s: no trace\n", path);
		free(x);
		return false;
	}
	memset(x->budget, UINT8_MAX, sizeof(x->budget));
	x->total = UINT8_MAX;
	x->talk = talk;
	xp_replay(x, &trace);
	good = !x->failed && !x->cut;
	printf("%s: %s\n", path, x->failed ? x->failure : "no violation");
	free(trace.list);
	xp_close(x);
	free(x);
	return good;
}

/* A trail of a model (follow.c). */
static bool follow(const char *path, bool talk)
{
	const struct xp_config *config = xp_follow_config(path);
	struct xp *x = calloc(1, sizeof(*x));
	uint32_t taken, steps;
	bool good;

	if (!config || !x || !xp_open(x, config)) {
		printf("%s: no trail\n", path);
		free(x);
		return false;
	}
	x->talk = talk;
	good = xp_follow(x, path, &taken, &steps) && !x->failed;
	printf("%s: %u of %u steps, %s\n", path, taken, steps,
	       x->failed ? x->failure : "no violation");
	xp_close(x);
	free(x);
	return good;
}

static int replay_all(char **paths, bool talk, bool trails)
{
	int passed = 0, failed = 0;

	for (; *paths; paths++) {
		if (trails ? follow(*paths, talk) : replay(*paths, talk)) {
			passed++;
		} else {
			failed++;
		}
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}

static void choose(struct run *run, char **names)
{
	for (size_t i = 0; i < xp_n_configs; i++) {
		bool named = !*names;

		for (char **name = names; *name; name++) {
			named = named || strcmp(*name, xp_configs[i].name) == 0;
		}
		if (named) {
			run->jobs[run->n_jobs++].config = &xp_configs[i];
		}
		if (run->list) {
			printf("%-20s %s\n", xp_configs[i].name, xp_configs[i].text);
		}
	}
}

enum {
	OPT_LIST = 1,
	OPT_STATES,
	OPT_SECONDS,
	OPT_MEMORY,
	OPT_TOTAL,
	OPT_SAMPLE,
	OPT_WALKS,
	OPT_JOBS,
	OPT_SAVE,
	OPT_REPLAY,
	OPT_FOLLOW,
	OPT_TALK,
	OPT_SHORT,
	OPT_FULL
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"list", no_argument, NULL, OPT_LIST},
	    {"short", no_argument, NULL, OPT_SHORT},
	    {"full", no_argument, NULL, OPT_FULL},
	    {"states", required_argument, NULL, OPT_STATES},
	    {"seconds", required_argument, NULL, OPT_SECONDS},
	    {"memory", required_argument, NULL, OPT_MEMORY},
	    {"total", required_argument, NULL, OPT_TOTAL},
	    {"sample", required_argument, NULL, OPT_SAMPLE},
	    {"walks", required_argument, NULL, OPT_WALKS},
	    {"jobs", required_argument, NULL, OPT_JOBS},
	    {"save", required_argument, NULL, OPT_SAVE},
	    {"replay", no_argument, NULL, OPT_REPLAY},
	    {"follow", no_argument, NULL, OPT_FOLLOW},
	    {"talk", no_argument, NULL, OPT_TALK},
	    {0},
	};
	struct run run = {.parallel = 1, .total = -1, .limits = short_run};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPT_LIST:
			run.list = true;
			break;
		case OPT_SHORT:
			run.limits = short_run;
			break;
		case OPT_FULL:
			run.limits = full_run;
			break;
		case OPT_STATES:
			run.limits.states = strtoull(optarg, NULL, 10);
			break;
		case OPT_SECONDS:
			run.limits.seconds = strtod(optarg, NULL);
			break;
		case OPT_MEMORY:
			run.limits.bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case OPT_TOTAL:
			run.total = (int)strtol(optarg, NULL, 10);
			break;
		case OPT_SAMPLE:
			run.limits.sample = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case OPT_WALKS:
			run.limits.walks = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case OPT_JOBS:
			run.parallel = (int)strtol(optarg, NULL, 10);
			break;
		case OPT_SAVE:
			run.save = optarg;
			break;
		case OPT_FOLLOW:
			run.follow = true;
			break;
		case OPT_REPLAY:
			run.replay = true;
			break;
		case OPT_TALK:
			run.talk = true;
			break;
		default:
			usage();
			return 2;
		}
	}
	if (run.replay || run.follow) {
		return replay_all(argv + optind, run.talk, run.follow);
	}
	run.jobs = mmap(NULL, xp_n_configs * sizeof(*run.jobs), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.jobs == MAP_FAILED) {
		return 2;
	}
	choose(&run, argv + optind);
	if (run.list) {
		return 0;
	}
	run_all(&run);
	if (run.n_jobs == xp_n_configs) {
		sum_up_coverage(&run);
	}
	return sum_up(&run);
}
