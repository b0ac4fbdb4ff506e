// SPDX-License-Identifier: BSD-2-Clause
/* The row of row.h: hosts, packets, and what is to be seen of them. */
#include "tests/agree/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_SERVER = 80, PORT_CLIENT = 1000 };

static void through(struct row *row, uint8_t host, enum dysco_direction direction,
		    const uint8_t *packet, uint32_t bytes);

static struct dysco_addr address(uint8_t host)
{
	return dysco_addr_from_ip4(DYSCO_BE32(0x0a000001u + host));
}

static uint8_t host_of(const struct dysco_addr *addr)
{
	uint8_t host = 0;

	for (; host < ROW_HOSTS; host++) {
		struct dysco_addr own = address(host);

		if (dysco_addr_equal(&own, addr)) {
			break;
		}
	}
	return host;
}

static uint8_t attempt_of(const struct row *row, uint64_t nonce)
{
	for (uint8_t a = 0; a < ROW_ATTEMPTS; a++) {
		if (nonce != 0 && row->attempt[a].nonce == nonce) {
			return a;
		}
	}
	return ROW_NOBODY;
}

/* ---- packets ---- */

static uint8_t message_of(uint8_t type, uint16_t flags, bool rightward)
{
	switch (type) {
	case DYSCO_MSG_LOCK:
		return rightward ? ROW_LOCK : 0;
	case DYSCO_MSG_CANCEL:
		return rightward ? ROW_CANCEL : 0;
	case DYSCO_MSG_RELEASE:
		return rightward ? ROW_RELEASE : 0;
	case DYSCO_MSG_LOCKED:
		return rightward ? 0 : ROW_LOCKED;
	case DYSCO_MSG_NACK:
		return rightward ? 0 : ROW_NACK;
	case DYSCO_MSG_CANCELLED:
		return rightward ? 0 : ROW_CANCELLED;
	case DYSCO_MSG_RELEASED:
		return rightward ? 0 : ROW_RELEASED;
	case DYSCO_MSG_CUT:
		return !rightward && (flags & DYSCO_CONTROL_REFUSED) ? ROW_REFUSED : 0;
	default:
		return 0;
	}
}

/* What it says, if it is a message of an attempt. */
static void read_packet(const struct row *row, struct row_packet *f, const struct dysco_packet *p,
			bool control)
{
	struct dysco_header hdr;
	struct dysco_msg_control msg;

	f->attempt = ROW_NOBODY;
	f->reset = p->flags & DYSCO_TCP_RST;
	if (!p->payload_bytes || dysco_message_open(&hdr, f->data + p->payload, p->payload_bytes,
						    NULL, 0) != DYSCO_DECODE_OK) {
		return;
	}
	f->type = hdr.type;
	if (!dysco_message_is_control(hdr.type)) {
		return;
	}
	dysco_message_read_control(&msg, f->data + p->payload);
	f->attempt = attempt_of(row, msg.attempt.nonce);
	f->reason = msg.attempt.reason;
	if (control) {
		f->message = message_of(hdr.type, msg.attempt.flags, f->to > f->from);
	}
}

static void fly(struct row *row, uint8_t from, const uint8_t *data, uint32_t bytes, bool control)
{
	struct row_packet *f = &row->air[row->n_air];
	struct dysco_packet p;

	if (row->n_air == ROW_AIR || bytes > sizeof(f->data)) {
		row->broken = "too many packets, or too long ones";
		return;
	}
	memset(f, 0, sizeof(*f));
	memcpy(f->data, data, bytes);
	f->bytes = bytes;
	f->from = from;
	f->control = control;
	if (dysco_packet_parse(&p, f->data, f->data + bytes, bytes) != DYSCO_PARSE_TCP) {
		row->broken = "a packet that cannot be parsed";
		return;
	}
	f->to = host_of(&p.tuple.dst);
	if (f->to == ROW_HOSTS) {
		row->broken = "a packet to nobody";
		return;
	}
	read_packet(row, f, &p, control);
	row->n_air++;
	if (f->message && f->attempt != ROW_NOBODY) {
		row->sent[f->to > from ? from : f->to][f->attempt] |= f->message;
	}
}

static bool is_box(uint8_t host)
{
	return host > 0 && host < ROW_HOSTS - 1;
}

static void hear(struct row *row, uint8_t end, const struct dysco_packet *p, const uint8_t *data)
{
	struct row_segment *s = &row->heard[row->n_heard];

	if (row->n_heard == ROW_HEARD) {
		return;
	}
	row->n_heard++;
	*s = (struct row_segment){
	    .end = end, .seq = p->seq, .ack = p->ack, .window = p->window, .flags = p->flags};
	for (; s->bytes < p->payload_bytes && s->bytes < sizeof(s->text) - 1; s->bytes++) {
		s->text[s->bytes] = (char)data[p->payload + s->bytes];
	}
}

/* A box adds to numbers, for both directions alike. */
static void shift(const struct row *row, uint8_t host, uint8_t *data, uint32_t bytes)
{
	struct dysco_packet p;
	bool rightward;
	uint32_t number;

	dysco_packet_parse(&p, data, data + bytes, bytes);
	rightward = host_of(&p.tuple.dst) > host;
	number = rightward ? p.seq + row->delta[host] : p.ack - row->delta[host];
	dysco_store32(data + p.l4 + (rightward ? 4 : 8), DYSCO_BE32(number));
	dysco_edit_checksum(&p, data, bytes);
}

/* Boxes send on what they get; a RST may be for them alone. */
static void delivered(struct row *row, uint8_t host, const uint8_t *data, uint32_t bytes)
{
	struct dysco_packet p;

	if (dysco_packet_parse(&p, data, data + bytes, bytes) != DYSCO_PARSE_TCP) {
		return;
	}
	if (!is_box(host)) {
		row->given[host != 0] |= p.payload_bytes > 0;
		hear(row, host != 0, &p, data);
	} else if (host_of(&p.tuple.dst) != host && (row->whole || !(p.flags & DYSCO_TCP_RST))) {
		uint8_t sent[sizeof(row->air[0].data)];

		memcpy(sent, data, bytes);
		shift(row, host, sent, bytes);
		through(row, host, DYSCO_OUT, sent, bytes);
	}
}

static void self_check(struct row *row, uint8_t host)
{
	const char *broken = dysco_core_invariants(&row->host[host].core);

	row->broken = row->broken ? row->broken : broken;
}

static void carry_out(struct row *row, uint8_t host, const struct dysco_input *in)
{
	static struct dysco_actions out; /* of a box that sends on, more than one at a time */
	bool over = false;		 /* what a box has sent on since has used `out` */

	out = row->out;
	self_check(row, host);
	for (uint32_t i = 0; i < out.count && !over; i++) {
		const struct dysco_action *a = &out.list[i];
		const uint8_t *data = out.arena + a->offset;
		bool control = row->host[host].sim.legs[a->slot].role == DYSCO_ROLE_CONTROL;

		if (a->kind == DYSCO_ACT_SEND) {
			fly(row, host, data, a->bytes, control);
		} else if (a->kind == DYSCO_ACT_PASS && in && in->direction == DYSCO_OUT) {
			fly(row, host, in->data, in->bytes, false);
		} else if (a->kind == DYSCO_ACT_DELIVER) {
			delivered(row, host, data, a->bytes);
			over = is_box(host);
		} else if (a->kind == DYSCO_ACT_PASS && in) {
			delivered(row, host, in->data, in->bytes);
			over = is_box(host);
		}
	}
}

static void through(struct row *row, uint8_t host, enum dysco_direction direction,
		    const uint8_t *packet, uint32_t bytes)
{
	struct row_host *h = &row->host[host];
	uint8_t data[sizeof(row->air[0].data)];
	struct dysco_sim_frame frame = {(uint16_t)(host + 1), (uint8_t)direction, data, bytes};
	struct dysco_sim_result result;
	struct dysco_input in = {.attachment = 1,
				 .host = frame.host,
				 .direction = frame.direction,
				 .data = data,
				 .bytes = bytes,
				 .mtu = 1500};

	memcpy(data, packet, bytes);
	switch (dysco_sim_packet(&h->sim, ROW_NOW_NS, &frame, &result)) {
	case DYSCO_SIM_PUNT:
		in.policy = result.policy;
		dysco_core_packet_received(&h->core, ROW_NOW_NS, &in, &row->out);
		carry_out(row, host, &in);
		break;
	case DYSCO_SIM_DROP:
		break;
	default:
		if (direction == DYSCO_OUT) {
			fly(row, host, data, bytes, false);
		} else {
			delivered(row, host, data, bytes);
		}
		break;
	}
}

/* ---- the session ---- */

static void open_host(struct row *row, uint8_t host, uint8_t boxes)
{
	struct row_host *h = &row->host[host];
	struct dysco_setup *setup = &h->setup;
	struct dysco_core_seed seed = {.sender = host + 1u, .counter = 1};

	setup->n_hosts = 1;
	setup->hosts[0].id = (uint16_t)(host + 1);
	setup->hosts[0].name[0] = (char)('0' + host);
	setup->hosts[0].n_prefixes = 1;
	setup->hosts[0].prefixes[0] = (struct dysco_prefix){address(host), 128};
	setup->port_first = DYSCO_PORT_FIRST;
	setup->port_last = DYSCO_PORT_LAST;
	setup->timeouts = (struct dysco_timeouts)DYSCO_TIMEOUTS_DEFAULT;
	dysco_sim_open(&h->sim, 64);
	dysco_sim_heartbeat(&h->sim, ROW_NOW_NS);
	if (host == 0) {
		setup->n_policies = 1;
		setup->policies[0].name[0] = 'p';
		setup->policies[0].tag = dysco_policy_tag("p");
		for (uint8_t i = 0; i < boxes; i++) {
			setup->policies[0].hops[setup->policies[0].n_hops++].index = i;
			setup->boxes[i].ip4 = address((uint8_t)(i + 1));
			setup->boxes[i].name[0] = (char)('1' + i);
			setup->n_boxes++;
		}
		h->sim.rules[0].dport_be = DYSCO_BE16(PORT_SERVER);
		h->sim.n_rules = 1;
	}
	memset(seed.secret, host + 1, sizeof(seed.secret));
	dysco_core_start(&h->core, &h->sim.table, setup, &seed);
	h->core.keeps_chains = true;
}

void row_send(struct row *row, const struct row_segment *s)
{
	struct dysco_tuple tuple = {address(0), address(ROW_HOSTS - 1), DYSCO_BE16(PORT_CLIENT),
				    DYSCO_BE16(PORT_SERVER)};
	uint8_t data[128];
	size_t bytes;

	tuple = s->end ? dysco_tuple_reverse(&tuple) : tuple;
	bytes = dysco_edit_make_segment(data, sizeof(data), &tuple, s->seq, s->ack, s->flags,
					s->window, 0, (const uint8_t *)s->text, s->bytes);
	row->n_heard = 0;
	memset(row->sent, 0, sizeof(row->sent));
	through(row, s->end ? ROW_HOSTS - 1 : 0, DYSCO_OUT, data, (uint32_t)bytes);
}

void row_say(struct row *row, uint8_t end, uint32_t seq, uint32_t ack, const char *data)
{
	struct row_segment s = {.end = end != 0,
				.seq = seq,
				.ack = ack,
				.flags = DYSCO_TCP_ACK,
				.window = ROW_WINDOW,
				.bytes = (uint8_t)strlen(data)};

	memcpy(s.text, data, s.bytes);
	row_send(row, &s);
}

/* Carried to the other end. */
static void say(struct row *row, uint16_t window, uint8_t end, uint32_t seq, uint32_t ack,
		uint8_t flags)
{
	struct row_segment s = {end, flags, seq, ack, window, 0, ""};

	row_send(row, &s);
	for (uint32_t i = 0; i < row->n_air; i++) {
		struct row_packet f = row->air[i];

		through(row, f.to, DYSCO_IN, f.data, f.bytes);
	}
	row->n_air = 0;
}

/* Each box tells its agent what it adds. */
static void freeze(struct row *row, uint8_t host)
{
	struct row_host *h = &row->host[host];
	const struct dysco_offsets delta = {.seq_out = row->delta[host]};

	for (uint32_t slot = 1; slot < h->sim.table.capacity && row->delta[host]; slot++) {
		dysco_core_freeze(&h->core, slot, &delta, true);
	}
}

void row_open(struct row *row, uint8_t boxes, uint16_t window, const uint32_t *delta)
{
	uint32_t sum = 0;

	memset(row, 0, sizeof(*row));
	for (uint8_t host = 0; host < ROW_HOSTS && delta; host++) {
		row->delta[host] = delta[host];
		sum += delta[host];
	}
	for (uint8_t host = 0; host < ROW_HOSTS; host++) {
		open_host(row, host, boxes);
	}
	say(row, window, 0, 100, 0, DYSCO_TCP_SYN);
	say(row, window, 1, 500, 101 + sum, DYSCO_TCP_SYN | DYSCO_TCP_ACK);
	say(row, window, 0, 101, 501, DYSCO_TCP_ACK);
	say(row, window, 1, 501, 101 + sum, DYSCO_TCP_ACK);
	for (uint8_t host = 0; host < ROW_HOSTS; host++) {
		freeze(row, host);
	}
	row->n_heard = 0;
}

/* ---- events ---- */

static uint32_t record_index(const struct row *row, uint8_t host, uint8_t attempt)
{
	uint64_t nonce = row->attempt[attempt].nonce;

	return nonce ? dysco_attempt_find(&row->host[host].core, (uint16_t)(host + 1), nonce)
		     : DYSCO_NO_ATTEMPT;
}

const struct dysco_attempt *row_record(const struct row *row, uint8_t host, uint8_t attempt)
{
	uint32_t index = record_index(row, host, attempt);

	return index == DYSCO_NO_ATTEMPT ? NULL : &row->host[host].sim.attempts[index];
}

/* The leg that faces right and is not of the past: the one that is in an attempt, if there are two.
 */
static uint32_t right_leg(const struct row *row, uint8_t host)
{
	const struct dysco_sim *sim = &row->host[host].sim;
	uint32_t found = DYSCO_NO_SLOT;

	for (uint32_t slot = 1; slot < sim->table.capacity; slot++) {
		const struct dysco_leg *leg = &sim->legs[slot];

		if ((leg->mode == DYSCO_MODE_FAST || leg->mode == DYSCO_MODE_PUNT) &&
		    (leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT) &&
		    (found == DYSCO_NO_SLOT || sim->cold[slot].attempt != DYSCO_NO_ATTEMPT)) {
			found = slot;
		}
	}
	return found;
}

void row_ask(struct row *row, uint8_t attempt)
{
	struct row_attempt *a = &row->attempt[attempt];
	struct row_host *h = &row->host[a->left];
	struct dysco_address_list path = {0};
	uint32_t index;

	memset(row->sent, 0, sizeof(row->sent));
	if (a->box) {
		path.hops[path.count++].addr = address(a->box);
	}
	path.hops[path.count++].addr = address(a->right);
	index = dysco_core_reconfigure(&h->core, ROW_NOW_NS, right_leg(row, a->left),
				       DYSCO_KIND_ORDINARY, &path, &row->out);
	/* One that is refused at once has no nonce of its own, and sends nothing. */
	a->nonce = index ? h->sim.attempts[index].nonce : 2u * attempt + 2;
	if (!index) {
		dysco_nonce_over(&h->core, a->nonce, false);
	}
	carry_out(row, a->left, NULL);
}

/* ---- what hosts know of the chain ---- */

void row_forget_hop(struct row *row, uint8_t host, uint8_t hop)
{
	struct dysco_core *core = &row->host[host].core;
	uint32_t slot = right_leg(row, host);
	struct dysco_address_list list, told = {0};
	struct dysco_addr gone = address(hop);

	dysco_chain_at(core, slot, &list);
	told.next = list.next;
	for (uint8_t i = 0; i < list.count; i++) {
		if (!dysco_addr_equal(&list.hops[i].addr, &gone)) {
			told.hops[told.count++] = list.hops[i];
		}
	}
	dysco_chain_learn(core, slot, &told);
}

bool row_knows_chain(const struct row *row, uint8_t host, uint8_t last)
{
	struct dysco_address_list list;
	uint32_t slot = right_leg(row, host);

	dysco_chain_at(&row->host[host].core, slot, &list);
	for (uint8_t hop = (uint8_t)(host + 1); hop <= last; hop++) {
		uint8_t at = (uint8_t)(list.next + hop - host - 1);

		if (at >= list.count || host_of(&list.hops[at].addr) != hop) {
			return false;
		}
	}
	return true;
}

void row_deliver(struct row *row, uint32_t packet)
{
	struct row_packet *f = &row->air[packet];

	row->n_heard = 0;
	memset(row->sent, 0, sizeof(row->sent));
	f->came++;
	through(row, f->to, DYSCO_IN, f->data, f->bytes);
}

void row_due(struct row *row, uint8_t host, uint8_t attempt, bool lapse, bool tired)
{
	struct row_host *h = &row->host[host];
	uint32_t index = record_index(row, host, attempt);
	struct dysco_attempt *a = &h->sim.attempts[index];

	memset(row->sent, 0, sizeof(row->sent));
	a->lease_ns = lapse ? 0 : UINT64_MAX;
	a->tries = tired ? DYSCO_TRIES_MAX : 0;
	dysco_core_attempt_due(&h->core, ROW_NOW_NS, index, &row->out);
	carry_out(row, host, NULL);
}

void row_cancel(struct row *row, uint8_t attempt)
{
	uint8_t host = row->attempt[attempt].left;

	memset(row->sent, 0, sizeof(row->sent));
	dysco_core_attempt_cancel(&row->host[host].core, ROW_NOW_NS,
				  record_index(row, host, attempt), &row->out);
	carry_out(row, host, NULL);
}

/* ---- what is to be seen ---- */

static void observe_link(const struct row *row, uint8_t host, struct row_state *s)
{
	const struct dysco_sim *sim = &row->host[host].sim;
	uint32_t slot = right_leg(row, host);
	uint32_t index = slot == DYSCO_NO_SLOT ? DYSCO_NO_ATTEMPT : sim->cold[slot].attempt;
	const struct dysco_attempt *a = &sim->attempts[index];

	if (index != DYSCO_NO_ATTEMPT) {
		uint8_t owner = attempt_of(row, a->nonce);

		s->owner[host] = owner == ROW_NOBODY ? ROW_NOBODY : (uint8_t)(owner + 1);
		s->pend[host] = a->state == DYSCO_ATTEMPT_REQUESTING;
		if (a->kept != DYSCO_NO_ATTEMPT) {
			s->kept[host] =
			    (uint8_t)(attempt_of(row, sim->attempts[a->kept].nonce) + 1);
		}
	}
}

static uint8_t left_state(const struct row *row, uint8_t attempt)
{
	const struct row_attempt *of = &row->attempt[attempt];
	const struct dysco_attempt *a = row_record(row, of->left, attempt);

	if (!a || a->role != DYSCO_PART_LEFT_ANCHOR) {
		return of->nonce ? ROW_L_ENDED : ROW_L_IDLE;
	}
	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTING:
		return ROW_L_ASKING;
	case DYSCO_ATTEMPT_SETTING_UP:
	case DYSCO_ATTEMPT_PROVING:
		return ROW_L_GRANTED;
	case DYSCO_ATTEMPT_CUTTING:
		return ROW_L_CUTTING;
	case DYSCO_ATTEMPT_RELEASING:
		return ROW_L_RELEASING;
	case DYSCO_ATTEMPT_CANCELLING:
		return a->cut_made ? ROW_L_UNCUTTING : ROW_L_CANCELLING;
	default:
		return ROW_L_TWO;
	}
}

/*
 * In the model both anchors let go of the old path in one step, that of L. R has
 * ended or was never asked: the nonces that are over tell.
 */
static uint8_t right_state(const struct row *row, uint8_t attempt)
{
	const struct row_attempt *of = &row->attempt[attempt];
	const struct dysco_attempt *a = row_record(row, of->right, attempt);
	const uint8_t bound = DYSCO_ATTEMPT_TAKEN | DYSCO_ATTEMPT_CUT_SEEN;

	if (!a || a->role != DYSCO_PART_RIGHT_ANCHOR) {
		return ROW_R_NONE;
	}
	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTED:
	case DYSCO_ATTEMPT_WAITING:
	case DYSCO_ATTEMPT_READY:
		return ROW_R_REQUESTED;
	case DYSCO_ATTEMPT_FREED:
		return of->finished ? ROW_R_FREED : ROW_R_TAKEN;
	default:
		return of->finished ? ROW_R_FREED : (a->seen & bound) ? ROW_R_TAKEN : ROW_R_TWO;
	}
}

void row_observe(const struct row *row, struct row_state *s)
{
	memset(s, 0, sizeof(*s));
	for (uint8_t host = 0; host < ROW_LINKS; host++) {
		observe_link(row, host, s);
	}
	for (uint8_t a = 0; a < ROW_ATTEMPTS; a++) {
		uint64_t nonce = row->attempt[a].nonce;

		for (uint8_t host = 0; nonce && host < ROW_HOSTS; host++) {
			bool over =
			    dysco_nonce_fate(&row->host[host].core, nonce) != DYSCO_NONCE_UNKNOWN;

			s->over[host] = (uint8_t)(s->over[host] | over << a);
		}
		s->ls[a] = left_state(row, a);
		s->rs[a] = right_state(row, a);
	}
}

static bool run_all(struct row *row, uint64_t first, uint64_t last,
		    void (*run)(void *walk, uint64_t seed))
{
	for (uint64_t seed = first; seed <= last; seed++) {
		run(row, seed);
		if (row->broken) {
			fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, row->broken);
			return false;
		}
	}
	return true;
}

int row_main(int argc, char **argv, size_t walk_bytes, void (*run)(void *walk, uint64_t seed),
	     bool (*trail)(void *walk, const char *path))
{
	uint64_t first = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
	struct row *row = malloc(walk_bytes);
	bool good = false;

	if (row && first > 0) {
		good = run_all(row, first, strtoull(argv[2], NULL, 10), run);
	} else if (row && argc == 2 && trail) {
		good = trail(row, argv[1]);
	}
	free(row);
	return good ? 0 : 1;
}
