/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests of health: an agent whose sessions begin here, and a world that
 * answers its questions as the agents of a chain would.
 *
 *    web (this agent) ---- fw ---- ids1 ---- server
 *    10.0.0.1           10.0.0.2  10.0.0.3   10.9.0.1
 */
#ifndef DYSCO_TESTS_UNIT_HEALTH_WORLD_H
#define DYSCO_TESTS_UNIT_HEALTH_WORLD_H

#include "agent/health.h"
#include "tests/unit/asking.h"

enum { FW = 0, IDS, END, HOSTS };
enum { LEFT_IN = 0, LEFT_OUT, RIGHT_IN, RIGHT_OUT };

#define MS	   1000000ull
#define PACKETS	   64
#define SESSION_IP "10.0.0.1:4000"

/* A host of the chain. */
struct host {
	const char *name;
	struct dysco_addr addr;
	bool answers; /* its agent */
	bool passes;  /* what goes in comes out */
	bool known;   /* its agent knows the session */
	uint64_t packets[4];
};

static struct {
	struct host host[HOSTS];
	uint64_t now_ns;
	uint32_t slot; /* of the session */
	unsigned int nudges, resets, looks_asked, questions, lost_fins;
	struct {
		uint8_t data[2048];
		uint32_t bytes;
	} packet[PACKETS];
	unsigned int sent, taken;
} world;

static void note_packet(struct fake_agent *f)
{
	assert_true(world.sent < PACKETS);
	memcpy(world.packet[world.sent].data, f->sent, f->sent_bytes);
	world.packet[world.sent++].bytes = f->sent_bytes;
}

static struct dysco_leg *leg(void)
{
	return &fake->legs[world.slot];
}

static void expect_count(enum dysco_counter counter, uint64_t wanted)
{
	assert_int_equal(fake->agent.core.stats.counters[counter], wanted);
}

/* ---- the chain ---- */

static void go_right(void)
{
	for (int i = 0; i < HOSTS; i++) {
		world.host[i].packets[LEFT_IN]++;
		if (!world.host[i].passes) {
			return;
		}
		world.host[i].packets[RIGHT_OUT] += i != END;
	}
}

static void go_left(void)
{
	world.host[END].packets[LEFT_OUT]++;
	for (int i = END - 1; i >= 0; i--) {
		world.host[i].packets[RIGHT_IN]++;
		if (!world.host[i].passes) {
			return;
		}
		world.host[i].packets[LEFT_OUT]++;
	}
	leg()->run[DYSCO_IN].packets++;
}

static struct host *host_at(const struct dysco_addr *addr)
{
	for (int i = 0; i < HOSTS; i++) {
		if (dysco_addr_equal(&world.host[i].addr, addr)) {
			return &world.host[i];
		}
	}
	return NULL;
}

static void fill_report(struct dysco_msg_probe_reply *reply, const struct host *h)
{
	int i = (int)(h - world.host);

	reply->known = true;
	reply->report.left.present = 1;
	reply->report.left.host = dysco_tuple_reverse(&leg()->host_tuple);
	reply->report.left.wire.src = h->addr;
	reply->report.left.wire.dst = i == 0 ? leg()->wire_tuple.src : world.host[i - 1].addr;
	reply->report.left.packets_in = h->packets[LEFT_IN];
	reply->report.left.packets_out = h->packets[LEFT_OUT];
	if (i != END) {
		reply->report.right.present = 1;
		reply->report.right.wire.src = h->addr;
		reply->report.right.wire.dst = world.host[i + 1].addr;
		reply->report.right.packets_in = h->packets[RIGHT_IN];
		reply->report.right.packets_out = h->packets[RIGHT_OUT];
	}
	reply->numbers.seq = fake->cold[world.slot].isn;
	reply->numbers.base = fake->cold[world.slot].isn;
}

/* A segment to this agent that answers p. */
static void send_back(const struct dysco_packet *p, uint8_t flags, const uint8_t *payload, size_t n)
{
	struct dysco_tuple back = dysco_tuple_reverse(&p->tuple);
	bool syn = p->flags & DYSCO_TCP_SYN;
	uint8_t packet[2048];
	size_t bytes = dysco_edit_make_segment(
	    packet, sizeof(packet), &back, syn ? 9000 : p->ack,
	    p->seq + p->payload_bytes + (syn || (p->flags & DYSCO_TCP_FIN) ? 1 : 0),
	    (uint8_t)(flags | (syn ? DYSCO_TCP_SYN : 0)), 1000, DYSCO_EXID_MARK, payload, n);

	assert_true(bytes > 0);
	fake_agent_punt(fake, fake->agent.config->attachments[0].id, DYSCO_IN, packet,
			(uint32_t)bytes);
}

static void answer(const struct dysco_packet *p, const struct dysco_msg_trace *probe,
		   struct host *h)
{
	static const struct dysco_session_id no_id;
	struct dysco_header hdr = {.type = DYSCO_MSG_PROBE_REPLY};
	struct dysco_msg_probe_reply reply = {.trace = *probe};
	uint8_t message[DYSCO_MESSAGE_MAX];

	if (h->known && memcmp(&probe->id, &no_id, sizeof(no_id)) != 0) {
		fill_report(&reply, h);
	}
	send_back(p, DYSCO_TCP_ACK, message,
		  dysco_message_write_probe_reply(message, &hdr, &reply, NULL));
	if ((probe->flags & DYSCO_PROBE_NUDGE) && h->known) {
		go_left();
	}
}

/* What the network does with one packet. */
static void carry(const uint8_t *data, uint32_t bytes)
{
	struct dysco_packet p;
	struct dysco_header hdr;
	struct dysco_msg_trace probe;
	struct host *h;

	assert_int_equal(dysco_packet_parse(&p, data, data + bytes, bytes), DYSCO_PARSE_TCP);
	h = host_at(&p.tuple.dst);
	if (dysco_tuple_equal(&p.tuple, &leg()->wire_tuple)) {
		world.resets += (p.flags & DYSCO_TCP_RST) != 0;
		world.nudges += !(p.flags & DYSCO_TCP_RST);
		go_right();
	} else if (p.payload_bytes == 0) {
		if ((p.flags & DYSCO_TCP_FIN) && world.lost_fins > 0) {
			world.lost_fins--;
		} else if ((p.flags & DYSCO_TCP_FIN) && h && h->answers) {
			send_back(&p, DYSCO_TCP_FIN | DYSCO_TCP_ACK, NULL, 0);
		}
	} else if (dysco_message_open(&hdr, data + p.payload, p.payload_bytes, NULL, 0) ==
		       DYSCO_DECODE_OK &&
		   hdr.type == DYSCO_MSG_PROBE) {
		dysco_message_read_trace(&probe, data + p.payload);
		world.questions++;
		world.looks_asked += (probe.flags & DYSCO_PROBE_LOOK) != 0;
		if (h && h->answers) {
			answer(&p, &probe, h);
		}
	}
}

static void carry_all(void)
{
	while (world.taken < world.sent) {
		unsigned int i = world.taken++;

		carry(world.packet[i].data, world.packet[i].bytes);
	}
	world.taken = world.sent = 0;
}

static void pass(unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i += 100) {
		world.now_ns += 100 * MS;
		dysco_agent_tick(&fake->agent, world.now_ns);
		carry_all();
	}
}

/* ---- a session ---- */

static void add_host(int i, const char *name, const char *addr)
{
	struct host *h = &world.host[i];

	*h = (struct host){.name = name, .answers = true, .passes = true, .known = true};
	assert_true(dysco_parse_addr(addr, &h->addr));
}

/* Both ways everything is acknowledged. */
static void establish(void)
{
	struct dysco_leg_run *out = &leg()->run[DYSCO_OUT], *in = &leg()->run[DYSCO_IN];

	out->seen |= DYSCO_SEEN_ANY | DYSCO_SEEN_ACK | DYSCO_SEEN_CONFIRM;
	in->seen |= DYSCO_SEEN_ANY | DYSCO_SEEN_ACK | DYSCO_SEEN_SYNACK | DYSCO_SEEN_CONFIRM;
	out->seq_end = in->ack = 5000;
	in->seq_end = out->ack = 7000;
	leg()->options[DYSCO_OUT].flags = leg()->options[DYSCO_IN].flags = DYSCO_SYN_NOTED;
}

static void begin_world(void)
{
	memset(&world, 0, sizeof(world));
	add_host(FW, "fw", "10.0.0.2");
	add_host(IDS, "ids1", "10.0.0.3");
	add_host(END, "server", "10.9.0.1");
	world.now_ns = dysco_now_ns();
	world.slot = 1;
}

static void session_by(const char *policy)
{
	begin_world();
	expect_done(policy);
	send_syn(SESSION_IP, "10.9.0.1:80");
	assert_int_equal(leg()->role, DYSCO_ROLE_FIRST);
	establish();
	fake->on_sent = note_packet;
}

#define FILTER "filter tcp dst port 80"

static inline void ordinary_session(void)
{
	session_by("policy replace http via fw,ids1 " FILTER);
}

static inline void has_unanswered_data(void)
{
	leg()->run[DYSCO_OUT].seq_end = leg()->run[DYSCO_IN].ack + 100;
}

static inline void state_of(int i, const char *wanted)
{
	char path[64];

	snprintf(path, sizeof(path), "boxes/%d/state", i);
	expect("box list", path, wanted);
}

#endif
