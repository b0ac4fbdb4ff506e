/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of a session in two paths: core/relay.c, at the client of the rig, with a
 * new leg beside the one of the chain; and a leg that translates numbers, in the
 * core and in the sim datapath.
 *
 *     host 10.0.0.1:4000 --- old leg, to the box
 *                        `-- new leg, 10.0.0.1:50000 to 10.0.0.3:50001
 */
#include "core/segment.h"
#include "tests/unit/packets.h"
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPORT	 4000
#define ISN	 0xfffffff0u /* of the new path */
#define PEER_ISN 70000u
/* The rig's handshake: client's numbers from 101, server's from 501; the client then sends 100. */
#define CUT  201u
#define PEER 501u

struct scene {
	struct rig *rig;
	struct dysco_core *core;
	struct dysco_attempt a;
	struct dysco_actions *out;
	struct dysco_tuple session;
};

static uint32_t make_new_leg(struct scene *s)
{
	uint32_t slot = dysco_leg_alloc(s->core);
	struct dysco_leg *leg = dysco_leg_at(s->core, slot);
	const struct dysco_leg *old = dysco_leg_at(s->core, s->a.old_slot);

	*dysco_cold_at(s->core, slot) = *dysco_cold_at(s->core, s->a.old_slot);
	leg->role = old->role;
	leg->host = old->host;
	leg->attachment = old->attachment;
	leg->host_tuple = old->host_tuple;
	leg->wire_tuple = (struct dysco_tuple){rig_addr(CLIENT, true), rig_addr(SERVER, true),
					       DYSCO_BE16(50000), DYSCO_BE16(50001)};
	dysco_leg_named(s->core, slot);
	assert_int_equal(dysco_leg_bind(s->core, slot, DYSCO_IN), 0);
	leg->mode = DYSCO_MODE_PUNT;
	return slot;
}

static struct scene begin(bool peer_known)
{
	static const uint8_t payload[100];
	struct scene s = {.rig = rig_new(), .session = rig_session(SPORT, true)};
	struct rig_packet data =
	    rig_segment(&s.session, 101, PEER, DYSCO_TCP_ACK, payload, sizeof(payload));

	rig_connect(s.rig, &s.session);
	assert_true(rig_to_server(s.rig, &data).bytes > 0);
	s.core = &s.rig->agent[CLIENT].core;
	s.out = &s.rig->agent[CLIENT].out;
	s.a.old_slot = dysco_find(s.core, &s.session, CLIENT + 1, DYSCO_OUT);
	assert_int_not_equal(s.a.old_slot, DYSCO_NO_SLOT);
	s.a.new_slot = make_new_leg(&s);
	s.a.isn = ISN;
	s.a.peer_isn = PEER_ISN;
	dysco_leg_at(s.core, s.a.old_slot)->mode = DYSCO_MODE_PUNT;
	dysco_relay_begin(s.core, &s.a);
	if (peer_known) {
		dysco_relay_peer_cut(s.core, &s.a, PEER);
	}
	return s;
}

static void end(struct scene *s)
{
	free(s->rig);
}

static struct dysco_work work_of(struct scene *s, enum dysco_direction direction,
				 struct dysco_input *in, const uint8_t *data, size_t bytes)
{
	struct dysco_work w = {.core = s->core, .in = in, .out = s->out, .now_ns = 5};

	*in = (struct dysco_input){.attachment = 1,
				   .host = CLIENT + 1,
				   .direction = (uint8_t)direction,
				   .data = data,
				   .bytes = (uint32_t)bytes};
	s->out->count = 0;
	s->out->used = 0;
	assert_int_equal(dysco_packet_parse(&w.p, data, data + bytes, (uint32_t)bytes),
			 DYSCO_PARSE_TCP);
	return w;
}

static void relay_out(struct scene *s, const struct rig_packet *packet)
{
	struct dysco_input in;
	struct dysco_work w = work_of(s, DYSCO_OUT, &in, packet->data, packet->bytes);

	dysco_relay_out(s->core, &w, &s->a);
}

static void relay_in(struct scene *s, enum dysco_path path, const struct rig_packet *packet)
{
	struct dysco_input in;
	struct dysco_work w = work_of(s, DYSCO_IN, &in, packet->data, packet->bytes);

	dysco_relay_in(s->core, &w, &s->a, path);
}

/* The n-th packet the core gave, whole and of the leg it says. */
static struct rig_packet result(const struct scene *s, uint32_t n, enum dysco_action_kind kind,
				uint32_t slot)
{
	const struct dysco_action *action = &s->out->list[n];
	const struct dysco_leg *leg = dysco_leg_at(s->core, slot);
	struct dysco_tuple inward = dysco_tuple_reverse(&leg->host_tuple);
	struct rig_packet got = {.bytes = action->bytes};

	assert_true(n < s->out->count);
	assert_int_equal(action->kind, kind);
	assert_int_equal(action->slot, slot);
	memcpy(got.data, &s->out->arena[action->offset], got.bytes);
	assert_int_equal(
	    dysco_packet_parse(&got.p, got.data, got.data + got.bytes, (uint32_t)got.bytes),
	    DYSCO_PARSE_TCP);
	assert_true(dysco_edit_checksum_ok(&got.p, got.data, got.bytes));
	assert_true(
	    dysco_tuple_equal(&got.p.tuple, kind == DYSCO_ACT_SEND ? &leg->wire_tuple : &inward));
	return got;
}

static struct rig_packet from_path(const struct scene *s, enum dysco_path path, uint32_t seq,
				   uint32_t ack, uint8_t flags, const void *payload, size_t bytes)
{
	const struct dysco_leg *leg =
	    dysco_leg_at(s->core, path == DYSCO_PATH_OLD ? s->a.old_slot : s->a.new_slot);
	struct dysco_tuple tuple = dysco_tuple_reverse(&leg->wire_tuple);

	return rig_segment(&tuple, seq, ack, flags, payload, bytes);
}

static void one_segment_takes_both_paths(void **state)
{
	struct scene s = begin(true);
	struct rig_packet data =
	    rig_segment(&s.session, CUT - 4, PEER, DYSCO_TCP_ACK | DYSCO_TCP_PSH, "oldfresh", 8);
	struct rig_packet got;

	(void)state;
	relay_out(&s, &data);
	assert_int_equal(s.out->count, 2);
	got = result(&s, 0, DYSCO_ACT_SEND, s.a.old_slot);
	assert_int_equal(got.p.seq, CUT - 4);
	assert_int_equal(got.p.payload_bytes, 4);
	assert_memory_equal(got.data + got.p.payload, "oldf", 4);
	assert_int_equal(got.p.ack, PEER);
	got = result(&s, 1, DYSCO_ACT_SEND, s.a.new_slot);
	assert_int_equal(got.p.seq, ISN + 1);
	assert_int_equal(got.p.payload_bytes, 4);
	assert_memory_equal(got.data + got.p.payload, "resh", 4);
	assert_int_equal(got.p.ack, PEER_ISN + 1);
	assert_true(got.p.flags & DYSCO_TCP_PSH);
	for (int i = 0; i < 2; i++) { /* both legs know what the host has sent */
		uint32_t slot = i ? s.a.new_slot : s.a.old_slot;

		assert_int_equal(dysco_leg_at(s.core, slot)->run[DYSCO_OUT].seq_end, CUT + 4);
	}
	end(&s);
}

static void nothing_of_the_new_path_before_the_peers_cut(void **state)
{
	struct scene s = begin(false);
	struct rig_packet data =
	    from_path(&s, DYSCO_PATH_NEW, PEER_ISN + 1, ISN + 1, DYSCO_TCP_ACK, "early", 5);

	(void)state;
	relay_in(&s, DYSCO_PATH_NEW, &data);
	assert_int_equal(s.out->count, 1);
	assert_int_equal(s.out->list[0].kind, DYSCO_ACT_DROP);
	assert_int_equal(rig_drops(s.rig, CLIENT, DYSCO_REASON_SAID), 1);
	assert_false(s.a.seen & DYSCO_ATTEMPT_TAKEN);
	end(&s);
}

static void both_paths_are_one_to_the_host(void **state)
{
	struct scene s = begin(true);
	struct rig_packet fresh =
	    from_path(&s, DYSCO_PATH_NEW, PEER_ISN + 1, ISN + 1, DYSCO_TCP_ACK, "fresh", 5);
	struct rig_packet late = from_path(&s, DYSCO_PATH_OLD, PEER, CUT, DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet got;

	(void)state;
	relay_in(&s, DYSCO_PATH_NEW, &fresh);
	got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.new_slot);
	assert_int_equal(got.p.seq, PEER);
	assert_memory_equal(got.data + got.p.payload, "fresh", 5);
	assert_int_equal(got.p.ack, s.a.two.acked);
	assert_true(got.p.ack != CUT); /* the base says nothing */
	assert_true(s.a.seen & DYSCO_ATTEMPT_TAKEN);
	relay_in(&s, DYSCO_PATH_OLD, &late);
	got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.old_slot);
	assert_int_equal(got.p.ack, CUT);
	assert_true(dysco_two_sent_done(&s.a.two));
	assert_int_equal(dysco_leg_at(s.core, s.a.new_slot)->run[DYSCO_IN].ack, CUT);
	end(&s);
}

/* A new checksum must not make a damaged packet a good one. */
static void damaged_packets_stay_out(void **state)
{
	struct scene s = begin(true);
	struct rig_packet data = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, "x", 1);
	struct rig_packet back = from_path(&s, DYSCO_PATH_OLD, PEER, CUT, DYSCO_TCP_ACK, "y", 1);

	(void)state;
	data.data[data.p.payload] ^= 1;
	back.data[back.p.payload] ^= 1;
	relay_out(&s, &data);
	relay_in(&s, DYSCO_PATH_OLD, &back);
	assert_int_equal(rig_drops(s.rig, CLIENT, DYSCO_REASON_BAD_PACKET), 2);
	assert_int_equal(s.a.two.sent_end, CUT);
	end(&s);
}

static void a_reset_goes_on_to_the_other_path(void **state)
{
	struct scene s = begin(true);
	struct rig_packet rst =
	    from_path(&s, DYSCO_PATH_OLD, PEER, CUT, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet got;

	(void)state;
	relay_in(&s, DYSCO_PATH_OLD, &rst);
	assert_int_equal(s.out->count, 2);
	got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.old_slot);
	assert_int_equal(got.p.seq, PEER);
	got = result(&s, 1, DYSCO_ACT_SEND, s.a.new_slot);
	assert_int_equal(got.p.seq, ISN + 1);
	assert_int_equal(got.p.ack, PEER_ISN + 1);
	assert_true(got.p.flags & DYSCO_TCP_RST);
	relay_in(&s, DYSCO_PATH_OLD, &rst); /* delivered again, but told only once */
	assert_int_equal(s.out->count, 1);
	end(&s);
}

static void our_hosts_reset_takes_both(void **state)
{
	struct scene s = begin(true);
	struct rig_packet rst = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_RST, NULL, 0);

	(void)state;
	relay_out(&s, &rst);
	assert_int_equal(s.out->count, 2);
	assert_int_equal(result(&s, 0, DYSCO_ACT_SEND, s.a.old_slot).p.seq, CUT);
	assert_int_equal(result(&s, 1, DYSCO_ACT_SEND, s.a.new_slot).p.seq, ISN + 1);
	end(&s);
}

/* As segmentation offload hands it over: two parts of one packet of 60,000 bytes fit the arena. */
static void large_segments_are_divided(void **state)
{
	static uint8_t payload[60000], data[65536];
	struct scene s = begin(true);
	struct dysco_input in;
	struct dysco_work w;
	size_t bytes;

	(void)state;
	bytes = dysco_edit_make_segment(data, sizeof(data), &s.session, CUT - 90, PEER,
					DYSCO_TCP_ACK, 100, 0, payload, sizeof(payload));
	w = work_of(&s, DYSCO_OUT, &in, data, bytes);
	dysco_relay_out(s.core, &w, &s.a);
	assert_int_equal(s.out->count, 2);
	assert_int_equal(s.out->list[0].bytes, 40 + 90);
	assert_int_equal(s.out->list[1].bytes, 40 + 60000 - 90);
	end(&s);
}

/* The new leg takes over; all of the old path is acknowledged. */
static void complete(struct scene *s)
{
	struct dysco_leg *old, *new;
	struct rig_packet ack = from_path(s, DYSCO_PATH_OLD, PEER, CUT, DYSCO_TCP_ACK, NULL, 0);

	relay_in(s, DYSCO_PATH_OLD, &ack);
	assert_true(dysco_two_done(&s->a.two));
	dysco_relay_end(s->core, &s->a, DYSCO_PATH_NEW);
	old = dysco_leg_at(s->core, s->a.old_slot);
	new = dysco_leg_at(s->core, s->a.new_slot);
	old->mode = DYSCO_MODE_DEAD;
	dysco_leg_unbind(s->core, s->a.old_slot, DYSCO_OUT);
	assert_int_equal(dysco_leg_bind(s->core, s->a.new_slot, DYSCO_OUT), 0);
	new->mode = DYSCO_MODE_FAST;
}

static void afterwards_the_datapath_translates(void **state)
{
	struct scene s = begin(true);
	struct rig_packet data = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, "abc", 3);
	struct rig_packet back, got;
	const struct dysco_leg *leg = dysco_leg_at(s.core, s.a.new_slot);

	(void)state;
	complete(&s);
	got = rig_out(s.rig, CLIENT, &data);
	assert_true(dysco_tuple_equal(&got.p.tuple, &leg->wire_tuple));
	assert_int_equal(got.p.seq, ISN + 1);
	assert_int_equal(got.p.ack, PEER_ISN + 1);
	assert_true(dysco_edit_checksum_ok(&got.p, got.data, got.bytes));
	back = from_path(&s, DYSCO_PATH_NEW, PEER_ISN + 1, ISN + 4, DYSCO_TCP_ACK, "defg", 4);
	got = rig_in(s.rig, CLIENT, &back);
	assert_int_equal(got.p.seq, PEER);
	assert_int_equal(got.p.ack, CUT + 3);
	assert_true(dysco_edit_checksum_ok(&got.p, got.data, got.bytes));
	assert_int_equal(leg->run[DYSCO_OUT].seq_end, CUT + 3); /* the host's numbers, both ways */
	assert_int_equal(leg->run[DYSCO_IN].seq_end, PEER + 4);
	assert_int_equal(leg->run[DYSCO_IN].ack, CUT + 3);
	end(&s);
}

/* What a datapath hands over instead is translated in the same way. */
static void afterwards_the_core_translates_too(void **state)
{
	struct scene s = begin(true);
	struct rig_packet data = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, "abc", 3), fast;
	struct dysco_input in = {.attachment = 1, .host = CLIENT + 1, .data = data.data};
	struct rig_packet got;

	(void)state;
	complete(&s);
	in.bytes = (uint32_t)data.bytes;
	dysco_core_packet_received(s.core, 9, &in, s.out);
	got = result(&s, 0, DYSCO_ACT_SEND, s.a.new_slot);
	fast = rig_out(s.rig, CLIENT, &data);
	assert_int_equal(got.bytes, fast.bytes);
	assert_memory_equal(got.data, fast.data, fast.bytes);
	end(&s);
}

static void what_is_below_the_floor_is_answered(void **state)
{
	struct scene s = begin(true);
	struct rig_packet again = rig_segment(&s.session, CUT - 50, PEER, DYSCO_TCP_ACK, "abc", 3);
	struct rig_packet across = rig_segment(&s.session, CUT - 2, PEER, DYSCO_TCP_ACK, "abc", 3);
	struct rig_packet alive = rig_segment(&s.session, CUT - 1, PEER, DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet got;

	(void)state;
	complete(&s);
	rig_out(s.rig, CLIENT, &again);
	got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.new_slot);
	assert_int_equal(got.p.ack, CUT);
	assert_int_equal(got.p.seq, PEER);
	assert_int_equal(got.p.payload_bytes, 0);
	assert_int_equal(got.p.window, 900); /* up to where it was granted at the cut */
	got = rig_out(s.rig, CLIENT, &across);
	assert_int_equal(got.p.seq, ISN + 1);
	assert_memory_equal(got.data + got.p.payload, "c", 1);
	got = rig_out(s.rig, CLIENT, &alive);
	assert_int_equal(got.p.seq, ISN);
	assert_int_equal(got.p.payload_bytes, 0);
	end(&s);
}

static struct rig_packet empty_at_base(struct scene *s, uint32_t ack, uint8_t flags)
{
	struct rig_packet p = from_path(s, DYSCO_PATH_NEW, PEER_ISN + 1, ISN + ack, flags, NULL, 0);

	return rig_in(s->rig, CLIENT, &p);
}

/* Its window was counted from another number; one of a host at that place has PSH. */
static void a_late_handshake_tells_no_window(void **state)
{
	struct scene s = begin(true);
	struct rig_packet update = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet data = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, "abc", 3), got;

	(void)state;
	complete(&s);
	assert_int_equal(empty_at_base(&s, 1, DYSCO_TCP_ACK).bytes, 0);
	assert_int_equal(rig_drops(s.rig, CLIENT, DYSCO_REASON_LATE), 1);
	got = empty_at_base(&s, 1, DYSCO_TCP_ACK | DYSCO_TCP_PSH);
	assert_int_equal(got.p.seq, PEER);
	assert_int_equal(got.p.ack, CUT);
	got = rig_out(s.rig, CLIENT, &update); /* our host's, by way of the core */
	assert_int_equal(got.p.flags, DYSCO_TCP_ACK | DYSCO_TCP_PSH);
	assert_int_equal(got.p.seq, ISN + 1);
	assert_int_equal(got.p.ack, PEER_ISN + 1);
	assert_int_equal(got.p.window, 1000);
	got = rig_out(s.rig, CLIENT, &data);
	assert_int_equal(got.p.flags, DYSCO_TCP_ACK);
	assert_true(empty_at_base(&s, 4, DYSCO_TCP_ACK).bytes > 0);
	end(&s);
}

/* All that is known is the window of an earlier new path's handshake: of that nothing is granted.
 */
static void a_handshakes_window_is_not_granted_on(void **state)
{
	struct scene s = begin(false);
	struct dysco_leg *old = dysco_leg_at(s.core, s.a.old_slot);

	(void)state;
	assert_int_equal(s.a.two.host_edge, PEER + 1000);
	old->run[DYSCO_OUT].base = DYSCO_BASE_AGENTS;
	old->run[DYSCO_IN].base = DYSCO_BASE_AGENTS;
	dysco_relay_begin(s.core, &s.a);
	assert_int_equal(s.a.two.host_edge, PEER);
	assert_int_equal(s.a.two.edge, old->run[DYSCO_IN].ack);
	end(&s);
}

/* 2^30 bytes on, numbers below the floor are numbers ahead. */
static void the_floor_goes_away(void **state)
{
	struct scene s = begin(true);
	struct rig_packet data =
	    rig_segment(&s.session, CUT + 0x90000000u, PEER, DYSCO_TCP_ACK, "abc", 3);
	struct dysco_leg *leg = dysco_leg_at(s.core, s.a.new_slot);
	struct rig_packet got;

	(void)state;
	complete(&s);
	leg->run[DYSCO_IN].ack = CUT + 0x90000000u;
	got = rig_out(s.rig, CLIENT, &data);
	assert_int_equal(got.p.seq, ISN + 1 + 0x90000000u);
	assert_false(leg->flags & DYSCO_LEG_FLOOR);
	end(&s);
}

/* The acknowledgement of what was sent below the cut was lost, or will come to a tombstone. */
static void the_peers_done_acknowledges(void **state)
{
	struct scene s = begin(true);
	struct rig_packet late = from_path(&s, DYSCO_PATH_OLD, PEER, CUT, DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet got;

	(void)state;
	dysco_relay_peer_done(s.core, 9, &s.a, s.out);
	got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.old_slot);
	assert_int_equal(got.p.flags, DYSCO_TCP_ACK);
	assert_int_equal(got.p.seq, PEER);
	assert_int_equal(got.p.ack, CUT);
	assert_int_equal(got.p.window, 900); /* up to where it was granted at the cut */
	assert_int_equal(got.p.payload_bytes, 0);
	assert_int_equal(dysco_leg_at(s.core, s.a.new_slot)->run[DYSCO_IN].ack, CUT);
	s.out->count = 0;
	dysco_relay_peer_done(s.core, 9, &s.a, s.out); /* DONE is repeated */
	assert_int_equal(s.out->count, 0);
	relay_in(&s, DYSCO_PATH_OLD, &late);
	assert_int_equal(s.out->list[0].kind, DYSCO_ACT_DELIVER); /* two of them, as of TCP's own */
	end(&s);
}

/* A segment with timestamps: its sender's own, and what it echoes. */
static struct rig_packet timed(const struct dysco_tuple *tuple, uint32_t seq, uint32_t ack,
			       uint32_t tsval, uint32_t tsecr)
{
	uint8_t options[DYSCO_TIMESTAMP_BYTES];
	struct recipe r = {.tuple = *tuple,
			   .seq = seq,
			   .ack = ack,
			   .flags = DYSCO_TCP_ACK,
			   .window = 1000,
			   .options = options,
			   .option_bytes = dysco_put_timestamp(options, tsval, tsecr)};
	struct rig_packet packet = {0};

	packet.bytes = packet_make(packet.data, &r);
	return packet;
}

/* In a session with timestamps only once they are known: it would be dropped without. */
static void the_peers_done_has_its_time(void **state)
{
	enum { NOTHING, OF_HOST, OF_PEER, OF_BOTH, KNOWN };
	static const uint8_t tsecr[KNOWN] = {[OF_HOST] = 50, [OF_PEER] = 40, [OF_BOTH] = 50};
	static const uint8_t tsval[KNOWN] = {[OF_HOST] = 77, [OF_PEER] = 90, [OF_BOTH] = 90};

	(void)state;
	for (int known = NOTHING; known < KNOWN; known++) {
		uint8_t expected[] = {1, 1, 8, 10, 0, 0, 0, tsval[known], 0, 0, 0, tsecr[known]};
		struct scene s = begin(true);
		struct dysco_leg *old = dysco_leg_at(s.core, s.a.old_slot);
		struct dysco_tuple back = dysco_tuple_reverse(&old->wire_tuple);
		struct rig_packet said = timed(&s.session, CUT, PEER, 50, 77), got;
		struct rig_packet echo = timed(&back, PEER, CUT - 1, 90, 40);

		old->options[DYSCO_OUT].flags |= DYSCO_SYN_TS;
		old->options[DYSCO_IN].flags |= DYSCO_SYN_TS;
		if (known == OF_HOST || known == OF_BOTH) {
			relay_out(&s, &said);
		}
		if (known == OF_PEER || known == OF_BOTH) {
			relay_in(&s, DYSCO_PATH_OLD, &echo); /* older than what was said last */
		}
		s.out->count = 0;
		dysco_relay_peer_done(s.core, 9, &s.a, s.out);
		assert_int_equal(s.out->count, known != NOTHING);
		assert_int_equal(s.a.two.acked, CUT);
		if (known != NOTHING) {
			got = result(&s, 0, DYSCO_ACT_DELIVER, s.a.old_slot);
			assert_int_equal(got.p.payload - got.p.l4, 32);
			assert_memory_equal(got.data + got.p.l4 + 20, expected, sizeof(expected));
		}
		end(&s);
	}
}

/* The old path carries everything again, with what both have seen meanwhile. */
static void after_a_roll_back_the_old_leg_knows_all(void **state)
{
	struct scene s = begin(false);
	struct rig_packet data = rig_segment(&s.session, CUT, PEER, DYSCO_TCP_ACK, "abc", 3), got;
	struct dysco_leg *old = dysco_leg_at(s.core, s.a.old_slot);

	(void)state;
	relay_out(&s, &data);
	result(&s, 0, DYSCO_ACT_SEND, s.a.new_slot);
	dysco_relay_end(s.core, &s.a, DYSCO_PATH_OLD);
	old->mode = DYSCO_MODE_FAST;
	assert_int_equal(old->run[DYSCO_OUT].seq_end, CUT + 3);
	got = rig_out(s.rig, CLIENT, &data);
	assert_true(dysco_tuple_equal(&got.p.tuple, &old->wire_tuple));
	assert_int_equal(got.p.seq, CUT);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_segment_takes_both_paths),
	    cmocka_unit_test(nothing_of_the_new_path_before_the_peers_cut),
	    cmocka_unit_test(both_paths_are_one_to_the_host),
	    cmocka_unit_test(damaged_packets_stay_out),
	    cmocka_unit_test(a_reset_goes_on_to_the_other_path),
	    cmocka_unit_test(our_hosts_reset_takes_both),
	    cmocka_unit_test(large_segments_are_divided),
	    cmocka_unit_test(afterwards_the_datapath_translates),
	    cmocka_unit_test(afterwards_the_core_translates_too),
	    cmocka_unit_test(what_is_below_the_floor_is_answered),
	    cmocka_unit_test(a_late_handshake_tells_no_window),
	    cmocka_unit_test(a_handshakes_window_is_not_granted_on),
	    cmocka_unit_test(the_floor_goes_away),
	    cmocka_unit_test(the_peers_done_acknowledges),
	    cmocka_unit_test(the_peers_done_has_its_time),
	    cmocka_unit_test(after_a_roll_back_the_old_leg_knows_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
