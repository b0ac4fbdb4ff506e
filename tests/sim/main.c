// SPDX-License-Identifier: BSD-2-Clause
/*
 * The simulator's program: many runs, each from its seed, on several processes;
 * what they contained, and of a failure the seed that replays it.
 */
#include "tests/sim/mutant.h"
#include "tests/sim/world.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, REPEAT_EACH = 64 };

struct job {
	struct sim_tally tally;
	uint64_t failed; /* runs */
	uint64_t failed_seed;
	char failure[512];
};

struct options {
	uint64_t from, to;
	unsigned int jobs, mutant;
	double budget_s;
	bool trace, quiet, keep_going;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add_run(struct sim_tally *tally, const struct sim_world *w)
{
	tally->runs++;
	for (int i = 0; i < SIM_FEATURE_COUNT; i++) {
		tally->features[i] += w->features[i];
	}
	for (int i = 0; i < SIM_OUTCOME_COUNT; i++) {
		tally->outcomes[i] += w->outcomes[i];
	}
	for (uint8_t a = 0; a < w->n_agents; a++) {
		const struct sim_agent *agent = &w->agents[a];
		struct dysco_core_stats stats;

		if (!agent->alive) {
			continue; /* the run has failed while it was down */
		}
		dysco_core_stats(&agent->core, &stats);
		for (int i = 0; i < DYSCO_REASON_COUNT; i++) {
			tally->drops[i] += stats.drops[i] + agent->dp.stats.drops[i];
		}
		for (int i = 0; i < DYSCO_COUNTER_COUNT; i++) {
			tally->counters[i] += stats.counters[i] + agent->dp.stats.counters[i];
		}
	}
}

static void add_tally(struct sim_tally *sum, const struct sim_tally *tally)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)tally;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
		to[i] += from[i];
	}
}

/* One seed, now and then twice. */
static bool run_seed(struct sim_world *w, uint64_t seed, const struct options *o, struct job *job)
{
	uint64_t hash;

	if (sim_run(w, seed, (uint8_t)o->mutant, o->trace) && seed % REPEAT_EACH == 0) {
		hash = w->hash;
		job->tally.repeated++;
		if (sim_run(w, seed, (uint8_t)o->mutant, false) && w->hash != hash) {
			sim_fail(w, "the same seed gives another run");
		}
	}
	add_run(&job->tally, w);
	if (w->failed && o->keep_going) {
		printf("seed %llu: %s\n", (unsigned long long)seed, w->failure);
	}
	if (w->failed && job->failed++ == 0) {
		job->failed_seed = seed;
		memcpy(job->failure, w->failure, sizeof(job->failure));
	}
	return !w->failed;
}

static void work(struct job *jobs, unsigned int me, const struct options *o)
{
	struct sim_world *w = calloc(1, sizeof(*w));
	double end_s = now_s() + o->budget_s;

	if (!w) {
		exit(2);
	}
	for (uint64_t seed = o->from + me; seed <= o->to; seed += o->jobs) {
		if ((!run_seed(w, seed, o, &jobs[me]) && !o->keep_going) ||
		    (o->budget_s > 0 && now_s() > end_s)) {
			break;
		}
	}
	free(w);
}

/* False: a process died. */
static bool work_all(struct job *jobs, const struct options *o)
{
	bool fine = true;
	int status;

	if (o->jobs == 1) {
		work(jobs, 0, o);
		return true;
	}
	for (unsigned int i = 0; i < o->jobs; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			work(jobs, i, o);
			fflush(stdout);
			_exit(0);
		}
		fine = fine && pid > 0;
	}
	while (wait(&status) > 0) {
		fine = fine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	return fine;
}

/* ---- the report ---- */

static void line(uint64_t n, const char *text)
{
	printf("  %12llu  %s\n", (unsigned long long)n, text);
}

static void print_tally(const struct sim_tally *t)
{
	printf("runs with:\n");
#define X(sym, text) line(t->features[SIM_HAS_##sym], text);
	SIM_FEATURES(X)
#undef X
	printf("in all runs:\n");
#define X(sym, text) line(t->outcomes[SIM_N_##sym], text);
	SIM_OUTCOMES(X)
#undef X
	printf("counters:\n");
#define X(sym, name, text) line(t->counters[DYSCO_COUNTER_##sym], name);
	DYSCO_COUNTERS(X)
#undef X
	printf("drops:\n");
#define X(sym, num, name, text) line(t->drops[DYSCO_REASON_##sym], name);
	DYSCO_REASONS(X)
#undef X
}

static int report(const struct job *jobs, const struct options *o, const char *program,
		  double took_s)
{
	static struct sim_tally sum;
	const struct job *failed = NULL;

	for (unsigned int i = 0; i < o->jobs; i++) {
		add_tally(&sum, &jobs[i].tally);
		if (jobs[i].failed && (!failed || jobs[i].failed_seed < failed->failed_seed)) {
			failed = &jobs[i];
		}
	}
	if (!o->quiet && !o->trace) {
		print_tally(&sum);
	}
	printf("%llu runs (%llu of them twice), %llu packets, %llu events, %.1f s\n",
	       (unsigned long long)sum.runs, (unsigned long long)sum.repeated,
	       (unsigned long long)sum.outcomes[SIM_N_PACKETS],
	       (unsigned long long)sum.outcomes[SIM_N_EVENTS], took_s);
	if (failed) {
		printf("FAILED at seed %llu: %s\nreplay: %s --seed %llu --trace",
		       (unsigned long long)failed->failed_seed, failed->failure, program,
		       (unsigned long long)failed->failed_seed);
		printf(o->mutant ? " --mutant %u\n" : "\n", o->mutant);
	}
	return failed ? 1 : 0;
}

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--seeds FROM-TO | --seed N] [--trace] [--quiet] [--jobs N]\n"
		"       [--budget SECONDS] [--keep-going] [--mutant N] [--list-mutants]\n",
		program);
	return 2;
}

static int list_mutants(void)
{
#define X(sym, text) printf("%d %s: %s\n", SIM_MUTANT_##sym, #sym, text);
	SIM_MUTANTS(X)
#undef X
	return 0;
}

static bool read_range(struct options *o, const char *text)
{
	char *rest;

	o->from = strtoull(text, &rest, 0);
	o->to = *rest == '-' ? strtoull(rest + 1, &rest, 0) : o->from;
	return *rest == 0 && rest != text && o->from <= o->to;
}

int main(int argc, char **argv)
{
	static const struct option words[] = {
	    {"seeds", required_argument, NULL, 's'},  {"seed", required_argument, NULL, 's'},
	    {"trace", no_argument, NULL, 't'},	      {"quiet", no_argument, NULL, 'q'},
	    {"jobs", required_argument, NULL, 'j'},   {"budget", required_argument, NULL, 'b'},
	    {"mutant", required_argument, NULL, 'm'}, {"list-mutants", no_argument, NULL, 'l'},
	    {"keep-going", no_argument, NULL, 'k'},   {NULL, 0, NULL, 0},
	};
	struct options o = {.from = 1, .to = 100000, .jobs = 1};
	struct job *jobs;
	double start_s = now_s();
	int word;
	bool fine = true;

	while (fine && (word = getopt_long(argc, argv, "", words, NULL)) != -1) {
		switch (word) {
		case 's':
			fine = read_range(&o, optarg);
			break;
		case 't':
			o.trace = true;
			break;
		case 'q':
			o.quiet = true;
			break;
		case 'j':
			o.jobs = (unsigned int)strtoul(optarg, NULL, 0);
			fine = o.jobs >= 1 && o.jobs <= JOBS_MAX;
			break;
		case 'b':
			o.budget_s = strtod(optarg, NULL);
			break;
		case 'm':
			o.mutant = (unsigned int)strtoul(optarg, NULL, 0);
			fine = o.mutant < SIM_MUTANT_COUNT;
			break;
		case 'k':
			o.keep_going = true;
			break;
		case 'l':
			return list_mutants();
		default:
			fine = false;
			break;
		}
	}
	if (!fine || optind != argc) {
		return usage(argv[0]);
	}
	jobs = mmap(NULL, o.jobs * sizeof(*jobs), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs == MAP_FAILED) {
		return 2;
	}
	if (!work_all(jobs, &o)) {
		fprintf(stderr, "a process of the simulator died\n");
		return 2;
	}
	return report(jobs, &o, argv[0], now_s() - start_s);
}
