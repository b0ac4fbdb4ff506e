/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of two paths by name, with the numbers of real sessions: what the
 * exhaustive tests (tests/exhaustive) check by property, here as sequences.
 *
 * The host has sent up to CUT, next to the wrap; the peer's cut is P.
 */
#include "core/twopath.h"
#include "rewrite/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CUT 0xffffffc0u
#define P   5000u

/* Everything sent is under way, everything received is acknowledged; windows of 1000. */
static struct dysco_two start(bool peer_known)
{
	struct dysco_two two;

	dysco_two_start(&two, CUT, CUT - 300, CUT + 700, P, P, P + 1000);
	if (peer_known) {
		dysco_two_peer_cut(&two, P);
	}
	return two;
}

static struct dysco_segment segment(uint32_t seq, uint32_t bytes, uint32_t ack, uint32_t window)
{
	struct dysco_segment s = {
	    .seq = seq, .bytes = bytes, .ack = ack, .edge = ack + window, .flags = DYSCO_TCP_ACK};

	return s;
}

static struct dysco_parts route(struct dysco_two *two, struct dysco_segment s)
{
	struct dysco_parts parts;

	dysco_two_route(two, &s, &parts);
	return parts;
}

static void bytes_are_divided_at_the_cut(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(CUT - 10, 100, P, 1000);
	struct dysco_parts parts;

	(void)state;
	s.flags |= DYSCO_TCP_FIN | DYSCO_TCP_PSH | DYSCO_TCP_CWR;
	parts = route(&two, s);
	assert_int_equal(parts.count, 2);
	assert_int_equal(parts.part[0].path, DYSCO_PATH_OLD);
	assert_int_equal(parts.part[0].s.bytes, 10);
	assert_int_equal(parts.part[0].s.flags, DYSCO_TCP_ACK | DYSCO_TCP_CWR);
	assert_int_equal(parts.part[1].s.seq, CUT);
	assert_int_equal(parts.part[1].s.skip, 10);
	assert_int_equal(parts.part[1].s.bytes, 90);
	assert_int_equal(parts.part[1].s.flags, DYSCO_TCP_ACK | DYSCO_TCP_FIN | DYSCO_TCP_PSH);
}

static void urgent_goes_where_its_pointer_is(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(CUT - 10, 100, P, 1000);
	struct dysco_parts parts;

	(void)state;
	s.flags |= DYSCO_TCP_URG;
	s.urgent = 10;
	parts = route(&two, s);
	assert_true(parts.part[0].s.flags & DYSCO_TCP_URG);
	assert_int_equal(parts.part[0].s.urgent, 10);
	assert_false(parts.part[1].s.flags & DYSCO_TCP_URG);
	s.urgent = 11;
	parts = route(&two, s);
	assert_false(parts.part[0].s.flags & DYSCO_TCP_URG);
	assert_int_equal(parts.part[1].s.urgent, 1);
}

/* A new byte has to be sent while old ones of the peer are missing: that is no acknowledgement. */
static void the_base_is_no_acknowledgement(void **state)
{
	struct dysco_two left = start(true);
	struct dysco_two right;
	struct dysco_parts parts;

	(void)state;
	left.host_ack = P - 200;
	parts = route(&left, segment(CUT, 10, P - 200, 1200));
	assert_int_equal(parts.part[parts.count - 1].path, DYSCO_PATH_NEW);
	assert_int_equal(parts.part[parts.count - 1].s.ack, P);
	/* The other anchor's host has sent up to P, of which P - 200 is acknowledged. */
	dysco_two_start(&right, P, P - 200, P + 1000, CUT, CUT, CUT + 1000);
	dysco_two_peer_cut(&right, CUT);
	assert_true(dysco_two_merge(&right, DYSCO_PATH_NEW, &parts.part[parts.count - 1].s));
	assert_int_equal(parts.part[parts.count - 1].s.ack, P - 200);
	assert_false(dysco_two_sent_done(&right));
}

/* The window was shut at the cut, and opens: the acknowledgement is a duplicate, but must pass. */
static void a_window_opens(void **state)
{
	struct dysco_two two, peer;
	struct dysco_parts parts;

	(void)state;
	dysco_two_start(&two, CUT, CUT, CUT + 700, P, P, P);
	dysco_two_peer_cut(&two, P);
	dysco_two_start(&peer, P, P, P, CUT, CUT, CUT + 700);
	dysco_two_peer_cut(&peer, CUT);
	route(&two, segment(CUT, 50, P, 0));
	parts = route(&two, segment(CUT + 50, 0, P, 2000));
	assert_int_equal(parts.count, 2); /* the new path's boxes learn of it too */
	for (int i = 0; i < 2; i++) {
		struct dysco_two other = peer;
		struct dysco_segment s = parts.part[i].s;

		assert_int_equal(s.edge, P + 2000);
		if (parts.part[i].path == DYSCO_PATH_NEW) {
			assert_true(dysco_two_merge(&other, DYSCO_PATH_NEW, &s));
			assert_int_equal(s.ack, P);
			assert_int_equal(s.edge, P + 2000);
		} else {
			/* A box of the new path would drop what it has seen no window for. */
			dysco_two_merge(&other, DYSCO_PATH_OLD, &s);
			assert_int_equal(other.edge, P);
		}
	}
}

/* The ACK of the new path's handshake: its window was not counted from the cuts. */
static void the_handshakes_window_is_none(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(P, 0, CUT, 30000);

	(void)state;
	assert_false(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
	assert_int_equal(two.edge, CUT + 700);
	s = segment(P, 0, CUT, 30000);
	s.flags |= DYSCO_TCP_PSH; /* a host's that has the same numbers */
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
	assert_int_equal(two.edge, CUT + 30000);
}

/* It was said on the new path, and lost there: who waits for it probes by the old one. */
static void a_window_that_was_lost_is_told_again(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment asked = segment(P - 1, 0, CUT, 1000);
	struct dysco_parts parts = route(&two, segment(CUT, 0, P, 3000));

	(void)state;
	assert_int_equal(parts.count, 2);
	assert_true(parts.part[1].s.flags & DYSCO_TCP_PSH);
	parts = route(&two, segment(CUT, 0, P, 3000));
	assert_int_equal(parts.count, 1);
	assert_true(dysco_two_merge(&two, DYSCO_PATH_OLD, &asked));
	parts = route(&two, segment(CUT, 0, P, 3000));
	assert_int_equal(parts.count, 2);
	assert_int_equal(parts.part[1].path, DYSCO_PATH_NEW);
	assert_int_equal(parts.part[1].s.edge, P + 3000);
}

/* No other window could be right before it is known where the peer's new path begins. */
static void no_window_before_the_peers_cut(void **state)
{
	struct dysco_two two = start(false);
	struct dysco_parts parts = route(&two, segment(CUT, 100, P, 1000));

	(void)state;
	assert_int_equal(parts.count, 1);
	assert_int_equal(parts.part[0].path, DYSCO_PATH_NEW);
	assert_int_equal(parts.part[0].s.ack, two.peer_cut);
	assert_int_equal(parts.part[0].s.edge, two.peer_cut);
	assert_false(dysco_two_done(&two));
}

static void probe(uint32_t seq, uint32_t ack, enum dysco_path path)
{
	struct dysco_two two = start(true);
	struct dysco_parts parts;

	route(&two, segment(CUT, 50, P, 1000));
	parts = route(&two, segment(seq, 0, ack, 1000));
	assert_int_equal(parts.count, 1);
	assert_int_equal(parts.part[0].path, path);
	assert_int_equal(parts.part[0].s.seq, seq);
}

/* Keepalives and window probes have a number below what was sent: by it they are answered. */
static void probes_keep_their_number(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(P - 1, 0, CUT - 300, 1000);

	(void)state;
	probe(CUT - 1, P, DYSCO_PATH_OLD);
	probe(CUT + 49, P, DYSCO_PATH_NEW);
	assert_true(dysco_two_merge(&two, DYSCO_PATH_OLD, &s));
	assert_int_equal(s.seq, P - 1);
	assert_true(two.owes[DYSCO_PATH_OLD]);
}

/* What had to stop at the cut on the old path is lifted, or the host would not look at it. */
static void an_old_acknowledgement_is_lifted(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment data = segment(P, 400, CUT, 1000),
			     ack = segment(P, 0, CUT - 100, 1000);

	(void)state;
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &data));
	route(&two, segment(CUT, 0, P + 400, 600));
	assert_true(dysco_two_merge(&two, DYSCO_PATH_OLD, &ack));
	assert_int_equal(ack.seq, P + 400);
	assert_int_equal(ack.ack, CUT - 100);
}

static void old_acknowledgements_do_not_become_duplicates(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment news = segment(P, 0, CUT + 20, 1000);
	struct dysco_segment late = segment(P, 0, CUT - 100, 1000);
	struct dysco_segment again = segment(P, 0, CUT + 20, 1000);

	(void)state;
	route(&two, segment(CUT, 50, P, 1000));
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &news));
	assert_true(dysco_two_sent_done(&two)); /* it covers all that is old */
	assert_false(dysco_two_merge(&two, DYSCO_PATH_OLD, &late));
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &again)); /* a real duplicate */
}

static void blocks_go_to_their_path(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(CUT, 0, P - 200, 1000);
	struct dysco_parts parts;

	(void)state;
	two.host_ack = P - 200;
	s.n_sack = 2;
	s.sack[0] = (struct dysco_sack){P - 100, P + 30};
	s.sack[1] = (struct dysco_sack){P + 60, P + 90};
	parts = route(&two, s);
	assert_int_equal(parts.count, 2);
	assert_int_equal(parts.part[0].s.n_sack, 1);
	assert_int_equal(parts.part[0].s.sack[0].to, P);
	assert_int_equal(parts.part[1].s.ack, P);
	assert_int_equal(parts.part[1].s.n_sack, 2);
	assert_int_equal(parts.part[1].s.sack[0].from, P);
	assert_int_equal(parts.part[1].s.sack[1].from, P + 60);
}

static void duplicate_blocks_pass_and_stale_ones_do_not(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(P, 0, CUT - 200, 1000);

	(void)state;
	s.n_sack = 2;
	s.sack[0] = (struct dysco_sack){CUT - 250, CUT - 240};
	s.sack[1] = (struct dysco_sack){CUT - 150, CUT - 140};
	two.acked = CUT - 100;
	assert_true(dysco_two_merge(&two, DYSCO_PATH_OLD, &s));
	assert_int_equal(s.ack, CUT - 100);
	assert_int_equal(s.n_sack, 1);
	assert_int_equal(s.sack[0].from, CUT - 250);
}

static void timestamps_do_not_run_backwards(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment fast = segment(P, 10, CUT - 300, 1000);
	struct dysco_segment slow = segment(P - 10, 10, CUT - 300, 1000);

	(void)state;
	fast.has_ts = slow.has_ts = true;
	fast.tsval = 3;
	slow.tsval = 0xfffffff0u;
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &fast));
	assert_true(dysco_two_merge(&two, DYSCO_PATH_OLD, &slow));
	assert_int_equal(slow.tsval, 3);
}

static void a_boxs_keepalive_brings_no_byte(void **state)
{
	struct dysco_two two;
	struct dysco_segment s = segment(P - 1, 1, CUT, 1000);

	(void)state;
	dysco_two_start(&two, CUT, CUT, CUT + 700, P - 50, P - 50, P + 950);
	dysco_two_peer_cut(&two, P);
	if (dysco_two_merge(&two, DYSCO_PATH_NEW, &s)) {
		assert_int_equal(s.bytes, 0);
	}
	assert_int_equal(two.seq_end, P - 50);
}

static void resets_go_both_ways_and_come_exactly(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(CUT, 0, P, 0), other;
	struct dysco_parts parts;

	(void)state;
	s.flags |= DYSCO_TCP_RST;
	parts = route(&two, s);
	assert_int_equal(parts.count, 2);
	assert_int_equal(parts.part[0].s.seq, CUT);
	assert_int_equal(parts.part[1].s.seq, CUT);

	two = start(true);
	s = segment(P, 100, CUT, 1000);
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
	s = segment(P, 0, CUT, 0);
	s.flags |= DYSCO_TCP_RST;
	assert_true(
	    dysco_two_merge(&two, DYSCO_PATH_OLD, &s)); /* as far as the old path knows, exact */
	assert_int_equal(s.seq, P + 100);
	assert_true(two.reset);
	dysco_two_reset_part(&two, DYSCO_PATH_NEW, &other);
	assert_int_equal(other.seq, CUT);
	assert_true(other.flags & DYSCO_TCP_RST);
}

static void resets_out_of_place_are_judged_by_the_host(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(P + 7, 0, CUT, 0);

	(void)state;
	s.flags |= DYSCO_TCP_RST;
	assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
	assert_int_equal(s.seq, P + 7);
	assert_false(two.reset);
	s.seq = P + 1001;
	assert_false(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
	s.seq = P - 1;
	assert_false(dysco_two_merge(&two, DYSCO_PATH_OLD, &s));
}

/* The peer sends nothing and is done at once; we are when all is acknowledged. */
static void idle_directions_are_over_at_once(void **state)
{
	struct dysco_two two = start(true);
	struct dysco_segment s = segment(P, 0, CUT, 1000);

	(void)state;
	assert_true(dysco_two_received_done(&two));
	assert_false(dysco_two_done(&two));
	dysco_two_merge(&two, DYSCO_PATH_OLD, &s);
	assert_true(dysco_two_done(&two));
}

/* Three times around, the other direction draining all the while. */
static void long_drains_do_not_wrap(void **state)
{
	struct dysco_two two;

	(void)state;
	dysco_two_start(&two, CUT, CUT, CUT + 700, P - 50, P - 50, P + 950);
	dysco_two_peer_cut(&two, P);
	for (uint64_t n = 0; n < UINT64_C(3) << 32; n += 60000000) {
		uint32_t at = CUT + (uint32_t)n;
		struct dysco_segment s = segment(P, 0, at + 60000000, 90000000);
		struct dysco_parts parts = route(&two, segment(at, 60000000, P - 50, 1000));

		assert_int_equal(parts.part[parts.count - 1].path, DYSCO_PATH_NEW);
		assert_int_equal(parts.part[parts.count - 1].s.bytes, 60000000);
		assert_true(dysco_two_merge(&two, DYSCO_PATH_NEW, &s));
		assert_int_equal(s.ack, at + 60000000);
		assert_true(dysco_two_sent_done(&two));
		assert_false(dysco_two_received_done(&two));
	}
}

static void the_floor(void **state)
{
	struct dysco_segment s = segment(CUT - 20, 20, P, 1000);

	(void)state;
	assert_int_equal(dysco_two_floor(CUT, &s), DYSCO_FLOOR_ANSWER);
	s = segment(CUT - 20, 50, P, 1000);
	assert_int_equal(dysco_two_floor(CUT, &s), DYSCO_FLOOR_CUT);
	assert_int_equal(s.skip, 20);
	s = segment(CUT - 1, 0, P, 1000);
	assert_int_equal(dysco_two_floor(CUT, &s), DYSCO_FLOOR_KEEP);
	s = segment(CUT - 2, 0, P, 1000);
	assert_int_equal(dysco_two_floor(CUT, &s), DYSCO_FLOOR_ANSWER);
	s.flags |= DYSCO_TCP_RST;
	assert_int_equal(dysco_two_floor(CUT, &s), DYSCO_FLOOR_CUT);
	assert_int_equal(s.seq, CUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_divided_at_the_cut),
	    cmocka_unit_test(urgent_goes_where_its_pointer_is),
	    cmocka_unit_test(the_base_is_no_acknowledgement),
	    cmocka_unit_test(a_window_opens),
	    cmocka_unit_test(the_handshakes_window_is_none),
	    cmocka_unit_test(a_window_that_was_lost_is_told_again),
	    cmocka_unit_test(no_window_before_the_peers_cut),
	    cmocka_unit_test(probes_keep_their_number),
	    cmocka_unit_test(an_old_acknowledgement_is_lifted),
	    cmocka_unit_test(old_acknowledgements_do_not_become_duplicates),
	    cmocka_unit_test(blocks_go_to_their_path),
	    cmocka_unit_test(duplicate_blocks_pass_and_stale_ones_do_not),
	    cmocka_unit_test(timestamps_do_not_run_backwards),
	    cmocka_unit_test(a_boxs_keepalive_brings_no_byte),
	    cmocka_unit_test(resets_go_both_ways_and_come_exactly),
	    cmocka_unit_test(resets_out_of_place_are_judged_by_the_host),
	    cmocka_unit_test(idle_directions_are_over_at_once),
	    cmocka_unit_test(long_drains_do_not_wrap),
	    cmocka_unit_test(the_floor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
