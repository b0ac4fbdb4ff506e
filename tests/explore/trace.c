// SPDX-License-Identifier: BSD-2-Clause
/* Traces: choices in words, kept in files, replayed, made shorter. */
#include "tests/explore/explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[XP_KINDS] = {
    [XP_DELIVER] = "deliver", [XP_LATE] = "late",	[XP_WRITE] = "write",
    [XP_READ] = "read",	      [XP_CLOSE] = "close",	[XP_ABORT] = "abort",
    [XP_RTO] = "timer",	      [XP_DROP] = "drop",	[XP_DUP] = "duplicate",
    [XP_HOLD] = "delay",      [XP_RESTART] = "restart", [XP_KEEPALIVE] = "keepalive",
    [XP_STEP] = "step",	      [XP_SLOW_FLOW] = "slow",	[XP_DUE] = "due",
    [XP_LAPSE] = "lapse",
};
static const char *const cost_names[] = {"loss",  "duplicate", "delay", "premature",
					 "crash", "lease",     ""};

void xp_trace_add(struct xp_trace *t, struct xp_choice c)
{
	if (t->count == t->room) {
		uint32_t room = t->room ? 2 * t->room : 256;
		struct xp_choice *list = realloc(t->list, room * sizeof(*list));

		if (!list) {
			abort();
		}
		t->list = list;
		t->room = room;
	}
	t->list[t->count++] = c;
}

/* ---- in words ---- */

static void flags_text(uint8_t flags, char text[8])
{
	static const char names[] = "FSRPAU";
	int n = 0;

	for (int i = 0; i < 6; i++) {
		if ((flags >> i) & 1) {
			text[n++] = names[i];
		}
	}
	text[n] = '\0';
}

static void segment_text(const uint8_t *data, uint32_t bytes, char *text, size_t room)
{
	struct xp_options o;
	struct sim_segment s;
	char flags[8];
	int n;

	if (!sim_segment_read(&s, data, bytes)) {
		snprintf(text, room, "?");
		return;
	}
	xp_options_read(&o, &s);
	flags_text(s.flags, flags);
	n = snprintf(text, room, "%u:%u>%u:%u %s seq %u ack %u win %u len %u",
		     xp_host_of(&s.tuple.src), DYSCO_HOST16(s.tuple.sport_be),
		     xp_host_of(&s.tuple.dst), DYSCO_HOST16(s.tuple.dport_be), flags, s.seq, s.ack,
		     s.window, s.payload_bytes);
	if (dysco_message_is_ours(s.payload, s.payload_bytes) && n > 0 && (size_t)n < room) {
		snprintf(text + n, room - (size_t)n, " message %u", s.payload[5]);
	}
}

void xp_packet_text(const struct xp *x, uint32_t id, char *text, size_t bytes)
{
	uint32_t n;
	const struct xp_packet *p = xp_pool_get(&x->pool, id, &n);

	segment_text(p->data, p->bytes, text, bytes);
}

void xp_choice_say(struct xp *x, const struct xp_choice *c, char *text, size_t bytes)
{
	int n = snprintf(text, bytes, "%s %u %u", kind_names[c->kind], c->a, c->b);
	uint32_t id = 0;

	if (c->kind == XP_LATE && c->a < x->w.n_delayed) {
		id = x->w.delayed[c->a];
	} else if ((c->kind == XP_DELIVER || c->kind == XP_DROP || c->kind == XP_DUP ||
		    c->kind == XP_HOLD || c->kind == XP_SLOW_FLOW) &&
		   c->a < x->w.n_flying) {
		id = x->w.flying[c->a];
	}
	if (id && n > 0 && (size_t)n + 4 < bytes) {
		memcpy(text + n, " # ", 4);
		xp_packet_text(x, id, text + n + 3, bytes - (size_t)n - 3);
	}
}

/* ---- replaying ---- */

static bool enabled(struct xp *x, struct xp_choice *c)
{
	struct xp_choice list[XP_CHOICES];
	uint32_t n = xp_choices(x, list);

	for (uint32_t i = 0; i < n; i++) {
		if (list[i].kind == c->kind && list[i].a == c->a && list[i].b == c->b) {
			*c = list[i];
			return true;
		}
	}
	return false;
}

void xp_replay(struct xp *x, const struct xp_trace *t)
{
	char text[256];

	xp_begin(x);
	for (uint32_t i = 0; i < t->count && !x->failed && !x->cut; i++) {
		struct xp_choice c = t->list[i];

		if (!enabled(x, &c)) {
			xp_say(x, "   - %s %u: cannot be now", kind_names[c.kind], c.a);
			continue;
		}
		xp_choice_say(x, &c, text, sizeof(text));
		xp_say(x, "%4u %s%s%s", i, text, c.cost < XP_FREE ? " : " : "", cost_names[c.cost]);
		xp_take(x, &c);
	}
	if (!x->failed && !x->cut) {
		xp_say(x, "   . and undisturbed to the end");
		xp_complete(x);
	}
}

/* ---- shrinking: what is left out bit by bit, as long as the same thing fails ---- */

static bool still_fails(struct xp *x, const struct xp_trace *t, const char *what)
{
	xp_replay(x, t);
	return x->failed && x->what == what;
}

static bool without(struct xp *x, struct xp_trace *t, uint32_t from, uint32_t n, const char *what)
{
	struct xp_trace shorter = {0};
	bool fails;

	for (uint32_t i = 0; i < t->count; i++) {
		if (i < from || i >= from + n) {
			xp_trace_add(&shorter, t->list[i]);
		}
	}
	fails = still_fails(x, &shorter, what);
	if (fails) {
		memmove(t->list + from, t->list + from + n,
			(t->count - from - n) * sizeof(t->list[0]));
		t->count -= n;
	}
	free(shorter.list);
	return fails;
}

void xp_shrink(struct xp *x, struct xp_trace *t)
{
	const char *what;
	bool talk = x->talk;

	x->talk = false;
	xp_replay(x, t);
	what = x->what;
	if (x->failed) {
		for (uint32_t n = t->count / 2; n > 0; n = n / 2) {
			for (uint32_t from = 0; from + n <= t->count;) {
				from += without(x, t, from, n, what) ? 0 : 1;
			}
		}
	}
	x->talk = talk;
}

/* ---- files ---- */

bool xp_trace_write(struct xp *x, const struct xp_trace *t, const char *path)
{
	FILE *f = fopen(path, "w");
	char text[256];
	bool talk = x->talk;

	if (!f) {
		return false;
	}
	x->talk = false;
	xp_replay(x, t);
	fprintf(f, "# %s\nconfiguration %s\n", x->failed ? x->failure : "no violation",
		x->config->name);
	xp_begin(x);
	for (uint32_t i = 0; i < t->count && !x->failed; i++) {
		struct xp_choice c = t->list[i];

		if (enabled(x, &c)) {
			xp_choice_say(x, &c, text, sizeof(text));
			fprintf(f, "%s\n", text);
			xp_take(x, &c);
		}
	}
	x->talk = talk;
	return fclose(f) == 0;
}

static const struct xp_config *config_named(const char *name)
{
	for (size_t i = 0; i < xp_n_configs; i++) {
		if (strcmp(xp_configs[i].name, name) == 0) {
			return &xp_configs[i];
		}
	}
	return NULL;
}

static bool read_choice(struct xp_trace *t, const char *line)
{
	char name[32];
	unsigned int a = 0, b = 0;

	if (sscanf(line, "%31s %u %u", name, &a, &b) < 1 || a > UINT8_MAX || b > UINT8_MAX) {
		return false;
	}
	for (uint32_t kind = 0; kind < XP_KINDS; kind++) {
		if (strcmp(name, kind_names[kind]) == 0) {
			xp_trace_add(
			    t, (struct xp_choice){(uint8_t)kind, (uint8_t)a, XP_FREE, (uint8_t)b});
			return true;
		}
	}
	return false;
}

const struct xp_config *xp_trace_read(struct xp_trace *t, const char *path)
{
	const struct xp_config *config = NULL;
	FILE *f = fopen(path, "r");
	char line[512], name[64];

	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n') {
			continue;
		}
		if (sscanf(line, "configuration %63s", name) == 1) {
			config = config_named(name);
		} else if (!read_choice(t, line)) {
			config = NULL;
			break;
		}
	}
	if (f) {
		fclose(f);
	}
	return config;
}
