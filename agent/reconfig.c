/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session insert, remove and replace: what a user says about boxes becomes the
 * new path of a reconfiguration (docs/protocol.md 12). The left anchor is the
 * host before the change and has to be one of this agent's. The client waits
 * for the end; the loop does not.
 */
#include <string.h>

#include "agent/log.h"
#include "agent/show.h"
#include "conf/parse.h"

#define WAIT_NS (60 * 1000000000ull) /* an attempt that fails by time-outs takes half of it */

/* What has been asked for. */
struct change {
	struct dysco_agent *agent;
	const struct dysco_words *words;
	struct dysco_conf_error *error;
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n_passages;
	int at; /* the word behind the session's */
};

struct nack {
	const char *name, *text;
};

static const struct nack *nack_of(unsigned int reason)
{
	static const struct nack nacks[] = {
#define X(sym, name, text) {name, text},
	    DYSCO_NACKS(X)
#undef X
	};
	static const struct nack unknown = {"unknown", "for a reason not known here"};

	return reason < DYSCO_NACK_COUNT ? &nacks[reason] : &unknown;
}

json_t *dysco_json_nack(unsigned int reason)
{
	return json_string(nack_of(reason)->name);
}

/* ---- hosts of a chain ---- */

static const struct dysco_leg *right_leg(const struct change *c, const struct dysco_passage *p)
{
	return &c->agent->core.table->legs[p->right];
}

static const struct dysco_address_list *list_of(const struct change *c,
						const struct dysco_passage *p)
{
	return &c->agent->core.table->cold[p->right].list;
}

/* Is that what the word means: a box, a host of this agent, or an address? */
static bool names(const struct dysco_agent *agent, const char *word, const struct dysco_addr *addr)
{
	const struct dysco_setup *setup = &agent->config->setup;
	int box = dysco_config_find_box(agent->config, word);
	int host = dysco_config_find_host(agent->config, word);
	struct dysco_addr literal;

	if (dysco_parse_addr(word, &literal)) {
		return dysco_addr_equal(&literal, addr);
	}
	return (box >= 0 && (dysco_addr_equal(&setup->boxes[box].ip4, addr) ||
			     dysco_addr_equal(&setup->boxes[box].ip6, addr))) ||
	       (host >= 0 && dysco_host_has(&setup->hosts[host], addr));
}

static bool is_anchor(const struct change *c, const struct dysco_passage *p)
{
	return p->right != DYSCO_NO_SLOT && right_leg(c, p)->mode != DYSCO_MODE_DEAD &&
	       list_of(c, p)->next < list_of(c, p)->count;
}

/* The anchor whose right neighbour the word names. */
static const struct dysco_passage *anchor_before(struct change *c, const char *word)
{
	for (uint32_t i = 0; i < c->n_passages; i++) {
		const struct dysco_passage *p = &c->passages[i];

		if (is_anchor(c, p) && names(c->agent, word, &right_leg(c, p)->wire_tuple.dst)) {
			return p;
		}
	}
	dysco_conf_fail(
	    c->error, "unknown_host", "ask the agent of the host before it (dysco session trace)",
	    "'%.60s' does not follow a host of this agent in this session's chain", word);
	return NULL;
}

static const struct dysco_passage *anchor_itself(struct change *c, const char *word)
{
	for (uint32_t i = 0; i < c->n_passages; i++) {
		const struct dysco_passage *p = &c->passages[i];

		if (is_anchor(c, p) && names(c->agent, word, &right_leg(c, p)->wire_tuple.src)) {
			return p;
		}
	}
	dysco_conf_fail(c->error, "unknown_host", "ask its own agent (dysco session trace)",
			"'%.60s' is not a host of this agent in this session's chain", word);
	return NULL;
}

/* The first host of the chain that is this agent's. */
static const struct dysco_passage *anchor_first(struct change *c)
{
	const struct dysco_passage *first = NULL;

	for (uint32_t i = 0; i < c->n_passages; i++) {
		const struct dysco_passage *p = &c->passages[i];

		if (is_anchor(c, p) && (!first || list_of(c, p)->next < list_of(c, first)->next)) {
			first = p;
		}
	}
	if (!first) {
		dysco_conf_fail(c->error, "unknown_session",
				"ask the agent of a host further to the left",
				"the session's chain goes on from no host of this agent");
	}
	return first;
}

/* ---- the new path ---- */

static int add_box(struct change *c, struct dysco_address_list *path, const char *word, bool ip4)
{
	int box = dysco_config_find_box(c->agent->config, word);
	struct dysco_addr addr = {{0}};

	if (box >= 0) {
		const struct dysco_box *b = &c->agent->config->setup.boxes[box];

		addr = ip4 ? b->ip4 : b->ip6;
	} else if (!dysco_parse_addr(word, &addr)) {
		return dysco_conf_fail(c->error, "unknown_box", "dysco box add NAME ADDRESS",
				       "box '%.60s' is not known", word);
	}
	if (dysco_addr_is_zero(&addr) || dysco_addr_is_ip4(&addr) != ip4) {
		return dysco_conf_fail(c->error, "bad_address", NULL,
				       "'%.60s' has no address of the session's family", word);
	}
	if (path->count == DYSCO_HOPS_MAX) {
		return dysco_conf_fail(c->error, "limit", NULL, "more than %d hosts",
				       DYSCO_HOPS_MAX);
	}
	path->hops[path->count++].addr = addr;
	return 0;
}

/* Boxes named by words[at .. end - 1], then the host that is `skip` behind the next one. */
static int make_path(struct change *c, const struct dysco_passage *p, int at, int end, int skip,
		     struct dysco_address_list *path)
{
	const struct dysco_address_list *list = list_of(c, p);
	bool ip4 = dysco_addr_is_ip4(&right_leg(c, p)->wire_tuple.src);

	memset(path, 0, sizeof(*path));
	for (int i = at; i < end; i++) {
		if (add_box(c, path, c->words->word[i], ip4) != 0) {
			return -1;
		}
	}
	if (list->next + skip >= list->count || path->count == DYSCO_HOPS_MAX) {
		return dysco_conf_fail(c->error, "unknown_host", "dysco session show",
				       "no host of the chain is behind the change");
	}
	path->hops[path->count++] = list->hops[list->next + skip];
	return 0;
}

/* insert SESSION BOX... [after HOST | before HOST] */
static const struct dysco_passage *parse_insert(struct change *c, struct dysco_address_list *path)
{
	const struct dysco_words *words = c->words;
	int n = words->count;
	const char *where = n - c->at > 2 ? words->word[n - 2] : "";
	bool after = strcmp(where, "after") == 0, before = strcmp(where, "before") == 0;
	const struct dysco_passage *p = after	 ? anchor_itself(c, words->word[n - 1])
					: before ? anchor_before(c, words->word[n - 1])
						 : anchor_first(c);

	return p && make_path(c, p, c->at, after || before ? n - 2 : n, 0, path) == 0 ? p : NULL;
}

/* remove SESSION BOX: those to be removed together are named from left to right. */
static const struct dysco_passage *parse_remove(struct change *c, struct dysco_address_list *path)
{
	const struct dysco_words *words = c->words;
	const struct dysco_passage *p = anchor_before(c, words->word[c->at]);
	int n = words->count - c->at;

	for (int i = 1; p && i < n; i++) {
		const struct dysco_address_list *list = list_of(c, p);

		if (list->next + i >= list->count ||
		    !names(c->agent, words->word[c->at + i], &list->hops[list->next + i].addr)) {
			dysco_conf_fail(c->error, "unknown_box", "dysco session show",
					"'%.60s' does not follow '%.60s' in the chain",
					words->word[c->at + i], words->word[c->at + i - 1]);
			return NULL;
		}
	}
	return p && make_path(c, p, 0, 0, n, path) == 0 ? p : NULL;
}

/* replace SESSION BOX BOX2... */
static const struct dysco_passage *parse_replace(struct change *c, struct dysco_address_list *path)
{
	const struct dysco_passage *p;

	if (c->words->count - c->at < 2) {
		dysco_conf_fail(c->error, "syntax", "see dysco(1)",
				"session replace: what is to be in its place is missing");
		return NULL;
	}
	p = anchor_before(c, c->words->word[c->at]);
	return p && make_path(c, p, c->at + 1, c->words->count, 1, path) == 0 ? p : NULL;
}

/* ---- waiting for the end ---- */

static int refused(const struct dysco_actions *actions, struct dysco_conf_error *error)
{
	unsigned int reason = DYSCO_NACK_RESOURCES;

	for (uint32_t i = 0; i < actions->count; i++) {
		if (actions->list[i].kind == DYSCO_ACT_EVENT &&
		    actions->list[i].event == DYSCO_EVENT_RECONFIG_FAILED) {
			reason = actions->list[i].reason;
		}
	}
	return dysco_conf_fail(error, "not_reconfigured", NULL, "%s: %s", nack_of(reason)->name,
			       nack_of(reason)->text);
}

static json_t *success(const struct dysco_agent *agent, const struct dysco_waiting *w)
{
	uint32_t slot = w->done_slot;
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	struct dysco_passage passage = {.left = agent->core.table->legs[slot].partner,
					.right = slot};
	json_t *o = json_object();

	json_object_set_new(o, "id", dysco_json_id(&cold->id));
	json_object_set_new(o, "session", dysco_json_tuple(&cold->session));
	json_object_set_new(o, "took_us", json_real((double)(w->done_ns - w->asked_ns) / 1000.0));
	json_object_set_new(o, "chain", dysco_show_chain(agent, &passage));
	return o;
}

static json_t *failure(const char *what, const char *why)
{
	struct dysco_conf_error error;

	dysco_conf_fail(&error, "not_reconfigured", "the session goes on by its old path", "%s: %s",
			what, why);
	return dysco_error_json(&error);
}

static void forget(struct dysco_agent *agent, struct dysco_waiting *w)
{
	agent->n_done -= w->done_ns != 0;
	memset(w, 0, sizeof(*w));
}

static void answer(struct dysco_agent *agent, struct dysco_waiting *w, json_t *json)
{
	void *client = w->client;

	forget(agent, w);
	agent->hooks.answer(agent->hooks.context, client, json);
}

static int begin(struct change *c, void *client, uint32_t slot,
		 const struct dysco_address_list *path)
{
	struct dysco_agent *agent = c->agent;
	uint64_t now_ns = dysco_now_ns();
	uint32_t index = dysco_core_reconfigure(&agent->core, now_ns, slot, DYSCO_KIND_ORDINARY,
						path, &agent->actions);
	struct dysco_waiting *w = &agent->waiting[index % DYSCO_WAITING_MAX];
	int result = index == DYSCO_NO_ATTEMPT ? refused(&agent->actions, c->error) : 0;

	if (result == 0 && w->client) {
		answer(agent, w, failure("expired", "the attempt is over"));
	}
	if (result == 0) {
		*w = (struct dysco_waiting){.client = client,
					    .attempt = index,
					    .nonce = agent->core.table->attempts[index].nonce,
					    .slot = slot,
					    .asked_ns = now_ns};
	}
	dysco_agent_perform(agent, NULL);
	return result;
}

int dysco_reconfig_start(struct dysco_agent *agent, void *client, const struct dysco_words *words,
			 struct dysco_conf_error *error)
{
	struct change c = {.agent = agent, .words = words, .error = error};
	const char *verb = words->word[1];
	struct dysco_address_list path;
	const struct dysco_passage *p;

	c.at = 2 + dysco_session_words(words, 2);
	if (c.at >= words->count) {
		return dysco_conf_fail(error, "syntax", "see dysco(1)",
				       "session %s: the box is missing", verb);
	}
	c.n_passages = dysco_find_session(agent, words, 2, c.at, c.passages, error);
	if (c.n_passages == 0) {
		return -1;
	}
	p = strcmp(verb, "insert") == 0	  ? parse_insert(&c, &path)
	    : strcmp(verb, "remove") == 0 ? parse_remove(&c, &path)
					  : parse_replace(&c, &path);
	return p ? begin(&c, client, p->right, &path) : -1;
}

/* Is it the end that one waits for? Both anchors may be this agent's: the left one's counts. */
static bool is_end(const struct dysco_agent *agent, const struct dysco_waiting *w,
		   const struct dysco_action *action)
{
	const struct dysco_attempt *a = &agent->core.table->attempts[w->attempt];

	if (action->event == DYSCO_EVENT_RECONFIG_FAILED) {
		return action->slot == w->slot;
	}
	return a->nonce == w->nonce && a->role == DYSCO_PART_LEFT_ANCHOR &&
	       a->new_slot == action->slot;
}

void dysco_reconfig_ended(struct dysco_agent *agent, const struct dysco_action *action)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (!w->client || !is_end(agent, w, action)) {
			continue;
		}
		if (action->event == DYSCO_EVENT_RECONFIG_FAILED) {
			answer(
			    agent, w,
			    failure(nack_of(action->reason)->name, nack_of(action->reason)->text));
		} else {
			agent->n_done += w->done_ns == 0;
			w->done_ns = dysco_now_ns();
			w->done_slot = action->slot;
		}
	}
}

/* The next change may be asked for at once: the locks must be open then. */
void dysco_reconfig_answer(struct dysco_agent *agent)
{
	for (int i = 0; agent->n_done > 0 && i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (w->done_ns && agent->core.table->attempts[w->attempt].nonce != w->nonce) {
			answer(agent, w, success(agent, w));
		}
	}
}

void dysco_reconfig_expire(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		struct dysco_waiting *w = &agent->waiting[i];

		if (w->client && now_ns - w->asked_ns >= WAIT_NS && now_ns > w->asked_ns) {
			answer(agent, w,
			       w->done_ns ? success(agent, w)
					  : failure("timeout", "it is still under way"));
		}
	}
}

void dysco_reconfig_forget(struct dysco_agent *agent, const void *client)
{
	for (int i = 0; i < DYSCO_WAITING_MAX; i++) {
		if (agent->waiting[i].client == client) {
			forget(agent, &agent->waiting[i]);
		}
	}
}
