/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: one agent, and a network that sends it anything (core/, over
 * the simulated datapath). The input is a program of small steps: packets made
 * of few addresses and ports, so that they meet; their SYNs with messages,
 * bent ones too; raw packets; time, resets, traces, restarts.
 *
 * After each step the core's invariants hold and every packet it made is
 * whole; once enough time has passed no leg is left.
 */
#include "core/internal.h"
#include "datapath/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define LEGS	   24
#define PORT_FIRST 61000
#define PORT_LAST  61003
#define HOST	   2 /* id; peers are 1, 3 and 4 */

struct program {
	const uint8_t *at, *end;
};

struct world {
	struct dysco_sim sim;
	struct dysco_core core;
	struct dysco_setup setup;
	struct dysco_actions out;
	uint64_t now_ns;
	uint64_t restarts;
	bool sound; /* the packet under way has a right checksum */
};

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

static uint8_t next(struct program *program)
{
	return program->at < program->end ? *program->at++ : 0;
}

static struct dysco_addr addr_of(unsigned int n, bool ip6)
{
	struct dysco_addr a = {{DYSCO_BE32(0xfd000000), 0, 0, DYSCO_BE32(n)}};

	return ip6 ? a : dysco_addr_from_ip4(DYSCO_BE32(0x0a000000u + n));
}

/* Session ports and subsession ports. */
static dysco_be16 port_of(unsigned int n)
{
	return (dysco_be16)(n < 4 ? DYSCO_BE16(PORT_FIRST + n) : DYSCO_BE16(n));
}

/* ---- the agent ---- */

static void name(char *to, const char *from)
{
	for (size_t i = 0; i + 1 < DYSCO_NAME_BYTES && from[i]; i++) {
		to[i] = from[i];
	}
}

static void make_setup(struct dysco_setup *setup, uint8_t choice)
{
	struct dysco_policy *policy = &setup->policies[0];

	name(setup->agent, "agent");
	setup->port_first = PORT_FIRST;
	setup->port_last = PORT_LAST;
	setup->timeouts = (struct dysco_timeouts)DYSCO_TIMEOUTS_DEFAULT;
	setup->n_hosts = 1;
	setup->hosts[0].id = HOST;
	setup->hosts[0].n_prefixes = 2;
	setup->hosts[0].prefixes[0] = (struct dysco_prefix){addr_of(HOST, false), 128};
	setup->hosts[0].prefixes[1] = (struct dysco_prefix){addr_of(HOST, true), 128};
	setup->n_boxes = 1;
	name(setup->boxes[0].name, "box");
	setup->boxes[0].ip4 = addr_of(3, false);
	setup->boxes[0].ip6 = addr_of(3, true);
	setup->n_policies = choice & 1;
	name(policy->name, "policy");
	policy->tag = dysco_policy_tag("policy");
	policy->fail = (choice & 2) ? DYSCO_FAIL_OPEN : DYSCO_FAIL_CLOSED;
	policy->retries = 1;
	policy->n_hops = 1;
	policy->hops[0].exit = (choice & 4) != 0;
	setup->n_keys = (choice & 8) ? 1 : 0;
	setup->keys[0].id = 7;
}

static void start(struct world *w)
{
	struct dysco_core_seed seed = {.secret = {1}, .sender = 99};

	seed.counter = ++w->restarts << 32;
	dysco_core_start(&w->core, &w->sim.table, &w->setup, &seed);
	w->core.keeps_chains = true;
}

static void open_world(struct world *w, uint8_t choice)
{
	memset(w, 0, sizeof(*w));
	w->now_ns = 1000 * DYSCO_NS_PER_S;
	make_setup(&w->setup, choice);
	dysco_sim_open(&w->sim, LEGS);
	w->sim.n_rules = w->setup.n_policies;
	w->sim.rules[0].fail = (uint8_t)w->setup.policies[0].fail;
	start(w);
}

static void check_packet(const struct world *w, const struct dysco_action *action)
{
	const uint8_t *data = &w->out.arena[action->offset];
	enum dysco_parse found;
	struct dysco_packet p;

	demand(action->offset <= sizeof(w->out.arena) &&
	       action->bytes <= sizeof(w->out.arena) - action->offset);
	found = dysco_packet_parse(&p, data, data + action->bytes, action->bytes);
	demand(found == DYSCO_PARSE_TCP || found == DYSCO_PARSE_ICMP_ERROR);
	demand(found != DYSCO_PARSE_TCP || !w->sound ||
	       dysco_edit_checksum_ok(&p, data, action->bytes));
}

static void check(const struct world *w)
{
	demand(dysco_core_invariants(&w->core) == NULL);
	demand(w->out.count <= DYSCO_ACTIONS_MAX);
	for (uint32_t i = 0; i < w->out.count; i++) {
		uint8_t kind = w->out.list[i].kind;

		demand(kind >= DYSCO_ACT_SEND && kind <= DYSCO_ACT_EVENT);
		if (kind == DYSCO_ACT_SEND || kind == DYSCO_ACT_DELIVER) {
			check_packet(w, &w->out.list[i]);
		}
	}
}

/* ---- packets ---- */

static void receive(struct world *w, uint8_t *data, size_t bytes, uint8_t direction)
{
	struct dysco_sim_frame frame = {HOST, direction, data, bytes};
	struct dysco_sim_result result;
	struct dysco_input in = {.attachment = 1,
				 .host = HOST,
				 .direction = direction,
				 .data = data,
				 .bytes = (uint32_t)bytes,
				 .mtu = 1500};
	struct dysco_packet p;

	w->out.count = 0;
	w->sound = dysco_packet_parse(&p, data, data + bytes, (uint32_t)bytes) == DYSCO_PARSE_TCP &&
		   dysco_edit_checksum_ok(&p, data, bytes);
	dysco_sim_heartbeat(&w->sim, w->now_ns);
	if (dysco_sim_packet(&w->sim, w->now_ns, &frame, &result) == DYSCO_SIM_PUNT) {
		in.policy = result.policy;
		dysco_core_packet_received(&w->core, w->now_ns, &in, &w->out);
	}
}

static void raw_packet(struct world *w, struct program *program)
{
	uint8_t data[300];
	uint8_t direction = next(program) & 1;
	size_t n = next(program);

	if (n > (size_t)(program->end - program->at)) {
		n = (size_t)(program->end - program->at);
	}
	memcpy(data, program->at, n);
	program->at += n;
	receive(w, data, n, direction);
}

static struct dysco_tuple tuple_of(uint8_t ends, uint8_t ports, bool ip6)
{
	struct dysco_tuple t = {addr_of(1 + (ends & 3), ip6), addr_of(1 + (ends >> 2 & 3), ip6),
				port_of(ports & 7), port_of(ports >> 3 & 7)};

	return t;
}

/* A small one, or that of an attempt under way. */
static uint64_t nonce_of(const struct world *w, uint8_t byte)
{
	return (byte & 0x80) ? w->sim.attempts[1 + byte % (DYSCO_SIM_ATTEMPTS - 1)].nonce
			     : (uint64_t)(byte & 7);
}

static struct dysco_attempt_name attempt_of(const struct world *w, struct program *program,
					    bool ip6)
{
	uint8_t anchors = next(program), flags = next(program);
	struct dysco_attempt_name name = {.nonce = nonce_of(w, next(program)),
					  .left = addr_of(1 + (anchors & 3), ip6),
					  .right = addr_of(1 + (anchors >> 2 & 3), ip6),
					  .kind = (anchors >> 4) % 3,
					  .reason = (uint8_t)(flags >> 2) % DYSCO_NACK_COUNT,
					  .flags = flags & 3};

	return name;
}

static struct dysco_address_list path_of(uint8_t list, bool ip6)
{
	struct dysco_address_list path = {.count = 1 + (list & 1)};

	path.hops[0].addr = addr_of(1 + (list >> 1 & 3), ip6);
	path.hops[1].addr = addr_of(1 + (list >> 3 & 3), ip6);
	return path;
}

static size_t reconfiguration(uint8_t *out, const struct world *w, struct program *program,
			      bool ip6, struct dysco_header hdr, const struct dysco_key *key)
{
	uint8_t type = next(program), ports = next(program);
	struct dysco_msg_control msg = {.attempt = attempt_of(w, program, ip6),
					.subsession = tuple_of(ports, next(program), ip6),
					.list = path_of(next(program), ip6)};

	hdr.type =
	    (uint8_t)(DYSCO_MSG_LOCK + type % (DYSCO_MSG_TRIGGER_REPLY - DYSCO_MSG_LOCK + 1));
	msg.id.b[0] = next(program) & 3;
	if (type & 0x80) { /* of health: they travel on control sessions, too */
		struct dysco_msg_trace probe = {.id = msg.id, .nonce = 1, .flags = type & 14};

		hdr.type = DYSCO_MSG_PROBE;
		return dysco_message_write_probe(out, &hdr, &probe, key);
	}
	if ((type & 0xc0) == 0x40) {
		return dysco_message_write_withdraw(out, &hdr, &msg.id, key);
	}
	msg.numbers =
	    (struct dysco_numbers){next(program), next(program), next(program), next(program)};
	if (ports & 0x80) {
		msg.chain = path_of(ports, ip6);
	}
	return dysco_message_write_control(out, &hdr, &msg, key);
}

/* ends, ports, id and list; the session's family is the packet's unless bit 7 of `ends` is set */
static size_t syn_message(uint8_t *out, const struct world *w, struct program *program, bool ip6,
			  const struct dysco_header *hdr, const struct dysco_key *key)
{
	struct dysco_msg_syn msg = {0};
	uint8_t ends = next(program);
	uint8_t list = next(program);

	msg.session = tuple_of(ends, next(program), (ends & 0x80) ? !ip6 : ip6);
	msg.subsession = tuple_of((uint8_t)(ends >> 4), next(program), ip6);
	msg.id.b[0] = next(program) & 3;
	msg.list.count = 1 + (list & 3);
	msg.list.next = (list >> 2 & 3) % msg.list.count;
	for (uint8_t i = 0; i < msg.list.count; i++) {
		msg.list.hops[i].addr = addr_of(1 + (list >> 4 & 3) + (i == msg.list.next), ip6);
	}
	if (list & 0x40) {
		msg.attempt = attempt_of(w, program, ip6);
	}
	return dysco_message_write_syn(out, hdr, &msg, key);
}

static size_t control_message(uint8_t *out, struct program *program, uint8_t kind,
			      const struct dysco_header *hdr, const struct dysco_key *key)
{
	uint8_t what = next(program);
	struct dysco_msg_trace_reply reply = {.trace = {.nonce = what & 1, .hop = kind}};
	struct dysco_msg_chain chain = {.list = path_of(what >> 2, false)};

	reply.trace.id.b[0] = next(program) & 3;
	if (what & 2) {
		chain.id = reply.trace.id;
		chain.list.next = (uint8_t)((what >> 7) % chain.list.count);
		return dysco_message_write_chain(out, hdr, &chain, key);
	}
	return (kind & 1) ? dysco_message_write_trace(out, hdr, &reply.trace, key)
			  : dysco_message_write_trace_reply(out, hdr, &reply, key);
}

/* A message, perhaps with one byte bent, perhaps with data behind it. */
static size_t payload_of(uint8_t *out, const struct world *w, struct program *program, uint8_t kind,
			 bool ip6)
{
	static const struct dysco_key key = {.id = 7};
	struct dysco_header hdr = {.sender = 1 + (kind >> 6 & 1)};
	const struct dysco_key *sign = (kind & 8) ? &key : NULL;
	size_t n;

	if (!(kind & 1)) {
		return 0;
	}
	hdr.counter = next(program);
	if (!(kind & 2)) {
		n = syn_message(out, w, program, ip6, &hdr, sign);
	} else if (kind & 0x80) {
		n = reconfiguration(out, w, program, ip6, hdr, sign);
	} else {
		n = control_message(out, program, kind >> 6, &hdr, sign);
	}
	if (kind & 4) {
		size_t at = next(program) % n;

		out[at] ^= next(program);
	}
	memset(out + n, 'x', 16);
	return (kind & 0x10) ? n + 16 : n;
}

/* kind: bit 0 message, 1 control, 2 bent, 3 signed, 4 data behind, 5 IPv6, 7 reconfiguration */
static void made_packet(struct world *w, struct program *program)
{
	uint8_t data[1500], payload[DYSCO_MESSAGE_MAX + 16];
	uint8_t where = next(program);
	uint8_t kind = next(program);
	uint8_t ends = next(program);
	struct dysco_tuple tuple = tuple_of(ends, next(program), kind & 0x20);
	uint8_t flags = next(program);
	uint32_t seq = next(program), ack = next(program);
	uint32_t tag = (uint32_t)(where >> 4) << 12 | (uint32_t)(ends >> 6) << 4;
	size_t n = payload_of(payload, w, program, kind, kind & 0x20);
	size_t bytes = dysco_edit_make_segment(data, sizeof(data), &tuple, seq, ack, flags, 1000,
					       (where & 2) ? DYSCO_EXID_MARK : 0, payload, n);
	struct dysco_packet p;

	demand(dysco_packet_parse(&p, data, data + bytes, (uint32_t)bytes) == DYSCO_PARSE_TCP);
	if (where & 4) {
		dysco_edit_add_option(&p, data, &bytes, sizeof(data), DYSCO_EXID_TAG, &tag);
	}
	receive(w, data, bytes, where & 1);
}

/* An ICMP error from a peer or the host about a packet with one of the usual five-tuples. */
static void made_error(struct world *w, struct program *program)
{
	uint8_t data[200] = {0};
	uint8_t where = next(program);
	bool ip6 = where & 0x20;
	uint8_t ends = next(program);
	struct dysco_tuple quoted = tuple_of(ends, next(program), ip6);
	struct dysco_tuple outer = tuple_of((uint8_t)(ends >> 4), 0, ip6);
	size_t header = ip6 ? DYSCO_IP6_BYTES : DYSCO_IP4_BYTES;
	size_t n = dysco_edit_make_segment(data + header + DYSCO_ICMP_BYTES, 100, &quoted, 10, 0,
					   DYSCO_TCP_SYN, 1000, 0, NULL, 0);
	size_t bytes = header + DYSCO_ICMP_BYTES + ((where & 2) ? n : header + 8);

	if (ip6) {
		dysco_make_ip6(data, &outer, bytes);
		data[6] = DYSCO_PROTO_ICMP6;
	} else {
		dysco_make_ip4(data, &outer, bytes);
		data[9] = DYSCO_PROTO_ICMP;
	}
	data[header] = 3;
	receive(w, data, bytes, where & 1);
}

/* ---- everything else ---- */

static void pass_time(struct world *w, uint64_t seconds)
{
	bool more = true;

	w->now_ns += seconds * DYSCO_NS_PER_S;
	w->sound = true; /* what comes now is of the core's own making */
	for (int i = 0; more; i++) {
		demand(i <= 4 * LEGS);
		more = dysco_core_time_passed(&w->core, w->now_ns, 2, &w->out);
		check(w);
	}
}

static void adopt(struct world *w, struct program *program)
{
	struct dysco_syn_options options = {1460, DYSCO_NO_WSCALE, DYSCO_SYN_NOTED};
	struct dysco_late late = {.host = HOST, .attachment = 1, .options = {options, options}};
	uint8_t ends = next(program);

	late.initiator = ends & 0x40;
	late.learns = ends & 0x10;
	if (ends & 0x80) {
		memset(late.options, 0, sizeof(late.options));
	}
	late.tuple = tuple_of(ends, next(program), ends & 0x20);
	dysco_core_adopt(&w->core, w->now_ns, &late);
	w->out.count = 0;
}

/* What an agent is told to do with the chain of a living session. */
static void reconfigure(struct world *w, struct program *program)
{
	struct dysco_offsets delta = {1, 2, 3, 4};
	uint8_t what = next(program), slot = next(program) % LEGS;
	struct dysco_address_list path = path_of(next(program), what & 0x20);

	w->out.count = 0;
	w->sound = true;
	switch (what & 7) {
	case 0:
		dysco_core_attempt_cancel(&w->core, w->now_ns, slot, &w->out);
		break;
	case 1:
		dysco_core_freeze(&w->core, slot, &delta, what & 0x40);
		break;
	case 2:
		dysco_core_trigger(&w->core, w->now_ns, slot, &path, &w->out);
		break;
	case 3:
		adopt(w, program);
		break;
	case 4:
	case 5:
		dysco_core_attempt_due(&w->core, w->now_ns, slot, &w->out);
		break;
	default:
		dysco_core_reconfigure(&w->core, w->now_ns, slot, (what >> 6) % 3, &path, &w->out);
		break;
	}
}

static void step(struct world *w, struct program *program)
{
	uint8_t op = next(program);

	switch (op & 7) {
	case 0:
		raw_packet(w, program);
		break;
	case 1:
		pass_time(w, next(program));
		break;
	case 2:
		w->sound = true;
		dysco_core_kill(&w->core, w->now_ns, (op >> 3) % LEGS, &w->out);
		break;
	case 3:
		w->sound = true;
		dysco_core_trace(&w->core, (op >> 3) % LEGS, &w->out);
		break;
	case 4:
		start(w);
		break;
	case 5:
		reconfigure(w, program);
		break;
	case 6:
		made_error(w, program);
		break;
	default:
		made_packet(w, program);
		break;
	}
	check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct world w;
	struct program program = {data, data + bytes};

	open_world(&w, next(&program));
	while (program.at < program.end) {
		step(&w, &program);
	}
	/* A question is repeated some times, once in each of these, before it is given up. */
	for (int i = 0; i < 40 && (i < 4 || w.core.live_legs > 0); i++) {
		pass_time(&w, 7600);
	}
	demand(w.core.live_legs == 0 && w.sim.n_keys == 0);
	return 0;
}
