// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random runs of three cores, two anchors and a box between them on the new path,
 * from LOCKED to RELEASE or back, written as steps of model/setup.pml with the state
 * after each event (README.md).
 *
 *     setup FIRST LAST          a run for each seed, to standard output
 *     setup TRAIL               the steps of a trail, as far as the core can take them
 */
#include "tests/agree/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 140, LEFT = 0, BOX = 2, RIGHT = ROW_HOSTS - 1, FIRST_LEFT = 101, FIRST_RIGHT = 501 };

/* Where a message arrives, as tests/agree/setup.pml numbers it. */
enum spot {
	AT_NONE = 0,
	AT_R1,
	AT_R2,
	AT_L1,
	AT_L2,
	AT_DOWN,
	AT_UP,
	AT_NOTHING,
	SPOTS = AT_NOTHING
};

/* Segments of the new path, messages of the control session: as model/setup.pml numbers them. */
enum { SYN = 1, ACK = 2, CUT = 4, DATA = 8, DACK = 16, RST = 32 };
enum {
	CANCEL = 1,
	NACK = 1, /* upward */
	OCUT = 2,
	DONE = 4,
	CANCELLED = 16,
	READY = 32,
	REFUSED = 64,
	EXPIRED = 128,
};

/* What somebody does: as tests/agree/setup.pml numbers it. */
enum {
	X_SENT = 1,
	Y_SENT,
	L_SAYS_DONE,
	R_SAYS_DONE,
	L_CANCELS,
	L_ROLLS_BACK,
	L_GIVES_UP,
	R_LAPSES,
	LOCK_COMES,
	R_REFUSES,
};

/* States of the anchors, as model/setup.pml numbers them. */
enum {
	L_SETTING_UP = 0,
	L_PROVING,
	L_CANCELLING,
	L_CUTTING,
	L_UNCUTTING,
	L_TWO,
	L_DONE,
	L_NEW,
	L_OLD,
};
enum { R_REQUESTED = 0, R_WAITING, R_READY, R_TWO, R_DONE, R_NEW, R_OLD };

struct seen {
	uint8_t ls, rs;
	uint8_t bound; /* R will not roll back */
	uint8_t x_at_r, y_at_l;
};

struct walk {
	struct row row;
	uint64_t random;
	uint32_t from; /* packets before this event */
	struct seen before;
	bool x_at_r, y_at_l;
};

static uint32_t below(struct walk *w, uint32_t bound)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % bound;
}

/* ---- what a packet is in the model ---- */

struct meaning {
	uint8_t spot, what; /* what: a set, 0: nothing that the model has */
};

static uint8_t on_control(const struct row_packet *f, uint16_t flags)
{
	switch (f->type) {
	case DYSCO_MSG_CANCEL:
		return CANCEL;
	case DYSCO_MSG_CUT:
		return flags & DYSCO_CONTROL_REFUSED ? REFUSED : OCUT;
	case DYSCO_MSG_DONE:
		return DONE;
	case DYSCO_MSG_CANCELLED:
		return CANCELLED;
	case DYSCO_MSG_READY:
		return READY;
	case DYSCO_MSG_NACK:
		return f->reason == DYSCO_NACK_EXPIRED ? EXPIRED : NACK;
	default:
		return 0;
	}
}

static struct meaning of_segment(const struct dysco_packet *p, uint8_t spot, bool rightward)
{
	struct meaning m = {spot, 0};

	if (p->flags & DYSCO_TCP_RST) {
		m.what = RST;
	} else if (p->flags & DYSCO_TCP_SYN) {
		m.what = SYN;
	} else {
		m.what = p->payload_bytes ? DATA : 0;
		m.what |= p->ack == (rightward ? FIRST_RIGHT : FIRST_LEFT) + 1 ? DACK : 0;
		m.what = m.what ? m.what : ACK;
	}
	return m;
}

static uint16_t flags_of(const struct row_packet *f, const struct dysco_packet *p)
{
	struct dysco_msg_control msg;

	dysco_message_read_control(&msg, f->data + p->payload);
	return msg.attempt.flags;
}

static struct meaning meaning_of(const struct row_packet *f)
{
	bool rightward = f->to > f->from, control = f->type && dysco_message_is_control(f->type);
	struct meaning m = {AT_NONE, 0};
	struct dysco_packet p;

	dysco_packet_parse(&p, f->data, f->data + f->bytes, f->bytes);
	if (f->type == DYSCO_MSG_CHAIN) {
		return m; /* between agents; no host takes it */
	}
	m.spot = f->from == BOX ? (rightward ? AT_R2 : AT_L2) : rightward ? AT_R1 : AT_L1;
	if (f->control || (control && f->from == BOX && f->type != DYSCO_MSG_CUT)) {
		m.spot = rightward ? AT_DOWN : AT_UP; /* the model has one copy of these */
		m.what = control ? on_control(f, flags_of(f, &p)) : 0;
	} else if (f->from != BOX && f->to != BOX) {
		m.spot = AT_NONE; /* the old path */
	} else if (control) {
		m.what = f->type == DYSCO_MSG_CUT ? CUT : 0;
	} else {
		m = of_segment(&p, m.spot, rightward);
	}
	return m;
}

/* ---- what is to be seen ---- */

static uint8_t left_state(const struct row *row)
{
	const struct dysco_attempt *a = row_record(row, LEFT, 0);

	if (!a) {
		return dysco_nonce_fate(&row->host[LEFT].core, row->attempt[0].nonce) ==
			       DYSCO_NONCE_COMPLETED
			   ? L_NEW
			   : L_OLD;
	}
	switch (a->state) {
	case DYSCO_ATTEMPT_SETTING_UP:
		return L_SETTING_UP;
	case DYSCO_ATTEMPT_PROVING:
		return L_PROVING;
	case DYSCO_ATTEMPT_CUTTING:
		return L_CUTTING;
	case DYSCO_ATTEMPT_CANCELLING:
		return a->cut_made ? L_UNCUTTING : L_CANCELLING;
	case DYSCO_ATTEMPT_TWO_PATHS:
		return L_TWO;
	case DYSCO_ATTEMPT_DONE:
		return L_DONE;
	default:
		return L_NEW;
	}
}

static uint8_t right_state(const struct row *row)
{
	const struct dysco_attempt *a = row_record(row, RIGHT, 0);

	if (!a) {
		return dysco_nonce_fate(&row->host[RIGHT].core, row->attempt[0].nonce) ==
			       DYSCO_NONCE_COMPLETED
			   ? R_NEW
			   : R_OLD;
	}
	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTED:
		return R_REQUESTED;
	case DYSCO_ATTEMPT_WAITING:
		return R_WAITING;
	case DYSCO_ATTEMPT_READY:
		return R_READY;
	case DYSCO_ATTEMPT_TWO_PATHS:
		return R_TWO;
	case DYSCO_ATTEMPT_DONE:
		return R_DONE;
	default:
		return R_NEW;
	}
}

static struct seen observe(const struct walk *w)
{
	const struct dysco_attempt *a = row_record(&w->row, RIGHT, 0);
	struct seen s = {.ls = left_state(&w->row), .rs = right_state(&w->row)};

	if (s.rs == R_TWO || s.rs == R_DONE) {
		s.bound = (a->seen & DYSCO_ATTEMPT_TAKEN) != 0;
	}
	s.x_at_r = w->x_at_r;
	s.y_at_l = w->y_at_l;
	return s;
}

/* ---- writing ---- */

static void step(uint8_t spot, uint8_t what)
{
	printf("step %u %u\n", spot, what);
}

static void steps_of(const struct meaning *m)
{
	for (unsigned int bit = 1; bit < 256; bit *= 2) {
		if (m->what & bit) {
			step(m->spot, (uint8_t)bit);
		}
	}
}

/* What follows in the core at once takes steps of its own in the model; `done`: DONE has come. */
static void follow_up(const struct walk *w, const struct seen *now, bool done_l, bool done_r)
{
	if (w->before.ls <= L_TWO && (now->ls == L_DONE || now->ls == L_NEW)) {
		step(AT_NOTHING, L_SAYS_DONE);
		done_l = false;
	}
	if (w->before.ls != L_NEW && now->ls == L_NEW && !done_l) {
		step(AT_UP, DONE);
	}
	if (w->before.rs <= R_TWO && (now->rs == R_DONE || now->rs == R_NEW)) {
		step(AT_NOTHING, R_SAYS_DONE);
		done_r = false;
	}
	if (w->before.rs != R_NEW && now->rs == R_NEW && !done_r) {
		step(AT_DOWN, DONE);
	}
}

static void say(struct walk *w, const struct meaning *came)
{
	struct seen now = observe(w);
	uint8_t sent[SPOTS] = {0};

	follow_up(w, &now, came && came->spot == AT_UP && came->what == DONE,
		  came && came->spot == AT_DOWN && came->what == DONE);
	if (came && came->spot == AT_DOWN && came->what == OCUT && w->before.rs == R_WAITING &&
	    now.rs == R_OLD) {
		step(AT_NOTHING, R_REFUSES);
	}
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		struct meaning m = meaning_of(&w->row.air[i]);

		sent[m.spot] |= m.what;
	}
	printf("see");
	for (int spot = AT_R1; spot < SPOTS; spot++) {
		printf(" %u", sent[spot]);
	}
	printf(" %u %u %u %u %u\n", now.ls, now.rs, now.bound, now.x_at_r, now.y_at_l);
}

/* ---- events ---- */

/* The host that was given bytes acknowledges them. */
static void ends_answer(struct walk *w)
{
	if (w->row.given[1]) {
		w->x_at_r = true;
		w->row.given[1] = false;
		row_say(&w->row, RIGHT, FIRST_RIGHT + w->y_at_l, FIRST_LEFT + 1, "");
	}
	if (w->row.given[0]) {
		w->y_at_l = true;
		w->row.given[0] = false;
		row_say(&w->row, LEFT, FIRST_LEFT + w->x_at_r, FIRST_RIGHT + 1, "");
	}
}

static bool was_sent_on(const struct walk *w, uint8_t spot, uint8_t what)
{
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		struct meaning m = meaning_of(&w->row.air[i]);

		if (m.spot == spot && (m.what & what) == what) {
			return true;
		}
	}
	return false;
}

static void deliver(struct walk *w, uint32_t packet)
{
	struct meaning m = meaning_of(&w->row.air[packet]);

	row_deliver(&w->row, packet);
	ends_answer(w);
	if (w->row.air[packet].type == DYSCO_MSG_LOCK) {
		if (w->before.rs == R_OLD) {
			step(AT_NOTHING, LOCK_COMES);
		}
	} else if (m.spot == AT_R1 || m.spot == AT_L1) {
		if (was_sent_on(w, m.spot == AT_R1 ? AT_R2 : AT_L2, m.what)) {
			steps_of(&m);
		}
	} else if (m.spot != AT_NONE) {
		steps_of(&m);
	}
	say(w, &m);
}

static void some_packet(struct walk *w)
{
	for (int tries = 0; w->row.n_air && tries < 12; tries++) {
		uint32_t at = below(w, w->row.n_air);
		struct row_packet *f = &w->row.air[at];

		if (f->lost || (f->came && below(w, 12) != 0)) {
			continue;
		}
		if (below(w, 12) == 0) {
			f->lost = true;
		} else {
			deliver(w, at);
		}
		return;
	}
}

/* What an anchor did by itself. */
static void say_inner(struct walk *w)
{
	struct seen now = observe(w);

	if (now.ls != w->before.ls) {
		step(AT_NOTHING, now.ls == L_CANCELLING	 ? L_CANCELS
				 : now.ls == L_UNCUTTING ? L_ROLLS_BACK
							 : L_GIVES_UP);
	}
	if (now.rs != w->before.rs) {
		step(AT_NOTHING, R_LAPSES);
	}
	say(w, NULL);
}

static void some_timer(struct walk *w)
{
	uint8_t host = below(w, 2) ? RIGHT : LEFT;

	if (row_record(&w->row, host, 0)) {
		row_due(&w->row, host, 0, host == RIGHT && below(w, 8) == 0, below(w, 5) == 0);
		say_inner(w);
	}
}

static void some_cancel(struct walk *w)
{
	const struct dysco_attempt *a = row_record(&w->row, LEFT, 0);

	if (a && a->role == DYSCO_PART_LEFT_ANCHOR) {
		row_cancel(&w->row, 0);
		say_inner(w);
	}
}

static void send_byte(struct walk *w, uint8_t host)
{
	if (host == LEFT) {
		row_say(&w->row, LEFT, FIRST_LEFT, FIRST_RIGHT + w->y_at_l, "x");
		step(AT_NOTHING, X_SENT);
	} else {
		row_say(&w->row, RIGHT, FIRST_RIGHT, FIRST_LEFT + w->x_at_r, "y");
		step(AT_NOTHING, Y_SENT);
	}
	ends_answer(w);
	say(w, NULL);
}

/* A byte, or the same byte again, once there is a new path to send it on. */
static void some_byte(struct walk *w)
{
	uint8_t host = below(w, 2) ? RIGHT : LEFT;
	const struct dysco_attempt *a = row_record(&w->row, host, 0);

	if (a && dysco_attempt_is_two_paths(a) && !(host == LEFT ? w->x_at_r : w->y_at_l)) {
		send_byte(w, host);
	}
}

static void some_event(struct walk *w)
{
	uint32_t kind = below(w, 100);

	w->before = observe(w);
	w->from = w->row.n_air;
	if (kind < 74) {
		some_packet(w);
	} else if (kind < 90) {
		some_byte(w);
	} else if (kind < 98) {
		some_timer(w);
	} else {
		some_cancel(w);
	}
}

/* ---- a run begins ---- */

/* Until L has LOCKED, and has sent the SYN of the new path. */
static void begin(struct walk *w)
{
	w->row.attempt[0] = (struct row_attempt){.left = LEFT, .right = RIGHT, .box = BOX};
	row_ask(&w->row, 0);
	for (uint32_t i = 0; i < w->row.n_air && left_state(&w->row) != L_SETTING_UP; i++) {
		row_deliver(&w->row, i);
	}
}

static void start(struct walk *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	row_open(&w->row, 0, ROW_WINDOW, NULL);
	w->row.whole = true;
	w->random = seed * 0x9e3779b97f4a7c15u;
	begin(w);
	printf("run %llu\n", (unsigned long long)seed);
}

/* ---- trails of the model ---- */

static uint8_t spot_of(const char *set)
{
	static const char *const sets[] = {"r1", "r2", "l1", "l2", "down", "up"};
	uint8_t spot = AT_R1;

	while (spot < AT_NOTHING && strcmp(sets[spot - AT_R1], set) != 0) {
		spot++;
	}
	return spot;
}

/* The latest copy of the message that was sent to this place; false: there is none. */
static bool follow_message(struct walk *w, uint8_t spot, uint8_t what)
{
	for (uint32_t i = w->row.n_air; i-- > 0;) {
		struct meaning m = meaning_of(&w->row.air[i]);

		if (m.spot == spot && (m.what & what)) {
			deliver(w, i);
			return true;
		}
	}
	return false;
}

static bool follow_name(struct walk *w, const char *name)
{
	uint8_t ls = w->before.ls;
	bool before_cut = ls == L_SETTING_UP || ls == L_PROVING;

	if (strcmp(name, "X_SENT") == 0 && ls >= L_CUTTING) {
		send_byte(w, LEFT);
	} else if ((strcmp(name, "L_CANCELS") == 0 && before_cut) ||
		   (strcmp(name, "L_ROLLS_BACK") == 0 && ls == L_CUTTING)) {
		row_cancel(&w->row, 0);
		say_inner(w);
	} else {
		return false; /* only the broken model does it, or not in this state */
	}
	return true;
}

/* A first line, then a step a line, of the model from its start on. */
static bool trail(void *walk, const char *path)
{
	struct walk *w = walk;
	FILE *file = fopen(path, "r");
	unsigned int taken = 0;
	char first[16], second[16];
	bool goes = true;

	if (!file || fscanf(file, "#%*[^\n]") != 0) {
		return false;
	}
	start(w, 1);
	while (goes && fscanf(file, "%15s %15s", first, second) == 2) {
		uint8_t spot = spot_of(first);

		w->before = observe(w);
		w->from = w->row.n_air;
		goes = spot == AT_NOTHING
			   ? follow_name(w, second)
			   : follow_message(w, spot, (uint8_t)strtoul(second, NULL, 10));
		taken += goes;
	}
	fprintf(stderr,
		goes ? "followed to the end, %u steps\n" : "left after %u steps, at: %s %s\n",
		taken, first, second);
	fclose(file);
	return taken > 0 && !w->row.broken;
}

/* ---- runs ---- */

static void run(void *walk, uint64_t seed)
{
	struct walk *w = walk;

	start(w, seed);
	for (uint32_t n = 0; n < STEPS && !w->row.broken; n++) {
		some_event(w);
	}
}

int main(int argc, char **argv)
{
	return row_main(argc, argv, sizeof(struct walk), run, trail);
}
