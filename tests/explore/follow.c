// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes the steps of a trail that leads a broken model/twopaths.pml or compose.pml astray
 * (tests/explore/trail writes it), then goes on undisturbed to the end. Attempt i of the model is
 * step i of the script; what the anchors say to each other comes when the trail says what it did
 * to them, and before everything else.
 */
#include "tests/explore/explore.h"

#include <stdio.h>
#include <string.h>

enum { ATTEMPTS = 3, ROUNDS = 300, TIMERS = 8, WAYS = 300, GONE = UINT8_MAX };

struct follow {
	struct xp *x;
	struct dysco_tuple wire[ATTEMPTS][2]
			       [2]; /* outward, of the left and right anchor, by path */
	uint8_t known[ATTEMPTS][2]; /* bits: paths whose wire is there */
	uint8_t state[ATTEMPTS][2]; /* of the anchors, 0: none yet */
	bool copied;		    /* the next packet comes twice */
};

static const struct xp_step *step_of(const struct follow *f, uint8_t i)
{
	return &f->x->config->script[i];
}

/* An attempt is the latest of its left anchor that was asked for. */
static bool is_of(const struct follow *f, uint8_t i)
{
	for (uint8_t later = (uint8_t)(i + 1); later < (uint8_t)ATTEMPTS; later++) {
		if (((f->x->w.scripted >> later) & 1) &&
		    step_of(f, later)->host == step_of(f, i)->host) {
			return false;
		}
	}
	return (f->x->w.scripted >> i) & 1;
}

/* In the order in which an anchor passes them: those of R before its cut have the higher numbers.
 */
static uint8_t stage_of(uint8_t state)
{
	return state >= DYSCO_ATTEMPT_REQUESTED && state <= DYSCO_ATTEMPT_READY
		   ? (uint8_t)(state - DYSCO_ATTEMPT_REQUESTED + 1)
		   : state;
}

static void look_at(struct follow *f, uint8_t i, uint8_t end)
{
	uint8_t host = end ? step_of(f, i)->anchor : step_of(f, i)->host;
	uint8_t role = end ? DYSCO_PART_RIGHT_ANCHOR : DYSCO_PART_LEFT_ANCHOR;
	const struct xp_host *h = xp_host_load(f->x, host);
	bool found = false;

	for (uint8_t k = 1; k < h->dp.table.n_attempts; k++) {
		const struct dysco_attempt *a = &h->dp.attempts[k];

		if (a->role != role) {
			continue;
		}
		found = true;
		f->state[i][end] = stage_of(a->state);
		f->wire[i][end][0] = h->dp.legs[a->old_slot].wire_tuple;
		f->wire[i][end][1] = h->dp.legs[a->new_slot].wire_tuple;
		f->known[i][end] = (uint8_t)(1 | (a->new_slot != DYSCO_NO_SLOT) << 1);
	}
	if (!found && f->state[i][end]) {
		f->state[i][end] = GONE;
	}
}

/* Nobody has asked for it: its old path is a subsession of the session as it began. */
static void look_at_link(struct follow *f, uint8_t i)
{
	uint8_t host = step_of(f, i)->host, slot = xp_summary(f->x, host)->ready;

	if (slot && !f->known[i][0] && step_of(f, i)->ask == XP_ASK_REPLACE &&
	    !step_of(f, i)->then) {
		f->wire[i][0][0] = xp_host_load(f->x, host)->dp.legs[slot].wire_tuple;
		f->known[i][0] = 1;
	}
}

static void look(struct follow *f)
{
	for (uint8_t i = 0; i < ATTEMPTS && step_of(f, i)->ask; i++) {
		for (uint8_t end = 0; end < 2 && is_of(f, i); end++) {
			look_at(f, i, end);
		}
		look_at_link(f, i);
	}
	xp_abandon(f->x); /* looked at, not changed */
}

/* ---- packets ---- */

struct seen {
	struct sim_segment s;
	uint8_t attempt, path, from; /* a segment of the session */
	bool last_hop, ours;
};

/* false: it belongs to no path of an attempt. */
static bool see(const struct follow *f, uint8_t at, struct seen *seen)
{
	uint32_t bytes;
	const struct xp_packet *p = xp_pool_get(&f->x->pool, f->x->w.flying[at], &bytes);
	struct dysco_tuple back;

	sim_segment_read(&seen->s, p->data, p->bytes);
	seen->ours = (seen->s.flags & SIM_SYN) ||
		     dysco_message_is_ours(seen->s.payload, seen->s.payload_bytes);
	back = dysco_tuple_reverse(&seen->s.tuple);
	for (uint8_t i = 0; i < (uint8_t)(4 * ATTEMPTS); i++) {
		uint8_t attempt = i / 4, end = i / 2 % 2, path = i % 2;
		const struct dysco_tuple *wire = &f->wire[attempt][end][path];
		bool out = dysco_tuple_equal(wire, &seen->s.tuple);

		if (((f->known[attempt][end] >> path) & 1) &&
		    (out || dysco_tuple_equal(wire, &back))) {
			seen->attempt = attempt;
			seen->path = path;
			seen->from = out ? end : !end;
			seen->last_hop = !out;
			return true;
		}
	}
	return false;
}

/* What the models have as something that the anchors tell each other: it comes when it has to. */
static bool is_told(const struct follow *f, uint8_t at)
{
	struct seen seen;

	if (!see(f, at, &seen) || seen.ours) {
		return true;
	}
	return seen.path == 1 && seen.s.payload_bytes == 0 && !(seen.s.flags & SIM_FIN) &&
	       (f->state[seen.attempt][0] < DYSCO_ATTEMPT_CUTTING ||
		f->state[seen.attempt][1] < DYSCO_ATTEMPT_TWO_PATHS);
}

static bool take(struct follow *f, enum xp_kind kind, uint8_t a)
{
	struct xp_choice choice = {.kind = (uint8_t)kind, .a = a, .cost = XP_FREE};
	bool taken = xp_take(f->x, &choice);

	if (taken) {
		look(f);
	}
	return taken;
}

static bool take_timer(struct follow *f)
{
	struct xp_choice list[XP_CHOICES];
	uint32_t n = xp_choices(f->x, list);

	for (uint32_t k = 0; k < n; k++) {
		if (list[k].kind == XP_DUE) {
			xp_take(f->x, &list[k]);
			look(f);
			return true;
		}
	}
	return false;
}

/* What was told comes, oldest first, until the anchor is in this state. */
static bool until(struct follow *f, uint8_t i, uint8_t end, uint8_t state)
{
	int timers = 0;

	for (int round = 0; round < ROUNDS && !f->x->failed; round++) {
		uint8_t at = 0;

		if (f->state[i][end] >= state) {
			return true;
		}
		while (at < f->x->w.n_flying && !is_told(f, at)) {
			at++;
		}
		if (at < f->x->w.n_flying) {
			take(f, XP_DELIVER, at);
		} else if (timers++ == TIMERS || !take_timer(f)) {
			return false;
		}
	}
	return false;
}

struct wanted {
	unsigned int path, from, first, span;
};

static bool is_wanted(const struct follow *f, uint8_t at, const struct wanted *w, bool last_hop)
{
	struct seen seen;
	uint32_t span;

	if (!see(f, at, &seen) || seen.ours || seen.last_hop < last_hop) {
		return false;
	}
	span = seen.s.payload_bytes + (seen.s.flags & SIM_FIN ? 1u : 0u);
	return seen.attempt == w->path / 2 && seen.path == w->path % 2 && seen.from == w->from &&
	       span == w->span &&
	       (seen.s.payload_bytes == 0 ||
		seen.s.payload[0] == xp_pattern((uint8_t)w->from, w->first));
}

/* The packet goes its way, through the box of its path if there is one; false: there is none. */
static bool arrive(struct follow *f, const struct wanted *w, enum xp_kind kind)
{
	uint8_t at = 0;

	while (at < f->x->w.n_flying && !is_wanted(f, at, w, false)) {
		at++;
	}
	if (at == f->x->w.n_flying) {
		return false;
	}
	take(f, kind, at);
	at = f->x->w.n_flying;
	if (kind != XP_DROP && at > 0 && !f->x->failed &&
	    is_wanted(f, (uint8_t)(at - 1), w, true)) {
		take(f, XP_DELIVER, (uint8_t)(at - 1));
	}
	return true;
}

/* ---- the trail ---- */

/* The model has new bytes and the FIN alike. */
static void send_new(struct follow *f, uint8_t end)
{
	xp_load_small(f->x);
	if (f->x->end[end].written < f->x->config->app[end].units) {
		take(f, XP_WRITE, end);
	} else if (!f->x->end[end].closed && f->x->config->app[end].closes != XP_STAY_OPEN) {
		take(f, XP_CLOSE, end);
	}
}

static bool take_anchor(struct follow *f, const char *word, uint8_t i)
{
	static const struct {
		const char *word;
		uint8_t end, state;
	} list[] = {
	    {"left_cuts", 0, DYSCO_ATTEMPT_CUTTING},  {"right_cuts", 1, DYSCO_ATTEMPT_TWO_PATHS},
	    {"left_two", 0, DYSCO_ATTEMPT_TWO_PATHS}, {"left_done", 0, DYSCO_ATTEMPT_RELEASING},
	    {"right_done", 1, DYSCO_ATTEMPT_FREED},
	};

	for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
		if (strcmp(list[k].word, word) == 0) {
			return until(f, i, list[k].end, list[k].state);
		}
	}
	return false;
}

/* Asked for, and as far as the model begins: the new path is there, nobody has cut. */
static bool begin(struct follow *f, uint8_t i)
{
	if (!((f->x->w.scripted >> i) & 1)) {
		take(f, XP_STEP, i);
	}
	return until(f, i, 1, stage_of(DYSCO_ATTEMPT_WAITING));
}

/* false: the core cannot take this step. */
static bool step(struct follow *f, const char *word, const unsigned int n[4])
{
	struct wanted w = {n[0], n[1], n[2], n[3]};
	uint8_t a = (uint8_t)n[0];
	enum xp_kind kind = f->copied || strcmp(word, "double") == 0 ? XP_DUP : XP_DELIVER;

	if (strcmp(word, "new") == 0) {
		send_new(f, a);
	} else if (strcmp(word, "again") == 0 || strcmp(word, "probe") == 0) {
		xp_load_small(f->x);
		return !xp_end_armed(f->x, a) || take(f, XP_RTO, a);
	} else if (strcmp(word, "read") == 0) {
		xp_load_small(f->x);
		return f->x->end[a].unread == 0 || take(f, XP_READ, a);
	} else if (strcmp(word, "copy") == 0) {
		f->copied = true;
	} else if (strcmp(word, "lose") == 0) {
		return arrive(f, &w, XP_DROP) || w.span == 0;
	} else if (strcmp(word, "arrive") == 0 || strcmp(word, "double") == 0) {
		f->copied = false;
		return arrive(f, &w, kind) || w.span == 0; /* ends acknowledge sooner here */
	} else if (strcmp(word, "lock") == 0) {
		return begin(f, a);
	} else {
		return take_anchor(f, word, a);
	}
	return true;
}

/* The connection is there, and the attempts that the trail cuts first are under way. */
static bool open_world(struct follow *f, uint8_t attempts)
{
	xp_begin(f->x);
	while (f->x->w.n_flying > 0 && !f->x->failed) {
		take(f, XP_DELIVER, 0);
	}
	for (uint8_t i = 0; i < ATTEMPTS && !f->x->failed; i++) {
		if (((attempts >> i) & 1) && !begin(f, i)) {
			return false;
		}
	}
	return !f->x->failed;
}

/* Attempts that the trail begins by a cut; those with a LOCK of their own begin there. */
static uint8_t attempts_of(FILE *file)
{
	uint8_t bits = 0, own = 0;
	unsigned int i;
	char line[64], word[16];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%15s %u", word, &i) != 2 || i >= ATTEMPTS) {
			continue;
		}
		bits |= (uint8_t)((strcmp(word, "left_cuts") == 0) << i);
		own |= (uint8_t)((strcmp(word, "lock") == 0) << i);
	}
	rewind(file);
	return bits & (uint8_t)~own;
}

const struct xp_config *xp_follow_config(const char *path)
{
	FILE *file = fopen(path, "r");
	const struct xp_config *config = NULL;
	char name[32];

	if (file && fscanf(file, "# %*s %*s %31s", name) == 1) {
		for (size_t i = 0; i < xp_n_configs; i++) {
			config = strcmp(xp_configs[i].name, name) == 0 ? &xp_configs[i] : config;
		}
	}
	if (file) {
		fclose(file);
	}
	return config;
}

/* Undisturbed to the end, in so many ways. */
static bool go_on(struct xp *x)
{
	struct xp_world w = x->w;

	x->total = 0;
	for (uint64_t k = 0; k < WAYS && !x->failed; k++) {
		x->w = w;
		xp_walk(x, (k + 1) * 0x9e3779b97f4a7c15ull, 0);
	}
	return !x->failed;
}

bool xp_follow(struct xp *x, const char *path, uint32_t *taken, uint32_t *steps)
{
	struct follow f = {.x = x};
	FILE *file = fopen(path, "r");
	char line[64], word[16];
	bool goes;

	*taken = *steps = 0;
	if (!file) {
		return false;
	}
	goes = open_world(&f, attempts_of(file));
	while (fgets(line, sizeof(line), file)) {
		unsigned int n[4] = {0, 0, 0, 0};

		if (line[0] == '#' ||
		    sscanf(line, "%15s %u %u %u %u", word, &n[0], &n[1], &n[2], &n[3]) < 2) {
			continue;
		}
		(*steps)++;
		xp_say(x, "%s", line);
		goes = goes && !x->failed && n[0] < 2 * ATTEMPTS && step(&f, word, n);
		*taken += goes;
	}
	fclose(file);
	return go_on(x);
}
