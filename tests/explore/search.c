// SPDX-License-Identifier: BSD-2-Clause
/*
 * The search: breadth first, all worlds of one cost before those of the next,
 * so that each is met at its least cost and a failure has a shortest trace.
 * Of a world that was met only a fingerprint and the way to it are kept.
 */
#include "tests/explore/explore.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NO_PARENT UINT32_MAX

/* ---- worlds met ---- */

struct met {
	uint64_t fingerprint; /* 0: empty */
	uint32_t parent;
	uint8_t kind, a, cost, b;
};

struct table {
	struct met *at;
	uint32_t mask;
	uint64_t room; /* entries it may have */
};

static bool table_open(struct table *t, uint64_t states)
{
	uint64_t size = 1024;

	while (size * 3 / 4 < states) {
		size *= 2;
	}
	t->mask = (uint32_t)(size - 1);
	t->room = size * 3 / 4;
	t->at = mmap(NULL, size * sizeof(*t->at), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return t->at != MAP_FAILED;
}

static void table_close(struct table *t)
{
	munmap(t->at, ((uint64_t)t->mask + 1) * sizeof(*t->at));
}

/* true: it is new, and at *place. */
static bool meet(struct table *t, uint64_t fingerprint, uint32_t parent,
		 const struct xp_choice *choice, uint32_t *place)
{
	uint32_t at = (uint32_t)(fingerprint >> 8) & t->mask;

	while (t->at[at].fingerprint) {
		if (t->at[at].fingerprint == fingerprint) {
			return false;
		}
		at = (at + 1) & t->mask;
	}
	t->at[at] =
	    (struct met){fingerprint, parent, choice->kind, choice->a, choice->cost, choice->b};
	*place = at;
	return true;
}

static void path_to(const struct table *t, uint32_t place, struct xp_trace *trace)
{
	uint32_t first = trace->count;

	for (; t->at[place].parent != NO_PARENT; place = t->at[place].parent) {
		const struct met *m = &t->at[place];

		xp_trace_add(trace, (struct xp_choice){m->kind, m->a, m->cost, m->b});
	}
	for (uint32_t i = first, j = trace->count; i + 1 < j; i++) {
		struct xp_choice swap = trace->list[--j];

		trace->list[j] = trace->list[i];
		trace->list[i] = swap;
	}
}

/* ---- worlds to go on from ---- */

enum { CHUNK = 1 << 20 };

struct chunk {
	struct chunk *next;
	uint32_t used, read;
	uint8_t bytes[CHUNK];
};

struct line {
	struct chunk *first, *last;
	uint64_t count;
};

struct waiting {
	uint32_t place, depth;
};

static bool line_put(struct line *line, const struct xp_world *w, const struct waiting *waiting)
{
	uint32_t flying = (uint32_t)(w->n_flying * sizeof(w->flying[0]));
	uint32_t delayed = (uint32_t)(w->n_delayed * sizeof(w->delayed[0]));
	uint32_t head = (uint32_t)offsetof(struct xp_world, flying);
	uint32_t needs = (uint32_t)sizeof(*waiting) + head + flying + delayed;
	uint8_t *at;

	if (!line->last || line->last->used + needs > CHUNK) {
		struct chunk *chunk = malloc(sizeof(*chunk));

		if (!chunk) {
			return false;
		}
		chunk->next = NULL;
		chunk->used = chunk->read = 0;
		if (line->last) {
			line->last->next = chunk;
		} else {
			line->first = chunk;
		}
		line->last = chunk;
	}
	at = line->last->bytes + line->last->used;
	memcpy(at, waiting, sizeof(*waiting));
	memcpy(at + sizeof(*waiting), w, head);
	memcpy(at + sizeof(*waiting) + head, w->flying, flying);
	memcpy(at + sizeof(*waiting) + head + flying, w->delayed, delayed);
	line->last->used += needs;
	line->count++;
	return true;
}

static bool line_get(struct line *line, struct xp_world *w, struct waiting *waiting)
{
	uint32_t head = (uint32_t)offsetof(struct xp_world, flying);
	struct chunk *chunk = line->first;
	const uint8_t *at;

	if (line->count == 0) {
		return false;
	}
	if (chunk->read == chunk->used) {
		line->first = chunk->next;
		free(chunk);
		chunk = line->first;
	}
	at = chunk->bytes + chunk->read;
	memset(w, 0, sizeof(*w));
	memcpy(waiting, at, sizeof(*waiting));
	at += sizeof(*waiting);
	memcpy(w, at, head);
	at += head;
	memcpy(w->flying, at, w->n_flying * sizeof(w->flying[0]));
	at += w->n_flying * sizeof(w->flying[0]);
	memcpy(w->delayed, at, w->n_delayed * sizeof(w->delayed[0]));
	at += w->n_delayed * sizeof(w->delayed[0]);
	chunk->read = (uint32_t)(at - chunk->bytes);
	line->count--;
	return true;
}

static void line_close(struct line *line)
{
	while (line->first) {
		struct chunk *next = line->first->next;

		free(line->first);
		line->first = next;
	}
	memset(line, 0, sizeof(*line));
}

/* ---- the search ---- */

/*
 * Worlds completed of each cost before it is one in so many: what goes wrong
 * early, in the few worlds of a handshake, would hardly be among the others.
 */
#define FIRST_COMPLETED 3000

struct search {
	struct xp *x;
	const struct xp_limits *limits;
	struct xp_result *result;
	struct xp_trace *trace;
	struct table table;
	struct line now, next; /* of this cost, of the next */
	uint64_t met[2];       /* worlds of this cost, of the next, since this cost was begun */
	double began;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void failed_at(struct search *s, uint32_t place, const struct xp_choice *last)
{
	s->result->failed = true;
	memcpy(s->result->failure, s->x->failure, sizeof(s->result->failure));
	path_to(&s->table, place, s->trace);
	if (last) {
		xp_trace_add(s->trace, *last);
	}
}

static void add_walked(struct search *s)
{
	for (uint32_t i = 0; i < s->x->walked.count; i++) {
		xp_trace_add(s->trace, s->x->walked.list[i]);
	}
}

/* s->x->w was met for the first time: kept to go on from, and sometimes completed. */
static void found(struct search *s, uint32_t place, uint32_t depth, bool dearer)
{
	struct waiting waiting = {place, depth};
	struct xp_world w = s->x->w;

	s->result->states++;
	s->result->depth = depth > s->result->depth ? depth : s->result->depth;
	if (!line_put(dearer ? &s->next : &s->now, &w, &waiting)) {
		s->x->cut = true;
	}
	if (s->limits->sample &&
	    (s->met[dearer]++ < FIRST_COMPLETED || s->result->states % s->limits->sample == 0)) {
		s->result->completions++;
		if (!xp_complete(s->x)) {
			failed_at(s, place, NULL);
			add_walked(s);
		}
		s->x->w = w;
	}
}

static void expand(struct search *s, const struct xp_world *w, const struct waiting *from)
{
	struct xp_choice list[XP_CHOICES];
	struct xp *x = s->x;
	uint32_t n, place;

	x->w = *w;
	n = xp_choices(x, list);
	if (x->pressing == 0) {
		s->result->ends++;
		xp_check_end(x);
		if (x->failed) {
			failed_at(s, from->place, NULL);
			return;
		}
	}
	for (uint32_t i = 0; i < n && !x->failed; i++) {
		x->w = *w;
		s->result->transitions++;
		if (!xp_take(x, &list[i])) {
			if (x->failed) {
				failed_at(s, from->place, &list[i]);
			}
			s->result->exhausted = s->result->exhausted && !x->cut;
			x->cut = false;
			continue;
		}
		if (meet(&s->table, xp_fingerprint(x), from->place, &list[i], &place)) {
			found(s, place, from->depth + 1, list[i].cost < XP_FREE);
		}
	}
}

static bool within(const struct search *s)
{
	if (s->result->states >= s->limits->states || s->result->states >= s->table.room ||
	    s->x->pool.used >= s->limits->bytes) {
		return false;
	}
	return s->result->transitions % 64 != 0 || seconds() - s->began < s->limits->seconds;
}

static void explore(struct search *s)
{
	struct xp_world w;
	struct waiting from;

	for (uint8_t total = 0; s->now.count; total++) {
		while (!s->x->failed && within(s) && line_get(&s->now, &w, &from)) {
			expand(s, &w, &from);
		}
		if (s->x->failed || s->now.count) {
			s->result->exhausted = false;
			return;
		}
		s->result->total = total;
		line_close(&s->now);
		s->now = s->next;
		memset(&s->next, 0, sizeof(s->next));
		s->met[0] = s->met[1];
		s->met[1] = 0;
	}
	s->result->total = s->x->total;
}

/* Deep at once, where the search comes last: disturbed rarely, or often. Half of the time at most.
 */
static void walk(struct search *s)
{
	double until = s->began + s->limits->seconds / 2;

	for (uint32_t i = 0; i < s->limits->walks && !s->x->failed && seconds() < until; i++) {
		xp_begin(s->x);
		xp_walk(s->x, (i + 1) * 0x9e3779b97f4a7c15ull, i % 4 * 8);
		s->result->walks++;
		s->x->cut = false;
	}
	if (s->x->failed) {
		s->result->failed = true;
		memcpy(s->result->failure, s->x->failure, sizeof(s->result->failure));
		add_walked(s);
	}
}

void xp_search(struct xp *x, const struct xp_limits *limits, struct xp_result *result,
	       struct xp_trace *trace)
{
	struct search s = {.x = x, .limits = limits, .result = result, .trace = trace};
	struct xp_choice none = {0};
	uint32_t place;

	memset(result, 0, sizeof(*result));
	result->total = 0xff;
	result->exhausted = true;
	s.began = seconds();
	if (!table_open(&s.table, limits->states)) {
		result->exhausted = false;
		return;
	}
	walk(&s);
	if (!x->failed) {
		xp_begin(x);
	}
	if (!x->failed && meet(&s.table, xp_fingerprint(x), NO_PARENT, &none, &place)) {
		found(&s, place, 0, false);
		explore(&s);
	}
	if (x->failed && !result->failed) {
		result->failed = true;
		memcpy(result->failure, x->failure, sizeof(result->failure));
	}
	result->seconds = seconds() - s.began;
	result->core_calls = x->core_calls;
	result->components = x->pool.count;
	line_close(&s.now);
	line_close(&s.next);
	table_close(&s.table);
}
