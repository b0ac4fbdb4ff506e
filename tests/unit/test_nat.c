// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the agents are boxes that know nothing of Dysco and follow connections: what
 * they have seen nothing of for a while they forget, and what they do not know, or what
 * acknowledges or claims to be what was never sent, they drop (hole 52, docs/protocol.md
 * 12.12). An old path is needed until both anchors have said DONE, however long that takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

#define FORGETS_S 30
#define LONG_S	  (10 * FORGETS_S)
#define BINDINGS  16

struct binding {
	struct dysco_tuple tuple; /* as its SYN had it */
	/* of the side of the SYN, of the other one: when it was heard, one past what it has sent */
	uint64_t seen_ns[2];
	uint32_t end[2];
};

static struct binding bindings[BINDINGS];
static unsigned int n_bindings, dropped;
static unsigned int passed_on; /* LOCKs from the box, on the session's subsession */
static bool holds_data;	       /* what has bytes for the server's host is lost */

static struct binding *binding_of(const struct rig_packet *packet, bool *back)
{
	struct dysco_tuple other = dysco_tuple_reverse(&packet->p.tuple);

	for (unsigned int i = 0; i < n_bindings; i++) {
		*back = dysco_tuple_equal(&bindings[i].tuple, &other);
		if (*back || dysco_tuple_equal(&bindings[i].tuple, &packet->p.tuple)) {
			return &bindings[i];
		}
	}
	return NULL;
}

static bool begins(const struct rig_packet *packet)
{
	return (packet->p.flags & (DYSCO_TCP_SYN | DYSCO_TCP_ACK)) == DYSCO_TCP_SYN;
}

static void note(struct binding *b, bool back, const struct rig_packet *packet, uint64_t now_ns)
{
	uint32_t end = dysco_step_seq_end(&packet->p);

	b->seen_ns[back] = now_ns;
	if ((packet->p.flags & DYSCO_TCP_SYN) || dysco_seq_after(end, b->end[back])) {
		b->end[back] = end;
	}
}

/* Some are refreshed by one side only: both have to be heard (RFC 4787, REQ-6). */
static bool is_forgotten(const struct binding *b, uint64_t now_ns)
{
	return now_ns - b->seen_ns[0] > FORGETS_S * DYSCO_NS_PER_S ||
	       now_ns - b->seen_ns[1] > FORGETS_S * DYSCO_NS_PER_S;
}

/* It has to look like what was sent before. */
static bool is_new(const struct binding *b, bool back, const struct rig_packet *packet)
{
	return dysco_seq_after(dysco_step_seq_end(&packet->p), b->end[back]) ||
	       dysco_seq_after(packet->p.ack, b->end[!back]);
}

static bool forgetful(struct world *w, int agent, const struct rig_packet *packet)
{
	bool back = false;
	struct binding *b = binding_of(packet, &back);

	if (!b && begins(packet)) {
		assert_true(n_bindings < BINDINGS);
		b = &bindings[n_bindings++];
		memset(b, 0, sizeof(*b));
		b->tuple = packet->p.tuple;
		b->seen_ns[0] = b->seen_ns[1] = w->rig->now_ns;
	}
	if (!b || is_forgotten(b, w->rig->now_ns)) {
		dropped++;
		return true;
	}
	if (packet->p.flags & DYSCO_TCP_URG) {
		assert_false(is_new(b, back, packet));
		passed_on +=
		    message_type(packet) == DYSCO_MSG_LOCK && agent_of(&packet->p.tuple.src) == BOX;
	}
	note(b, back, packet, w->rig->now_ns);
	return holds_data && agent == SERVER && packet->p.payload_bytes == 4;
}

static struct world *behind_nats(void)
{
	n_bindings = dropped = passed_on = 0;
	holds_data = false;
	return established_over(forgetful);
}

static void passes(struct world *w, unsigned int seconds)
{
	for (unsigned int s = 0; s < seconds; s++) {
		w->rig->now_ns += DYSCO_NS_PER_S;
		for (int i = 0; i < RIG_AGENTS; i++) {
			struct rig_agent *a = &w->rig->agent[i];
			bool more = true;

			while (more) {
				more = dysco_core_time_passed(&a->core, w->rig->now_ns, 4, &a->out);
				carry_out(w, i, NULL, DYSCO_OUT);
			}
		}
		run(w);
	}
}

/* What the client has sent before the cut is not acknowledged for long. */
static struct world *long_drain(void)
{
	struct world *w = behind_nats();

	say(w, CLIENT, 106, 506, "late");
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done + w->failed, 0);
	return w;
}

/* "late" has come by the old path, at last. */
static void late_bytes_end_it(struct world *w)
{
	assert_int_equal(w->last[SERVER].p.payload_bytes, 4);
	say(w, SERVER, 506, 110, "");
	assert_int_equal(w->done, 2);
	assert_int_equal(dropped, 0);
	nothing_is_left(w);
	rig_free(w->rig);
}

static void an_old_path_is_kept_warm(void **state)
{
	struct world *w = long_drain();
	unsigned int boxed = w->boxed;

	(void)state;
	passes(w, LONG_S);
	say(w, CLIENT, 106, 506, "late");
	assert_int_equal(w->boxed, boxed + 1);
	late_bytes_end_it(w);
}

/* Bytes go by the new path meanwhile: on the old one nothing may be said of them. */
static void its_numbers_are_those_of_the_old_path(void **state)
{
	struct world *w = long_drain();

	(void)state;
	for (uint32_t n = 0; n < LONG_S / 10; n++) {
		say(w, CLIENT, 110 + n, 506 + n, "n");
		say(w, SERVER, 506 + n, 106, "n");
		passes(w, 10);
	}
	say(w, SERVER, 506 + LONG_S / 10, 110 + LONG_S / 10, "");
	say(w, CLIENT, 110 + LONG_S / 10, 506 + LONG_S / 10, "");
	assert_int_equal(w->done, 2);
	assert_int_equal(dropped, 0);
	rig_free(w->rig);
}

/* The box has acknowledged what it still owes to the server: the left anchor is done long before.
 */
static void what_a_box_owes_reaches_the_right_anchor(void **state)
{
	struct world *w = behind_nats();
	struct dysco_tuple session = rig_session(4000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet ack = rig_segment(&back, 506, 110, DYSCO_TCP_ACK, "", 0), owed;

	(void)state;
	holds_data = true;
	say(w, CLIENT, 106, 506, "late");
	reconfigure(w, path_of(SERVER, -1));
	enqueue(w, BOX, DYSCO_OUT, &ack);
	run(w);
	holds_data = false;
	passes(w, LONG_S);
	assert_int_equal(w->done, 0);
	owed = rig_segment(&session, 106, 506, DYSCO_TCP_ACK, "late", 4);
	enqueue(w, BOX, DYSCO_OUT, &owed);
	run(w);
	late_bytes_end_it(w);
}

/* A locked box sees nothing of a session that is busy elsewhere. */
static void agents_between_do_not_end_it(void **state)
{
	struct world *w = behind_nats();

	(void)state;
	w->rig->agent[BOX].setup.timeouts.established = LONG_S / 2;
	say(w, CLIENT, 106, 506, "late");
	reconfigure(w, path_of(SERVER, -1));
	passes(w, LONG_S);
	assert_int_equal(w->resets[BOX], 0);
	say(w, SERVER, 506, 110, "");
	assert_int_equal(w->done, 2);
	rig_free(w->rig);
}

/* Who renews a lock by the session's own subsession asks for nothing. */
static void what_only_renews_is_not_passed_on(void **state)
{
	struct world *w = long_drain();
	const struct dysco_attempt *between = &w->rig->agent[BOX].sim.attempts[1];
	uint64_t lease_ns = between->lease_ns;

	(void)state;
	w->lost_control = DYSCO_MSG_LOCK;
	passes(w, FORGETS_S);
	assert_true(between->lease_ns > lease_ns);
	assert_int_equal(passed_on, 0);
	rig_free(w->rig);
}

/* Where the new path goes through another box: it passes on what keeps NATs warm. */
static void a_new_path_is_kept_warm(void **state)
{
	struct world *w = behind_nats();
	unsigned int boxed;

	(void)state;
	say(w, CLIENT, 106, 506, "late");
	reconfigure(w, path_of(EXTRA, SERVER));
	passes(w, LONG_S);
	boxed = w->boxed;
	say(w, CLIENT, 110, 506, "new");
	assert_int_equal(w->last[SERVER].p.payload_bytes, 3);
	assert_int_equal(w->boxed, boxed);
	assert_int_equal(w->rig->agent[EXTRA].sim.attempts[1].role, DYSCO_PART_INSERTED);
	say(w, SERVER, 506, 113, "");
	assert_int_equal(w->done, 2);
	assert_int_equal(dropped, 0);
	nothing_is_left(w);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_old_path_is_kept_warm),
	    cmocka_unit_test(its_numbers_are_those_of_the_old_path),
	    cmocka_unit_test(what_a_box_owes_reaches_the_right_anchor),
	    cmocka_unit_test(agents_between_do_not_end_it),
	    cmocka_unit_test(what_only_renews_is_not_passed_on),
	    cmocka_unit_test(a_new_path_is_kept_warm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
