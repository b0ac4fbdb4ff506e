// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hosts: the shipped packet path and core over a leg table of a few legs.
 */
#include "tests/explore/explore.h"

#include <string.h>

enum { PORT_SERVER = 80, PORT_CLIENT = 1000 };

/* ---- addresses ---- */

struct dysco_addr xp_address(uint8_t host)
{
	return dysco_addr_from_ip4(DYSCO_BE32(0x0a000001u + host));
}

uint8_t xp_host_of(const struct dysco_addr *addr)
{
	for (uint8_t host = 0; host < XP_HOSTS; host++) {
		struct dysco_addr own = xp_address(host);

		if (dysco_addr_equal(&own, addr)) {
			return host;
		}
	}
	return XP_HOSTS;
}

struct dysco_tuple xp_session(void)
{
	struct dysco_tuple t = {xp_address(0), xp_address(1), DYSCO_BE16(PORT_CLIENT),
				DYSCO_BE16(PORT_SERVER)};

	return t;
}

/* ---- the table: keys in a row ---- */

static uint32_t key_at(const struct xp_host *h, const struct dysco_leg_key *key)
{
	uint32_t i = 0;

	while (i < h->n_keys && memcmp(&h->keys[i].key, key, sizeof(*key)) != 0) {
		i++;
	}
	return i;
}

static int table_bind(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct xp_host *h = (struct xp_host *)table;

	if (key_at(h, key) < h->n_keys) {
		return DYSCO_TABLE_EXISTS;
	}
	if (h->n_keys == sizeof(h->keys) / sizeof(h->keys[0])) {
		return DYSCO_TABLE_FULL;
	}
	h->keys[h->n_keys++] = (struct dysco_sim_place){*key, slot};
	return 0;
}

static void table_unbind(struct dysco_table *table, const struct dysco_leg_key *key)
{
	struct xp_host *h = (struct xp_host *)table;
	uint32_t at = key_at(h, key);

	if (at < h->n_keys) {
		h->keys[at] = h->keys[--h->n_keys];
	}
}

static uint32_t table_find(struct dysco_table *table, const struct dysco_leg_key *key)
{
	const struct xp_host *h = (const struct xp_host *)table;
	uint32_t at = key_at(h, key);

	return at < h->n_keys ? h->keys[at].slot : DYSCO_NO_SLOT;
}

static void table_move(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct xp_host *h = (struct xp_host *)table;
	uint32_t at = key_at(h, key);

	if (at < h->n_keys) {
		h->keys[at].slot = slot;
	}
}

static const struct dysco_table_ops table_ops = {
    .bind = table_bind,
    .unbind = table_unbind,
    .move = table_move,
    .find = table_find,
};

/* ---- setting up ---- */

static void write_policy(const struct xp_config *config, struct dysco_setup *setup)
{
	struct dysco_policy *policy = &setup->policies[0];

	memcpy(policy->name, "chain", sizeof("chain"));
	policy->tag = dysco_policy_tag(policy->name);
	setup->n_policies = 1;
	for (uint8_t i = 0; i < 3 && config->chain[i]; i++) {
		policy->hops[policy->n_hops++].index = i;
		setup->boxes[i].ip4 = xp_address(config->chain[i]);
		setup->boxes[i].name[0] = (char)('0' + config->chain[i]);
		setup->n_boxes++;
	}
}

void xp_host_open(struct xp *x, uint8_t host)
{
	struct xp_host *h = &x->hosts[host];
	struct dysco_setup *setup = &h->setup;
	struct dysco_sim *dp = &h->dp;

	memset(h, 0, sizeof(*h));
	setup->n_hosts = 1;
	setup->hosts[0].id = (uint16_t)(host + 1);
	setup->hosts[0].name[0] = (char)('0' + host);
	setup->hosts[0].n_prefixes = 1;
	setup->hosts[0].prefixes[0] = (struct dysco_prefix){xp_address(host), 128};
	setup->port_first = XP_PORT_FIRST;
	setup->port_last = 61063;
	setup->timeouts = (struct dysco_timeouts)DYSCO_TIMEOUTS_DEFAULT;
	dysco_sim_open(dp, XP_LEGS);
	dp->table.ops = &table_ops;
	dp->table.n_attempts = XP_ATTEMPTS;
	dysco_sim_heartbeat(dp, XP_NOW_NS);
	if (host == 0 && !x->config->late) {
		write_policy(x->config, setup);
		dp->rules[0].dport_be = DYSCO_BE16(PORT_SERVER);
		dp->n_rules = 1;
	}
}

static void start(const struct xp *x, struct xp_host *h, uint8_t host)
{
	struct dysco_core_seed seed = {.sender = host + 1u, .counter = 1};

	memset(seed.secret, host + 1, sizeof(seed.secret));
	seed.secret[0] = h->starts++;
	dysco_core_start(&h->core, &h->dp.table, &h->setup, &seed);
	h->core.knows_late = true;
	h->core.keeps_chains = !x->config->blind;
	h->dirty = true;
}

void xp_host_fresh(struct xp *x, uint8_t host)
{
	start(x, &x->hosts[host], host);
}

void xp_host_restart(struct xp *x, uint8_t host)
{
	start(x, xp_host_load(x, host), host);
}

/* ---- packets ---- */

static void self_check(struct xp *x, const struct xp_host *h)
{
	const char *broken = dysco_core_invariants(&h->core);

	x->core_calls++;
	if (broken) {
		xp_fail(x, "core of host %u: %s", (unsigned int)(h - x->hosts), broken);
	}
}

void xp_queue(struct xp *x, uint8_t host, bool out, const uint8_t *data, uint32_t bytes)
{
	struct xp_local *l = &x->queue[x->n_queue];

	if (x->n_queue == XP_QUEUE || bytes > sizeof(l->data)) {
		xp_fail(x, "a storm of packets at host %u", host);
		return;
	}
	x->n_queue++;
	l->host = host;
	l->out = out;
	l->bytes = bytes;
	memcpy(l->data, data, bytes);
}

/* in: the packet punted, NULL: none. */
static void carry_out(struct xp *x, uint8_t host, const struct dysco_input *in)
{
	const struct dysco_actions *actions = x->actions;
	const struct xp_host *h = &x->hosts[host];
	bool answered = !in;

	for (uint32_t i = 0; i < actions->count && !x->failed; i++) {
		const struct dysco_action *a = &actions->list[i];
		const uint8_t *data = actions->arena + a->offset;

		answered = answered || a->kind != DYSCO_ACT_EVENT;
		switch (a->kind) {
		case DYSCO_ACT_SEND:
			xp_fly(x, data, a->bytes, h->dp.legs[a->slot].role == DYSCO_ROLE_CONTROL);
			break;
		case DYSCO_ACT_DELIVER:
			xp_queue(x, host, false, data, a->bytes);
			break;
		case DYSCO_ACT_PASS:
			if (!in) {
				xp_fail(x, "core of host %u: PASS without a packet", host);
			} else if (in->direction == DYSCO_OUT) {
				xp_fly(x, in->data, in->bytes, false);
			} else {
				xp_queue(x, host, false, in->data, in->bytes);
			}
			break;
		case DYSCO_ACT_DROP:
			xp_say(x, "    core of host %u drops: reason %u", host, a->reason);
			break;
		default:
			xp_host_event(x, host, a);
			xp_say(x, "    core of host %u: event %u, reason %u", host, a->event,
			       a->reason);
			break;
		}
	}
	if (!answered) {
		xp_fail(x, "core of host %u: no answer to a packet", host);
	}
}

static void punted(struct xp *x, uint8_t host, enum dysco_direction direction, uint16_t policy,
		   const uint8_t *data, uint32_t bytes)
{
	struct xp_host *h = &x->hosts[host];
	struct dysco_input in = {.host = (uint16_t)(host + 1),
				 .direction = (uint8_t)direction,
				 .policy = policy,
				 .data = data,
				 .bytes = bytes,
				 .mtu = 1500};

	dysco_core_packet_received(&h->core, XP_NOW_NS, &in, x->actions);
	self_check(x, h);
	carry_out(x, host, &in);
}

/* A packet at a host's attachment, on its way out or in. */
static void through(struct xp *x, uint8_t host, enum dysco_direction direction,
		    const uint8_t *packet, uint32_t bytes)
{
	struct xp_host *h = xp_host_load(x, host);
	struct dysco_sim_result result;
	struct dysco_sim_frame frame = {
	    .host = (uint16_t)(host + 1), .direction = (uint8_t)direction, .bytes = bytes};
	uint8_t data[SIM_PACKET_BYTES];

	frame.data = data;
	memcpy(data, packet, bytes);
	switch (dysco_sim_packet(&h->dp, XP_NOW_NS, &frame, &result)) {
	case DYSCO_SIM_PUNT:
		punted(x, host, direction, result.policy, data, bytes);
		break;
	case DYSCO_SIM_DROP:
		xp_say(x, "    datapath of host %u drops: reason %u", host,
		       (unsigned int)result.reason);
		break;
	default:
		if (direction == DYSCO_OUT) {
			xp_fly(x, data, bytes, false);
		} else {
			xp_queue(x, host, false, data, bytes);
		}
		break;
	}
}

void xp_host_arrived(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes)
{
	xp_cover(x, host, data, bytes);
	through(x, host, DYSCO_IN, data, bytes);
}

void xp_work(struct xp *x)
{
	for (uint32_t i = 0; i < x->n_queue && !x->failed; i++) {
		const struct xp_local *l = &x->queue[i];

		if (l->out) {
			through(x, l->host, DYSCO_OUT, l->data, l->bytes);
		} else if (x->config->asks && xp_stack_resets(x, l->host, l->data, l->bytes)) {
			continue;
		} else if (l->host < 2) {
			xp_end_arrived(x, l->host, l->data, l->bytes);
		} else {
			xp_box_arrived(x, l->host, l->data, l->bytes);
		}
	}
	x->n_queue = 0;
}

/* ---- what is not a packet ---- */

void xp_host_called(struct xp *x, uint8_t host)
{
	self_check(x, &x->hosts[host]);
	carry_out(x, host, NULL);
}

void xp_host_due(struct xp *x, uint8_t host, uint8_t attempt, bool lapse)
{
	struct xp_host *h = xp_host_load(x, host);

	xp_cover_timer(x, host, attempt, lapse);
	h->dp.attempts[attempt].lease_ns = lapse ? 0 : UINT64_MAX;
	dysco_core_attempt_due(&h->core, XP_NOW_NS, attempt, x->actions);
	xp_host_called(x, host);
}

/* Long after the last packet, and longer with each turn: false when this host still has legs. */
bool xp_host_wind_up(struct xp *x, uint8_t host, uint32_t turn)
{
	struct xp_host *h = xp_host_load(x, host);

	dysco_core_time_passed(&h->core, (2 + turn) * XP_NOW_NS, XP_LEGS, x->actions);
	xp_host_called(x, host);
	xp_work(x);
	return h->core.live_legs == 0;
}
