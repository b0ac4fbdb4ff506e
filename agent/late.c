/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Late attach (docs/protocol.md 12.8): sessions older than the agent or its
 * policies. The kernel says what their SYNs did; then their packets are watched
 * until no byte that was sent before can lie beyond what was seen, since a cut
 * must not be below it. What was asked for waits for that, the loop does not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job.h"
#include "agent/log.h"
#include "datapath/step.h"

#define WAIT_NS	   (10 * 1000000000ull) /* for a packet each way; above TCP's usual time-outs */
#define PROVOKE_NS 1000000000ull	/* a kernel answers such segments twice a second at most */
#define QUIET_NS   1000000000ull	/* watched for, where the kernel cannot be asked */

struct dysco_adoption {
	struct dysco_adoption *next;
	uint32_t slot;
	uint64_t created_ns; /* of the leg: the slot may have come to be another's */
	uint64_t since_ns;   /* that it was asked for */
	bool bounded;	     /* `end` is known: all the host had sent by then is below it */
	uint32_t end;
	uint64_t quiet_ns;   /* not sooner than this */
	uint64_t provoke_ns; /* when its ends are made to show their numbers */
	/* who waits: a client, or a job with one of its sessions; neither: nobody */
	void *client;
	struct dysco_words *words; /* what the client asked for */
	uint32_t job, target;
};

static struct dysco_leg *leg_of(const struct dysco_agent *agent, const struct dysco_adoption *a)
{
	return &agent->core.table->legs[a->slot];
}

static struct dysco_adoption *add(struct dysco_agent *agent, uint32_t slot)
{
	struct dysco_adoption *a = calloc(1, sizeof(*a));

	if (a) {
		a->slot = slot;
		a->created_ns = leg_of(agent, a)->created_ns;
		a->since_ns = dysco_now_ns();
		a->provoke_ns = a->since_ns + PROVOKE_NS / 4;
		a->next = agent->adoptions;
		agent->adoptions = a;
	}
	return a;
}

static void free_adoption(struct dysco_adoption *a)
{
	free(a->words);
	free(a);
}

/* ---- asking ---- */

static const struct dysco_host *host_of(const struct dysco_agent *agent,
					const struct dysco_addr *addr)
{
	const struct dysco_setup *setup = &agent->config->setup;

	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		if (dysco_host_has(&setup->hosts[i], addr)) {
			return &setup->hosts[i];
		}
	}
	return NULL;
}

static int fail_socket(const struct dysco_host *host, int wrong, struct dysco_conf_error *error)
{
	switch (wrong) {
	case -ENODEV:
		return dysco_conf_fail(
		    error, "not_adopted", "dysco status",
		    "no attachment of host '%s' is in force: its packets cannot be seen",
		    host->name);
	case -ENOTCONN:
		return dysco_conf_fail(error, "unknown_session", "ss -tn",
				       "host '%s' has no such connection", host->name);
	default:
		return dysco_conf_fail(error, "internal", NULL, "host '%s': %s", host->name,
				       strerror(-wrong));
	}
}

/*
 * The host's machines lie beyond a port, or a gateway: who opened the session is who was named
 * first, and what the SYNs said is asked of the other end.
 */
static bool is_beyond(const struct dysco_agent *agent, struct dysco_late *late)
{
	const struct dysco_config *config = agent->config;

	for (uint16_t i = 0; i < config->n_attachments && !late->learns; i++) {
		const struct dysco_attachment *a = &config->attachments[i];

		if (a->host == late->host && agent->attached[a->id].ifindex) {
			late->attachment = a->id;
			late->learns = true;
		}
	}
	return late->learns;
}

/* Makes the leg; its slot, or DYSCO_NO_SLOT with *error. */
static uint32_t adopt(struct dysco_agent *agent, const struct dysco_tuple *tuple,
		      struct dysco_conf_error *error)
{
	struct dysco_late late = {.initiator = true, .tuple = *tuple};
	const struct dysco_host *host = host_of(agent, &tuple->src);
	struct dysco_socket socket = {0};
	uint32_t slot;
	int wrong;

	if (!host) {
		dysco_conf_fail(error, "unknown_session",
				"the end that opened it comes first: ask its agent",
				"no such session passes here, and its first end is not here");
		return DYSCO_NO_SLOT;
	}
	late.host = host->id;
	wrong = dysco_stack_find(agent, host->id, tuple, &late.attachment, &socket);
	if (wrong != 0 && (wrong != -ENODEV || !is_beyond(agent, &late))) {
		fail_socket(host, wrong, error);
		return DYSCO_NO_SLOT;
	}
	if (socket.accepted) {
		dysco_conf_fail(error, "not_adopted", "ask its agent, with the ends the other way",
				"the other end opened this session");
		return DYSCO_NO_SLOT;
	}
	memcpy(late.options, socket.options, sizeof(late.options));
	slot = dysco_core_adopt(&agent->core, dysco_now_ns(), &late);
	if (slot == DYSCO_NO_SLOT) {
		dysco_conf_fail(error, "limit", "dysco status",
				"no room for it, or its ports have not been free for long");
	}
	return slot;
}

static void tell_adopted(struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_action action = {
	    .kind = DYSCO_ACT_EVENT, .event = DYSCO_EVENT_ADOPTED, .slot = slot};

	dysco_agent_event(agent, &action);
}

static struct dysco_adoption *find(const struct dysco_agent *agent, uint32_t slot)
{
	struct dysco_adoption *a = agent->adoptions;

	while (a && (a->slot != slot || a->created_ns != leg_of(agent, a)->created_ns)) {
		a = a->next;
	}
	return a;
}

/* Nobody waits with it yet: each waits for itself. NULL: out of memory. */
static struct dysco_adoption *place_for(struct dysco_agent *agent, uint32_t slot)
{
	struct dysco_adoption *a = find(agent, slot);

	if (!a || a->client || a->job) {
		a = add(agent, slot);
	}
	if (a) {
		a->since_ns = dysco_now_ns();
	}
	return a;
}

static int wait_for(struct dysco_agent *agent, void *client, uint32_t slot,
		    const struct dysco_words *words, struct dysco_conf_error *error)
{
	struct dysco_words *copy = malloc(sizeof(*copy));
	struct dysco_adoption *a = copy ? place_for(agent, slot) : NULL;

	if (!a) {
		free(copy);
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	dysco_words_copy(copy, words);
	a->client = client;
	a->words = copy;
	return 0;
}

static int start(struct dysco_agent *agent, void *client, const struct dysco_words *words,
		 struct dysco_conf_error *error)
{
	struct dysco_tuple tuple;
	uint32_t slot;

	if (words->count < 4 || !dysco_parse_tuple(words->word[2], words->word[3], &tuple)) {
		return dysco_conf_fail(error, "unknown_session", "ss -tn",
				       "no such session passes here; others are named by SRC DST");
	}
	slot = adopt(agent, &tuple, error);
	if (slot == DYSCO_NO_SLOT) {
		return -1;
	}
	tell_adopted(agent, slot);
	return wait_for(agent, client, slot, words, error);
}

/* ---- for jobs ---- */

int dysco_late_begin(struct dysco_agent *agent, uint16_t host, const struct dysco_tuple *tuple,
		     uint32_t job, uint32_t target, uint32_t *slot, struct dysco_conf_error *error)
{
	struct dysco_adoption *a;

	*slot = dysco_core_late_find(&agent->core, host, tuple);
	if (*slot == DYSCO_NO_SLOT) {
		*slot = adopt(agent, tuple, error);
		if (*slot == DYSCO_NO_SLOT) {
			return -1;
		}
		tell_adopted(agent, *slot);
	}
	if (!(agent->core.table->legs[*slot].flags & DYSCO_LEG_LATE)) {
		return 1;
	}
	a = place_for(agent, *slot);
	if (!a) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	a->job = job;
	a->target = target;
	return 0;
}

static void job_failed(struct dysco_agent *agent, struct dysco_adoption *a,
		       const struct dysco_conf_error *error)
{
	uint32_t job = a->job;

	a->job = 0;
	dysco_job_adopted(agent, job, a->target, DYSCO_NO_SLOT, error);
}

void dysco_late_cancel(struct dysco_agent *agent, uint32_t job)
{
	struct dysco_conf_error error;

	dysco_conf_fail(&error, "aborted", NULL, "the job was aborted; the session is watched");
	for (struct dysco_adoption *a = agent->adoptions; a; a = a->next) {
		if (job && a->job == job) {
			job_failed(agent, a, &error);
		}
	}
}

/* ---- answering ---- */

static json_t *adopted_json(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	json_t *o = json_object();

	json_object_set_new(o, "id", dysco_json_id(&cold->id));
	json_object_set_new(o, "session", dysco_json_tuple(&cold->session));
	return o;
}

/* The passage's leg that is not watched for long enough, DYSCO_NO_SLOT: none. */
static uint32_t late_leg(const struct dysco_agent *agent, const struct dysco_passage *passages,
			 uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = dysco_passage_main(&passages[i]);

		if (agent->core.table->legs[slot].flags & DYSCO_LEG_LATE) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

json_t *dysco_late_change(struct dysco_agent *agent, void *client, const struct dysco_words *words,
			  struct dysco_order *order, bool *later, struct dysco_conf_error *error)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_session(agent, &order->words, order->session_at, order->session_end,
					passages, error);
	uint32_t slot = late_leg(agent, passages, n);
	bool insert = order->wish.kind == DYSCO_WISH_INSERT && !order->dry_run;

	if (insert && n == 0 && strcmp(error->code, "unknown_session") == 0) {
		*later = start(agent, client, words, error) == 0;
		return NULL;
	}
	if (insert && slot != DYSCO_NO_SLOT) {
		*later = wait_for(agent, client, slot, words, error) == 0;
		return NULL;
	}
	return dysco_reconfig_one(agent, client, order, later, error);
}

/* session adopt SRC DST, of a session known here or not. */
int dysco_late_request(struct dysco_agent *agent, void *client, const struct dysco_words *words,
		       json_t **now, struct dysco_conf_error *error)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_session(agent, words, 2, words->count, passages, error);
	uint32_t slot = n > 0 ? dysco_passage_main(&passages[0]) : (uint32_t)DYSCO_NO_SLOT;

	*now = NULL;
	if (n == 0) {
		return strcmp(error->code, "unknown_session") == 0
			   ? start(agent, client, words, error)
			   : -1;
	}
	if (agent->core.table->legs[slot].flags & DYSCO_LEG_LATE) {
		return wait_for(agent, client, slot, words, error);
	}
	*now = adopted_json(agent, slot);
	return 0;
}

static void answer(struct dysco_agent *agent, struct dysco_adoption *a, json_t *json)
{
	void *client = a->client;

	a->client = NULL;
	free(a->words);
	a->words = NULL;
	agent->hooks.answer(agent->hooks.context, client, json);
}

static void answer_failed(struct dysco_agent *agent, struct dysco_adoption *a, const char *hint,
			  const char *why)
{
	struct dysco_conf_error error;

	dysco_conf_fail(&error, "not_adopted", hint, "%s", why);
	if (a->client) {
		answer(agent, a, dysco_error_json(&error));
	} else if (a->job) {
		job_failed(agent, a, &error);
	}
}

/* The change that its client asked for: *later, or the answer. */
static json_t *change(struct dysco_agent *agent, const struct dysco_adoption *a, bool *later)
{
	struct dysco_conf_error error;
	struct dysco_order *order = dysco_order_parse(agent, a->words, &error);
	json_t *json = order ? dysco_reconfig_one(agent, a->client, order, later, &error) : NULL;

	if (order) {
		dysco_order_free(order);
	}
	return json || *later ? json : dysco_error_json(&error);
}

/* What its client asked for can be done now. */
static void go_on(struct dysco_agent *agent, struct dysco_adoption *a)
{
	bool later = false;
	json_t *json;

	if (a->job) {
		dysco_job_adopted(agent, a->job, a->target, a->slot, NULL);
	}
	if (!a->client) {
		return;
	}
	json = strcmp(a->words->word[1], "adopt") == 0 ? adopted_json(agent, a->slot)
						       : change(agent, a, &later);
	if (!later) {
		answer(agent, a, json);
	}
}

/* ---- watching ---- */

/* After the question: what was acknowledged by then is not beyond what is acknowledged now. */
static int bound(struct dysco_agent *agent, struct dysco_adoption *a, uint64_t now_ns)
{
	const struct dysco_leg *leg = leg_of(agent, a);
	struct dysco_socket socket;
	uint16_t attachment;
	int wrong = dysco_stack_find(agent, leg->host, &leg->host_tuple, &attachment, &socket);
	uint32_t acked = __atomic_load_n(&leg->run[DYSCO_IN].ack, __ATOMIC_ACQUIRE);

	if (wrong != 0 && wrong != -ENODEV) {
		return wrong;
	}
	if (wrong == 0) {
		dysco_core_late_options(&agent->core, a->slot, socket.options);
	}
	a->bounded = true;
	a->end = acked + (wrong == 0 ? socket.unacked : 0);
	a->quiet_ns = wrong == 0 ? 0 : now_ns + QUIET_NS;
	return 0;
}

static bool is_known(const struct dysco_agent *agent, const struct dysco_adoption *a,
		     uint64_t now_ns)
{
	const struct dysco_leg *leg = leg_of(agent, a);
	uint32_t sent = leg->run[DYSCO_OUT].seq_end;

	return now_ns >= a->quiet_ns && !dysco_seq_after(a->end, sent) &&
	       !dysco_seq_after(leg->run[DYSCO_IN].ack, sent);
}

/* Nothing has come by, each way; the answers will. */
static void provoke(struct dysco_agent *agent, struct dysco_adoption *a, uint64_t now_ns)
{
	if (now_ns >= a->provoke_ns) {
		a->provoke_ns = now_ns + PROVOKE_NS;
		dysco_core_late_provoke(&agent->core, a->slot, &agent->actions);
		dysco_agent_perform(agent, NULL);
	}
}

enum outcome { WATCHING, KNOWN, GONE };

static enum outcome look_at(struct dysco_agent *agent, struct dysco_adoption *a, uint64_t now_ns)
{
	const struct dysco_leg *leg = leg_of(agent, a);

	if (leg->created_ns != a->created_ns || !dysco_core_only_watches(&agent->core, a->slot)) {
		return GONE;
	}
	if (!(leg->flags & DYSCO_LEG_LATE)) {
		return KNOWN;
	}
	if (!(leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen & DYSCO_SEEN_ACK)) {
		provoke(agent, a, now_ns);
		return WATCHING;
	}
	if (!a->bounded && bound(agent, a, now_ns) == -ENOTCONN) {
		dysco_core_late_forget(&agent->core, a->slot);
		return GONE;
	}
	if (!a->bounded || !is_known(agent, a, now_ns)) {
		return WATCHING;
	}
	dysco_core_late_known(&agent->core, a->slot);
	return KNOWN;
}

static void end(struct dysco_agent *agent, struct dysco_adoption *a, enum outcome outcome)
{
	if (outcome == KNOWN) {
		go_on(agent, a);
	} else if (a->job) {
		job_failed(agent, a, NULL);
	} else {
		answer_failed(agent, a, "dysco session list", "the session has ended");
	}
	free_adoption(a);
}

void dysco_late_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	struct dysco_adoption **at = &agent->adoptions;

	while (*at) {
		struct dysco_adoption *a = *at;
		enum outcome outcome = look_at(agent, a, now_ns);

		if (outcome != WATCHING) {
			*at = a->next;
			end(agent, a, outcome);
			continue;
		}
		if ((a->client || a->job) && now_ns > a->since_ns + WAIT_NS) {
			answer_failed(agent, a, "do its packets pass this host's interface?",
				      "no packet was seen each way");
		}
		at = &a->next;
	}
}

void dysco_late_adopted(struct dysco_agent *agent, uint32_t slot)
{
	if ((agent->core.table->legs[slot].flags & DYSCO_LEG_LATE) && !find(agent, slot)) {
		add(agent, slot);
	}
}

void dysco_late_resume(struct dysco_agent *agent)
{
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		if (dysco_core_only_watches(&agent->core, slot)) {
			dysco_late_adopted(agent, slot);
		}
	}
}

void dysco_late_forget(struct dysco_agent *agent, const void *client)
{
	for (struct dysco_adoption *a = agent->adoptions; a; a = a->next) {
		if (a->client == client) {
			a->client = NULL;
		}
	}
}

void dysco_late_stop(struct dysco_agent *agent)
{
	while (agent->adoptions) {
		struct dysco_adoption *a = agent->adoptions;

		agent->adoptions = a->next;
		free_adoption(a);
	}
}
