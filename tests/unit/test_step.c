/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path's decision and what it notes: datapath/step.h. */
#include "datapath/step.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rewrite/edit.h"
#include "tests/unit/packets.h"

static struct dysco_packet packet(uint32_t seq, uint32_t bytes, uint32_t ack, uint8_t flags)
{
	struct dysco_packet p = {
	    .seq = seq, .payload_bytes = bytes, .ack = ack, .flags = flags, .window = 100};

	return p;
}

static void see(struct dysco_leg *leg, enum dysco_direction direction, uint32_t seq, uint32_t bytes,
		uint32_t ack, uint8_t flags)
{
	struct dysco_packet p = packet(seq, bytes, ack, flags);

	dysco_step_see(leg, &p, direction, 40 + bytes, 1);
}

/* A handshake with numbers next to the wrap: OUT from 0xfffffff0, IN from 500. */
static struct dysco_leg connected(void)
{
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST, .role = DYSCO_ROLE_FIRST};

	see(&leg, DYSCO_OUT, 0xfffffff0u, 0, 0, DYSCO_TCP_SYN);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_SYN_SENT);
	see(&leg, DYSCO_IN, 500, 0, 0xfffffff1u, DYSCO_TCP_SYN | DYSCO_TCP_ACK);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_SYN_RECEIVED);
	see(&leg, DYSCO_OUT, 0xfffffff1u, 0, 501, DYSCO_TCP_ACK);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_ESTABLISHED);
	return leg;
}

static void numbers_wrap(void **state)
{
	struct dysco_leg leg = connected();

	(void)state;
	see(&leg, DYSCO_OUT, 0xfffffff1u, 100, 501, DYSCO_TCP_ACK);
	assert_int_equal(leg.run[DYSCO_OUT].seq_end, 0x55);
	see(&leg, DYSCO_OUT, 0xfffffff1u, 10, 501, DYSCO_TCP_ACK); /* a retransmission */
	assert_int_equal(leg.run[DYSCO_OUT].seq_end, 0x55);
	see(&leg, DYSCO_IN, 501, 0, 0x55, DYSCO_TCP_ACK);
	see(&leg, DYSCO_IN, 501, 0, 0xfffffff1u, DYSCO_TCP_ACK); /* an old acknowledgement */
	assert_int_equal(leg.run[DYSCO_IN].ack, 0x55);
	assert_int_equal(leg.run[DYSCO_OUT].packets, 4);
	assert_int_equal(leg.run[DYSCO_OUT].bytes, 4 * 40 + 110);
}

static void both_fins_acknowledged_end_it(void **state)
{
	struct dysco_leg leg = connected();

	(void)state;
	see(&leg, DYSCO_OUT, 0xfffffff1u, 5, 501, DYSCO_TCP_ACK | DYSCO_TCP_FIN);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_HALF_CLOSED);
	see(&leg, DYSCO_IN, 501, 0, 0xfffffff6u, DYSCO_TCP_ACK); /* the data, not yet the FIN */
	see(&leg, DYSCO_IN, 501, 50, 0xfffffff7u, DYSCO_TCP_ACK);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_HALF_CLOSED);
	see(&leg, DYSCO_IN, 551, 0, 0xfffffff7u, DYSCO_TCP_ACK | DYSCO_TCP_FIN);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_CLOSING);
	see(&leg, DYSCO_OUT, 0xfffffff7u, 0, 552, DYSCO_TCP_ACK);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_TIME_WAIT);
}

/* Nobody answers such a SYN: its leg goes as soon as that of any other. */
static void a_fin_with_the_syn_closes_nothing(void **state)
{
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST, .role = DYSCO_ROLE_LAST};

	(void)state;
	see(&leg, DYSCO_IN, 500, 0, 0, DYSCO_TCP_SYN | DYSCO_TCP_FIN);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_SYN_SENT);
}

static void resets_that_the_receiver_would_not_take_do_not_count(void **state)
{
	static const struct {
		uint32_t seq;
		bool counts;
	} cases[] = {
	    {501, true},  /* exactly what is expected */
	    {551, true},  /* behind data under way */
	    {552, false}, /* beyond it */
	    {500, false}, /* before */
	    {0, false},	  /* a blind guess */
	    {0x80000000u, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dysco_leg leg = connected();

		see(&leg, DYSCO_IN, 501, 50, 0xfffffff1u, DYSCO_TCP_ACK);
		see(&leg, DYSCO_IN, cases[i].seq, 0, 0, DYSCO_TCP_RST);
		assert_int_equal(dysco_leg_state(&leg),
				 cases[i].counts ? DYSCO_STATE_RESET : DYSCO_STATE_ESTABLISHED);
	}
}

static void reset_of_a_syn_must_acknowledge_it(void **state)
{
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST};

	(void)state;
	see(&leg, DYSCO_OUT, 7, 0, 0, DYSCO_TCP_SYN);
	see(&leg, DYSCO_IN, 0, 0, 99, DYSCO_TCP_RST | DYSCO_TCP_ACK);
	see(&leg, DYSCO_IN, 8, 0, 0, DYSCO_TCP_RST);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_SYN_SENT);
	see(&leg, DYSCO_IN, 0, 0, 8, DYSCO_TCP_RST | DYSCO_TCP_ACK);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_RESET);
}

/* Whoever spoofs it need not know a number; the session goes on (RFC 5961 4.2). */
static void a_syn_in_the_middle_of_a_session_says_nothing(void **state)
{
	static const uint8_t flags[] = {DYSCO_TCP_SYN, DYSCO_TCP_SYN | DYSCO_TCP_ACK};
	uint8_t data[40] = {[32] = 0x50};

	(void)state;
	for (int i = 0; i < 4; i++) {
		enum dysco_direction direction = i % 2 ? DYSCO_IN : DYSCO_OUT;
		struct dysco_leg leg = connected(), was;
		struct dysco_packet p = packet(0x10000000, 0, 0x20000000, flags[i / 2]);

		see(&leg, DYSCO_IN, 501, 0, 0xfffffff1u, DYSCO_TCP_ACK);
		leg.options[direction] = (struct dysco_syn_options){.wscale = 7, .mss = 1460};
		was = leg;
		p.l4 = 20;
		p.payload = 40;
		dysco_step_note_syn(&leg, &p, data, data + sizeof(data), direction);
		see(&leg, direction, p.seq, 0, p.ack, p.flags);
		assert_memory_equal(&leg.options, &was.options, sizeof(was.options));
		assert_int_equal(leg.run[direction].seq_end, was.run[direction].seq_end);
		assert_int_equal(leg.run[direction].ack, was.run[direction].ack);
		assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_ESTABLISHED);
	}
}

static void old_fin_is_not_the_last(void **state)
{
	struct dysco_leg leg = connected();

	(void)state;
	see(&leg, DYSCO_IN, 501, 50, 0xfffffff1u, DYSCO_TCP_ACK);
	see(&leg, DYSCO_IN, 510, 0, 0xfffffff1u, DYSCO_TCP_ACK | DYSCO_TCP_FIN);
	assert_int_equal(dysco_leg_state(&leg), DYSCO_STATE_ESTABLISHED);
}

/* A host answers a new SYN for its old connection first; then the new one begins. */
static void numbers_before_the_syn_do_not_count(void **state)
{
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST};

	(void)state;
	see(&leg, DYSCO_IN, 7, 0, 0, DYSCO_TCP_SYN);
	see(&leg, DYSCO_OUT, 900, 0, 3000000000u, DYSCO_TCP_ACK);
	see(&leg, DYSCO_OUT, 3000000000u, 0, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK);
	assert_int_equal(leg.run[DYSCO_OUT].seq_end, 3000000001u);
	assert_int_equal(leg.run[DYSCO_OUT].ack, 8);
	see(&leg, DYSCO_OUT, 3000000001u, 0, 8, DYSCO_TCP_FIN | DYSCO_TCP_ACK);
	assert_true(leg.run[DYSCO_OUT].seen & DYSCO_SEEN_FIN);
}

static void see_window(struct dysco_leg *leg, uint32_t seq, uint32_t bytes, uint32_t ack,
		       uint8_t flags, uint16_t window)
{
	struct dysco_packet p = packet(seq, bytes, ack, flags);

	p.window = window;
	dysco_step_see(leg, &p, DYSCO_OUT, 40 + bytes, 1);
}

/* RFC 9293 3.10.7.4: nor does it to who gets it. */
static void a_keepalive_says_nothing(void **state)
{
	struct dysco_leg leg = connected();

	(void)state;
	see_window(&leg, 0xfffffff1u, 100, 501, DYSCO_TCP_ACK, 70);
	see_window(&leg, 0x55, 0, 601, DYSCO_TCP_ACK, 50);
	see_window(&leg, 0x54, 0, 601, DYSCO_TCP_ACK, 80); /* an agent's, and late */
	see_window(&leg, 0x54, 0, 701, DYSCO_TCP_ACK, 80);
	assert_int_equal(leg.run[DYSCO_OUT].ack, 601);
	assert_int_equal(leg.run[DYSCO_OUT].window, 50);
	see_window(&leg, 0x55, 0, 601, DYSCO_TCP_ACK, 60);
	assert_int_equal(leg.run[DYSCO_OUT].window, 60);
	see_window(&leg, 0xfffffff1u, 100, 601, DYSCO_TCP_ACK, 65); /* bytes sent again */
	assert_int_equal(leg.run[DYSCO_OUT].window, 65);
}

static void a_hosts_window_replaces_that_of_a_new_paths_handshake(void **state)
{
	static const uint8_t psh = DYSCO_TCP_ACK | DYSCO_TCP_PSH;
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST, .role = DYSCO_ROLE_RIGHT};
	struct dysco_leg_run *out = &leg.run[DYSCO_OUT];

	(void)state;
	out->base = DYSCO_BASE_AGENTS;
	see_window(&leg, 99, 0, 0, DYSCO_TCP_SYN, 70);
	see(&leg, DYSCO_IN, 500, 0, 100, DYSCO_TCP_SYN | DYSCO_TCP_ACK);
	see_window(&leg, 100, 0, 501, DYSCO_TCP_ACK, 70);
	see_window(&leg, 99, 0, 501, DYSCO_TCP_ACK, 80);
	see_window(&leg, 100, 0, 501, DYSCO_TCP_ACK, 75);
	assert_int_equal(out->window, 75);
	see_window(&leg, 100, 0, 501, psh, 30);
	assert_int_equal(out->window, 30);
	see_window(&leg, 100, 0, 501, DYSCO_TCP_ACK, 75); /* the handshake's, late */
	assert_int_equal(out->window, 30);
	see_window(&leg, 100, 0, 501, psh, 40);
	see_window(&leg, 100, 0, 501, psh, 35);
	assert_int_equal(out->window, 40);
	see_window(&leg, 100, 10, 501, DYSCO_TCP_ACK, 45);
	assert_int_equal(out->window, 45);
	see_window(&leg, 110, 0, 551, DYSCO_TCP_ACK, 20);
	assert_int_equal(out->base, 0);
	see_window(&leg, 110, 0, 551, DYSCO_TCP_ACK, 25);
	assert_int_equal(out->window, 25);
}

/* Every mode and kind of packet has its verdict. */
static void verdicts(void **state)
{
	static const struct {
		int mode; /* -1: no leg */
		uint8_t flags;
		enum dysco_direction direction;
		bool control;
		enum dysco_verdict verdict;
	} cases[] = {
	    {-1, DYSCO_TCP_ACK, DYSCO_OUT, false, DYSCO_VERDICT_PASS},
	    {-1, DYSCO_TCP_SYN, DYSCO_OUT, false, DYSCO_VERDICT_CLASSIFY},
	    {-1, DYSCO_TCP_SYN, DYSCO_IN, false, DYSCO_VERDICT_INSPECT},
	    {-1, DYSCO_TCP_SYN | DYSCO_TCP_ACK, DYSCO_OUT, false, DYSCO_VERDICT_PASS},
	    {-1, DYSCO_TCP_SYN | DYSCO_TCP_RST, DYSCO_OUT, false, DYSCO_VERDICT_PASS},
	    {DYSCO_MODE_FREE, DYSCO_TCP_ACK, DYSCO_IN, false, DYSCO_VERDICT_PASS},
	    {DYSCO_MODE_FAST, DYSCO_TCP_ACK, DYSCO_IN, false, DYSCO_VERDICT_FAST},
	    {DYSCO_MODE_FAST, DYSCO_TCP_SYN | DYSCO_TCP_ACK, DYSCO_IN, false, DYSCO_VERDICT_FAST},
	    {DYSCO_MODE_FAST, DYSCO_TCP_SYN, DYSCO_IN, false, DYSCO_VERDICT_PUNT},
	    {DYSCO_MODE_FAST, DYSCO_TCP_ACK, DYSCO_IN, true, DYSCO_VERDICT_PUNT},
	    {DYSCO_MODE_FAST, DYSCO_TCP_ACK, DYSCO_OUT, true, DYSCO_VERDICT_FAST},
	    {DYSCO_MODE_FAST, DYSCO_TCP_RST, DYSCO_IN, false, DYSCO_VERDICT_FAST},
	    {DYSCO_MODE_PUNT, DYSCO_TCP_ACK, DYSCO_OUT, false, DYSCO_VERDICT_PUNT},
	    {DYSCO_MODE_PASS, DYSCO_TCP_ACK, DYSCO_OUT, false, DYSCO_VERDICT_PASS},
	    {DYSCO_MODE_PASS, DYSCO_TCP_SYN, DYSCO_OUT, false, DYSCO_VERDICT_PUNT},
	    {DYSCO_MODE_PASS, DYSCO_TCP_ACK, DYSCO_IN, false, DYSCO_VERDICT_DROP},
	    {DYSCO_MODE_DEAD, DYSCO_TCP_ACK, DYSCO_IN, false, DYSCO_VERDICT_DROP},
	    {DYSCO_MODE_DEAD, DYSCO_TCP_SYN, DYSCO_IN, false, DYSCO_VERDICT_PUNT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dysco_packet p = packet(1, 0, 1, cases[i].flags);
		struct dysco_leg leg = {.mode = (uint8_t)cases[i].mode};
		enum dysco_reason reason = DYSCO_REASON_NONE;

		assert_int_equal(dysco_step(cases[i].mode < 0 ? NULL : &leg, &p, cases[i].direction,
					    cases[i].control, &reason),
				 cases[i].verdict);
		assert_true((cases[i].verdict == DYSCO_VERDICT_DROP) ==
			    (reason == DYSCO_REASON_LATE));
	}
}

static void refusal_of_a_syn_goes_to_the_core(void **state)
{
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST, .role = DYSCO_ROLE_FIRST};
	struct dysco_packet rst = packet(0, 0, 8, DYSCO_TCP_RST | DYSCO_TCP_ACK);
	enum dysco_reason reason;

	(void)state;
	see(&leg, DYSCO_OUT, 7, 0, 0, DYSCO_TCP_SYN);
	assert_int_equal(dysco_step(&leg, &rst, DYSCO_IN, false, &reason), DYSCO_VERDICT_PUNT);
	see(&leg, DYSCO_IN, 500, 0, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK);
	assert_int_equal(dysco_step(&leg, &rst, DYSCO_IN, false, &reason), DYSCO_VERDICT_FAST);
}

/* The first 40 bytes of an IPv4 segment without options; numbers near those of the run. */
/* The box behind this leg would take no window from it, and the left anchor has to know (12.4). */
static void an_opening_ack_waits_for_its_syn_ack(void **state)
{
	enum dysco_reason reason = DYSCO_REASON_NONE;
	struct dysco_leg leg = {.mode = DYSCO_MODE_FAST, .role = DYSCO_ROLE_RIGHT};
	struct dysco_packet ack = {.flags = DYSCO_TCP_ACK};
	struct dysco_packet syn_ack = {.flags = DYSCO_TCP_SYN | DYSCO_TCP_ACK};

	(void)state;
	assert_int_equal(dysco_step(&leg, &ack, DYSCO_IN, false, &reason), DYSCO_VERDICT_FAST);
	leg.run[DYSCO_IN].base = DYSCO_BASE_AGENTS;
	assert_int_equal(dysco_step(&leg, &ack, DYSCO_IN, false, &reason), DYSCO_VERDICT_DROP);
	assert_int_equal(reason, DYSCO_REASON_PENDING);
	assert_int_equal(dysco_step(&leg, &ack, DYSCO_OUT, false, &reason), DYSCO_VERDICT_FAST);
	assert_int_equal(dysco_step(&leg, &syn_ack, DYSCO_IN, false, &reason), DYSCO_VERDICT_FAST);
	dysco_step_see(&leg, &syn_ack, DYSCO_IN, 40, 1);
	assert_int_equal(leg.run[DYSCO_IN].base, DYSCO_BASE_AGENTS);
	assert_int_equal(dysco_step(&leg, &ack, DYSCO_IN, false, &reason), DYSCO_VERDICT_FAST);
}

static void plain_segment(struct random *r, const struct dysco_leg_run *run, uint8_t data[40],
			  struct dysco_packet *p)
{
	uint16_t payload = random_below(r, 2) ? (uint16_t)random_below(r, 3000) : 0;
	uint8_t flags = DYSCO_TCP_ACK | (random_below(r, 2) ? DYSCO_TCP_PSH : 0);

	*p = packet(run->seq_end + (random_below(r, 3) ? random_below(r, 4000) - 2000 : 0), payload,
		    run->ack + random_below(r, 3) - 1, flags);
	p->window = (uint16_t)(run->window + random_below(r, 3) - 1);
	memset(data, 0, 40);
	data[0] = 0x45;
	dysco_store16(data + 2, DYSCO_BE16(40 + payload));
	data[9] = DYSCO_PROTO_TCP;
	dysco_store32(data + 24, DYSCO_BE32(p->seq));
	dysco_store32(data + 28, DYSCO_BE32(p->ack));
	data[32] = 0x50;
	data[33] = flags;
	dysco_store16(data + 34, DYSCO_BE16(p->window));
	assert_true(dysco_packet_is_plain(data, data + 40, 40u + payload));
}

static struct dysco_leg random_leg(struct random *r)
{
	struct dysco_leg leg;

	random_fill(r, (uint8_t *)&leg, sizeof(leg));
	leg.mode = (uint8_t)random_below(r, DYSCO_MODE_DEAD + 1);
	leg.role = (uint8_t)random_below(r, DYSCO_ROLE_CONTROL + 1);
	leg.flags &= random_below(r, 2)
			 ? 0xff
			 : (uint8_t) ~(DYSCO_LEG_OFFSETS | DYSCO_LEG_SETTLING | DYSCO_LEG_FLOOR);
	leg.fins = (uint8_t)random_below(r, 2);
	leg.run[DYSCO_OUT].base = (uint8_t)random_below(r, 3);
	leg.run[DYSCO_IN].base = (uint8_t)random_below(r, 3);
	return leg;
}

/* Where the short way is taken, the long way would have done the same. */
static void plain_segments_go_either_way(void **state)
{
	struct random r = {7};
	int taken = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		enum dysco_direction direction = random_below(&r, 2) ? DYSCO_OUT : DYSCO_IN;
		enum dysco_reason reason = DYSCO_REASON_NONE;
		struct dysco_leg leg = random_leg(&r), other = leg;
		struct dysco_packet p;
		uint8_t data[40];

		plain_segment(&r, &leg.run[direction], data, &p);
		if (!dysco_step_settled(&leg, direction) ||
		    !dysco_step_plain(&leg, &leg.run[direction])) {
			continue;
		}
		assert_int_equal(dysco_step(&leg, &p, direction, false, &reason),
				 DYSCO_VERDICT_FAST);
		assert_int_equal(leg.flags & (DYSCO_LEG_OFFSETS | DYSCO_LEG_SETTLING), 0);
		dysco_step_see(&leg, &p, direction, 40 + p.payload_bytes, 5);
		dysco_step_see_plain(&other.run[direction], data, 40 + p.payload_bytes, 5);
		assert_memory_equal(&leg, &other, sizeof(leg));
		assert_true(dysco_step_settled(&leg, direction));
		taken++;
	}
	assert_true(taken > 100);
}

/* Both packets of a round at the same time: rounds[i] counts what thread i has begun. */
#define ROUNDS 20000

struct race {
	struct dysco_leg leg[ROUNDS];
	unsigned int rounds[2];
};

struct racer {
	struct race *race;
	unsigned int self;
	struct dysco_packet p;
};

static void *run_race(void *arg)
{
	struct racer *r = arg;
	struct race *race = r->race;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		__atomic_store_n(&race->rounds[r->self], i + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&race->rounds[!r->self], __ATOMIC_ACQUIRE) <= i) {
			sched_yield();
		}
		dysco_step_see(&race->leg[i], &r->p, DYSCO_IN, 40, 1);
	}
	return NULL;
}

/* A process sends its FIN while an interrupt acknowledges the peer's. */
static void two_cpus_note_a_direction_at_once(void **state)
{
	struct race *race = calloc(1, sizeof(*race));
	struct racer fin = {race, 0, packet(501, 0, 0xfffffff1u, DYSCO_TCP_FIN | DYSCO_TCP_ACK)};
	struct racer ack = {race, 1, packet(501, 0, 0xfffffff2u, DYSCO_TCP_ACK)};
	pthread_t other;

	(void)state;
	assert_non_null(race);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		race->leg[i] = connected();
		see(&race->leg[i], DYSCO_OUT, 0xfffffff1u, 0, 501, DYSCO_TCP_FIN | DYSCO_TCP_ACK);
	}
	assert_int_equal(pthread_create(&other, NULL, run_race, &fin), 0);
	run_race(&ack);
	pthread_join(other, NULL);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_int_equal(dysco_leg_state(&race->leg[i]), DYSCO_STATE_CLOSING);
		assert_true(race->leg[i].run[DYSCO_IN].seen & DYSCO_SEEN_FINACK);
	}
	free(race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_wrap),
	    cmocka_unit_test(both_fins_acknowledged_end_it),
	    cmocka_unit_test(a_fin_with_the_syn_closes_nothing),
	    cmocka_unit_test(resets_that_the_receiver_would_not_take_do_not_count),
	    cmocka_unit_test(reset_of_a_syn_must_acknowledge_it),
	    cmocka_unit_test(a_syn_in_the_middle_of_a_session_says_nothing),
	    cmocka_unit_test(old_fin_is_not_the_last),
	    cmocka_unit_test(numbers_before_the_syn_do_not_count),
	    cmocka_unit_test(a_keepalive_says_nothing),
	    cmocka_unit_test(a_hosts_window_replaces_that_of_a_new_paths_handshake),
	    cmocka_unit_test(verdicts),
	    cmocka_unit_test(refusal_of_a_syn_goes_to_the_core),
	    cmocka_unit_test(an_opening_ack_waits_for_its_syn_ack),
	    cmocka_unit_test(plain_segments_go_either_way),
	    cmocka_unit_test(two_cpus_note_a_direction_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
