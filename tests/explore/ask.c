// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is asked of an agent in the course of a run: a change of the chain, as somebody says
 * it or as the agent plans it by what its host knows; a trace; a question of health. And
 * what comes of it.
 */
#include "tests/explore/explore.h"
#include "core/reconfig.h"

#include <string.h>

/* ---- changes ---- */

/* As the end's stack would tell of it: what was negotiated. */
static struct dysco_syn_options options_of(const struct xp *x, uint8_t side)
{
	const struct xp_end *e = &x->end[side];
	struct dysco_syn_options o = {1460, DYSCO_NO_WSCALE, DYSCO_SYN_NOTED};

	o.wscale = e->shift_out ? e->shift_out : o.wscale;
	o.flags |= (e->sack ? DYSCO_SYN_SACK : 0) | (e->ts ? DYSCO_SYN_TS : 0);
	return o;
}

static void adopt(struct xp *x, struct xp_host *h)
{
	struct dysco_late late = {.host = 1, .initiator = true, .tuple = xp_session()};

	late.options[DYSCO_OUT] = options_of(x, 0);
	late.options[DYSCO_IN] = options_of(x, 1);
	x->actions->count = 0;
	if (dysco_core_adopt(&h->core, XP_NOW_NS, &late) == DYSCO_NO_SLOT) {
		xp_fail(x, "the session is not adopted");
	}
}

static uint8_t kind_of(const struct xp_host *h, const struct xp_step *step, uint32_t slot)
{
	if (step->ask == XP_ASK_RECOVER) {
		return DYSCO_KIND_RECOVERY;
	}
	return dysco_core_only_watches(&h->core, slot) ? DYSCO_KIND_LATE : DYSCO_KIND_ORDINARY;
}

/*
 * What the host takes for its right neighbour is left out, or the box is put before it: to the
 * first host that stays, since none may be on both paths.
 */
static struct dysco_address_list plan(const struct xp_host *h, const struct xp_step *step,
				      uint32_t slot)
{
	const struct dysco_address_list *known = &h->dp.cold[slot].list;
	struct dysco_address_list list = {0};
	bool more = step->ask == XP_ASK_WITH;

	if (more) {
		list.hops[list.count++].addr = xp_address(step->box);
	}
	list.hops[list.count++] = known->hops[known->next + !more];
	return list;
}

static struct dysco_address_list path_of(const struct xp_step *step)
{
	struct dysco_address_list list = {0};

	for (uint8_t i = 0; i < sizeof(step->path) && step->path[i]; i++) {
		list.hops[list.count++].addr = xp_address(step->path[i]);
	}
	list.hops[list.count++].addr = xp_address(step->anchor);
	return list;
}

static void change(struct xp *x, struct xp_host *h, const struct xp_step *step)
{
	const struct xp_summary *summary = xp_summary(x, step->host);
	bool planned = step->ask == XP_ASK_WITH || step->ask == XP_ASK_WITHOUT;
	struct dysco_address_list list = planned ? plan(h, step, summary->ready) : path_of(step);

	if (step->ask == XP_ASK_TRIGGER) {
		dysco_core_trigger(&h->core, XP_NOW_NS, summary->box, &list, x->actions);
	} else {
		dysco_core_reconfigure(&h->core, XP_NOW_NS, summary->ready,
				       kind_of(h, step, summary->ready), &list, x->actions);
	}
}

/* ---- health ---- */

static uint32_t channel_to(const struct xp_host *h, uint8_t to)
{
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		if (dysco_core_is_channel(&h->core, slot) &&
		    xp_host_of(&h->dp.legs[slot].wire_tuple.dst) == to) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* Hosts that this one has channels with. */
uint8_t xp_channels(const struct xp_host *h)
{
	uint8_t bits = 0;

	for (uint8_t to = 0; to < XP_HOSTS; to++) {
		bits |= (uint8_t)((channel_to(h, to) != DYSCO_NO_SLOT) << to);
	}
	return bits;
}

/* As an agent does it: on the channel that there is, or on a new one beside the session. */
static void probe(struct xp *x, struct xp_host *h, const struct xp_step *step, uint8_t number)
{
	uint32_t beside = xp_summary(x, step->host)->ready, slot = channel_to(h, step->anchor);
	struct dysco_msg_trace question = {.nonce = number + 1u, .flags = step->flags};
	struct dysco_addr to = xp_address(step->anchor);

	question.id = h->dp.cold[beside].id;
	x->w.unanswered |= (uint8_t)(1u << number);
	if (slot != DYSCO_NO_SLOT &&
	    dysco_core_probe(&h->core, XP_NOW_NS, slot, &question, x->actions)) {
		return;
	}
	slot = dysco_core_channel_open(&h->core, XP_NOW_NS, beside, &to);
	if (slot == DYSCO_NO_SLOT ||
	    !dysco_core_probe(&h->core, XP_NOW_NS, slot, &question, x->actions)) {
		xp_fail(x, "host %u cannot ask host %u", step->host, step->anchor);
	}
}

/* Who takes leave does not wait for answers. */
static void leave(struct xp *x, struct xp_host *h, const struct xp_step *step)
{
	uint32_t slot = channel_to(h, step->anchor);

	for (uint8_t i = 0; i < XP_SCRIPT_MAX; i++) {
		if (x->config->script[i].host == step->host &&
		    x->config->script[i].anchor == step->anchor) {
			x->w.unanswered &= (uint8_t) ~(1u << i);
		}
	}
	dysco_core_channel_close(&h->core, XP_NOW_NS, slot, x->actions);
}

/* Ends of sessions that stay open have a leg of it; boxes, when nobody changes the chain. */
static bool must_know(const struct xp *x, uint8_t host)
{
	for (uint8_t i = 0; i < XP_SCRIPT_MAX && x->config->script[i].ask; i++) {
		if (host > 1 && x->config->script[i].ask < XP_ASK_TRACE) {
			return false;
		}
	}
	return x->config->app[0].closes == XP_STAY_OPEN && !x->w.reset_sent;
}

static void answered(struct xp *x, uint8_t host)
{
	const struct dysco_msg_probe_reply *reply = &x->actions->probe;
	uint32_t number = reply->trace.nonce - 1;
	const struct xp_step *step = &x->config->script[number % XP_SCRIPT_MAX];

	if (number >= XP_SCRIPT_MAX || step->ask != XP_ASK_PROBE || step->host != host ||
	    !((x->w.scripted >> number) & 1)) {
		xp_fail(x, "host %u is given an answer to what it has not asked", host);
		return;
	}
	if (reply->report.host[0] != '0' + step->anchor && reply->known) {
		xp_fail(x, "host %u was asked, and another one answers", step->anchor);
	}
	if (!reply->known && must_know(x, step->anchor)) {
		xp_fail(x, "host %u does not know the session, and is in it", step->anchor);
	}
	x->w.unanswered &= (uint8_t) ~(1u << number);
	if (step->flags & DYSCO_PROBE_CLOSE) {
		x->w.closed |= (uint8_t)(1u << step->anchor);
	}
}

/*
 * Of a channel that the agent has forgotten: the host's own stack knows nothing of it.
 * false: it is another packet.
 */
bool xp_stack_resets(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes)
{
	uint8_t reset[SIM_PACKET_BYTES];
	struct dysco_tuple back;
	struct sim_segment s;
	size_t n;

	if (!sim_segment_read(&s, data, bytes) || !(s.flags & SIM_ACK) ||
	    DYSCO_HOST16(s.tuple.sport_be) < XP_PORT_FIRST ||
	    DYSCO_HOST16(s.tuple.dport_be) < XP_PORT_FIRST) {
		return false;
	}
	back = dysco_tuple_reverse(&s.tuple);
	n = dysco_edit_make_segment(reset, sizeof(reset), &back, s.ack, 0, DYSCO_TCP_RST, 0, 0,
				    NULL, 0);
	if (!(s.flags & SIM_RST)) {
		xp_queue(x, host, true, reset, (uint32_t)n);
	}
	return true;
}

/* ---- all of them ---- */

void xp_host_step(struct xp *x, uint8_t number)
{
	const struct xp_step *step = &x->config->script[number];
	struct xp_host *h = xp_host_load(x, step->host);

	x->actions->count = 0;
	switch (step->ask) {
	case XP_ASK_CANCEL:
		dysco_core_attempt_cancel(&h->core, XP_NOW_NS, xp_summary(x, step->host)->left,
					  x->actions);
		break;
	case XP_ASK_ADOPT:
		adopt(x, h);
		break;
	case XP_ASK_TRACE:
		dysco_core_trace(&h->core, xp_summary(x, step->host)->ready, x->actions);
		break;
	case XP_ASK_PROBE:
		probe(x, h, step, number);
		break;
	case XP_ASK_LEAVE:
		leave(x, h, step);
		break;
	default:
		change(x, h, step);
		break;
	}
	xp_host_called(x, step->host);
}

/* The last plan that this host has begun is carried out. */
static void carried_out(struct xp *x, uint8_t host)
{
	for (uint8_t i = XP_SCRIPT_MAX; i-- > 0;) {
		const struct xp_step *step = &x->config->script[i];

		if (((x->w.scripted >> i) & 1) && step->host == host &&
		    (step->ask == XP_ASK_WITH || step->ask == XP_ASK_WITHOUT)) {
			x->w.carried |= (uint8_t)(1u << i);
			x->w.wanted &= (uint8_t) ~(1u << step->box);
			x->w.wanted |= (uint8_t)((step->ask == XP_ASK_WITH) << step->box);
			return;
		}
	}
}

void xp_host_event(struct xp *x, uint8_t host, const struct dysco_action *a)
{
	uint8_t role = x->hosts[host].dp.legs[a->slot].role;

	if (a->event == DYSCO_EVENT_RECONFIGURED) {
		x->w.changed = true;
		if (role == DYSCO_ROLE_FIRST || role == DYSCO_ROLE_RIGHT) { /* at the left anchor */
			carried_out(x, host);
		}
	} else if (a->event == DYSCO_EVENT_PROBED) {
		answered(x, host);
	}
}

/* Nothing happens any more. */
void xp_check_asked(struct xp *x)
{
	uint8_t channels = 0;

	for (uint8_t i = 0; i < XP_SCRIPT_MAX; i++) {
		const struct xp_step *step = &x->config->script[i];

		if (!((x->w.scripted >> i) & 1)) {
			continue;
		}
		if (step->must && !x->w.spent[XP_LOSS] && !((x->w.carried >> i) & 1)) {
			xp_fail(x, "step %u was in nobody's way, and is not carried out", i);
		}
		if (((x->w.unanswered >> i) & 1) && !x->w.spent[XP_LOSS] &&
		    !xp_is_dead(x, step->anchor)) {
			xp_fail(x, "host %u has not answered question %u", step->anchor, i);
		}
		if (step->ask == XP_ASK_LEAVE && !x->w.spent[XP_LOSS] &&
		    !xp_is_dead(x, step->anchor)) {
			channels = xp_summary(x, step->host)->channels >> step->anchor & 1;
			channels |= xp_summary(x, step->anchor)->channels >> step->host & 1;
		}
	}
	if (channels) {
		xp_fail(x, "a channel is left that was closed");
	}
}
