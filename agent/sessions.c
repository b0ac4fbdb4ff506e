/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leg table, seen as sessions: which legs belong together, and finding the
 * session a user names (show.h).
 */
#include "agent/show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/parse.h"

static const struct dysco_leg *leg_at(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->legs[slot];
}

static bool faces_left(const struct dysco_leg *leg)
{
	return leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_LAST;
}

/* An anchor's leg on a new path, while the old one still speaks for the session. */
static bool is_beside(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_table *table = agent->core.table;
	uint32_t index = table->cold[slot].attempt;

	return index != DYSCO_NO_ATTEMPT && index < table->n_attempts &&
	       table->attempts[index].new_slot == slot &&
	       leg_at(agent, slot)->mode == DYSCO_MODE_PUNT;
}

bool dysco_passage_at(const struct dysco_agent *agent, uint32_t slot, struct dysco_passage *passage)
{
	const struct dysco_leg *leg = leg_at(agent, slot);
	uint32_t partner = leg->partner < agent->core.table->capacity ? leg->partner : 0;

	if (leg->mode == DYSCO_MODE_FREE || (!faces_left(leg) && partner != DYSCO_NO_SLOT) ||
	    leg->role == DYSCO_ROLE_CONTROL || is_beside(agent, slot)) {
		return false;
	}
	passage->left = faces_left(leg) ? slot : DYSCO_NO_SLOT;
	passage->right = faces_left(leg) ? partner : slot;
	return true;
}

uint32_t dysco_passage_main(const struct dysco_passage *passage)
{
	return passage->right != DYSCO_NO_SLOT ? passage->right : passage->left;
}

const struct dysco_host *dysco_passage_host(const struct dysco_agent *agent,
					    const struct dysco_passage *passage)
{
	return dysco_setup_host(&agent->config->setup,
				leg_at(agent, dysco_passage_main(passage))->host);
}

/* By the hash of its name: there may be many legs and many policies. */
static void count_policy(const struct dysco_setup *setup, const struct dysco_leg_cold *cold,
			 uint32_t *by_policy)
{
	char name[DYSCO_NAME_BYTES + 1] = "";
	uint32_t tag;

	if (cold->policy[0] == '\0') {
		return;
	}
	memcpy(name, cold->policy, DYSCO_NAME_BYTES);
	tag = dysco_policy_tag(name);
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		if (setup->policies[i].tag == tag) {
			by_policy[i]++;
		}
	}
}

void dysco_take_census(const struct dysco_agent *agent, struct dysco_census *census)
{
	struct dysco_passage passage;

	memset(census, 0, sizeof(*census));
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		enum dysco_leg_state state = dysco_leg_state(leg_at(agent, slot));

		if (leg_at(agent, slot)->mode == DYSCO_MODE_FREE) {
			continue;
		}
		census->legs[state]++;
		if (dysco_passage_at(agent, slot, &passage)) {
			uint32_t speaks = dysco_passage_main(&passage);

			state = dysco_leg_state(leg_at(agent, speaks));
			census->sessions[state]++;
			if (leg_at(agent, slot)->mode != DYSCO_MODE_DEAD) {
				count_policy(&agent->config->setup,
					     &agent->core.table->cold[speaks], census->by_policy);
			}
		}
	}
}

uint32_t dysco_count_sessions(const struct dysco_agent *agent, uint32_t *by_policy)
{
	struct dysco_passage passage;
	uint32_t n = 0;

	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		if (leg_at(agent, slot)->mode == DYSCO_MODE_DEAD ||
		    !dysco_passage_at(agent, slot, &passage)) {
			continue;
		}
		n++;
		if (by_policy) {
			count_policy(&agent->config->setup,
				     &agent->core.table->cold[dysco_passage_main(&passage)],
				     by_policy);
		}
	}
	return n;
}

/* What a user wrote for a session. */
struct wanted {
	char prefix[33]; /* of the id in hex; empty: the five-tuple counts */
	struct dysco_tuple tuple;
};

static bool parse_prefix(const char *word, char prefix[33])
{
	size_t n = strlen(word);

	if (n < 4 || n > 32) {
		return false;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && !isxdigit((unsigned char)word[i])) {
			return false;
		}
		prefix[i] = (char)tolower((unsigned char)word[i]);
	}
	return true;
}

int dysco_session_words(const struct dysco_words *words, int at)
{
	char prefix[33];

	return words->count > at && parse_prefix(words->word[at], prefix) ? 1 : 2;
}

static int parse_wanted(const struct dysco_words *words, int at, int end, struct wanted *wanted,
			struct dysco_conf_error *error)
{
	memset(wanted, 0, sizeof(*wanted));
	if (end == at + 1 && parse_prefix(words->word[at], wanted->prefix)) {
		return 0;
	}
	if (end == at + 2 &&
	    dysco_parse_tuple(words->word[at], words->word[at + 1], &wanted->tuple)) {
		return 0;
	}
	return dysco_conf_fail(
	    error, "syntax", "dysco session list",
	    "a session is named by at least 4 hex digits of its id, or by SRC DST");
}

static bool has_prefix(const struct dysco_session_id *id, const char *prefix)
{
	char text[33];

	for (int i = 0; i < 16; i++) {
		snprintf(text + 2 * i, 3, "%02x", id->b[i]);
	}
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_wanted(const struct dysco_leg_cold *cold, const struct wanted *wanted)
{
	struct dysco_tuple reverse;

	if (wanted->prefix[0]) {
		return has_prefix(&cold->id, wanted->prefix);
	}
	reverse = dysco_tuple_reverse(&cold->session);
	return dysco_tuple_equal(&cold->session, &wanted->tuple) ||
	       dysco_tuple_equal(&reverse, &wanted->tuple);
}

/* What was found; of an id that is given by its first digits, all of it is one session's. */
struct found {
	struct dysco_passage *passages; /* DYSCO_PASSAGES_MAX */
	uint32_t n;
	const struct dysco_session_id *id; /* NULL: nothing yet */
};

static bool take(struct found *found, const struct wanted *wanted,
		 const struct dysco_session_id *id, const struct dysco_passage *passage,
		 struct dysco_conf_error *error)
{
	if (found->id && wanted->prefix[0] && memcmp(found->id, id, sizeof(*id)) != 0) {
		dysco_conf_fail(error, "unknown_session", "give more digits of the id",
				"several sessions begin with '%s'", wanted->prefix);
		return false;
	}
	found->id = id;
	if (found->n < DYSCO_PASSAGES_MAX) {
		found->passages[found->n++] = *passage;
	}
	return true;
}

static uint32_t end(const struct found *found, const char *where, struct dysco_conf_error *error)
{
	if (found->n == 0) {
		dysco_conf_fail(error, "unknown_session", "dysco session list",
				"no such session passes %s", where);
	}
	return found->n;
}

/* Sessions that have ended are found too, unless a living one is meant. */
uint32_t dysco_find_session(const struct dysco_agent *agent, const struct dysco_words *words,
			    int at, int end_at, struct dysco_passage *passages,
			    struct dysco_conf_error *error)
{
	struct found found = {.passages = passages};
	struct dysco_passage passage;
	struct wanted wanted;
	bool living = false;

	if (parse_wanted(words, at, end_at, &wanted, error) != 0) {
		return 0;
	}
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
		bool alive = leg_at(agent, slot)->mode != DYSCO_MODE_DEAD;

		if ((living && !alive) || !dysco_passage_at(agent, slot, &passage) ||
		    !is_wanted(cold, &wanted)) {
			continue;
		}
		if (alive && !living) {
			living = true;
			found = (struct found){.passages = passages};
		}
		if (!take(&found, &wanted, &cold->id, &passage, error)) {
			return 0;
		}
	}
	return end(&found, "here", error);
}

/* ---- as the program of a box names them ---- */

static bool is_seen(const struct dysco_leg *leg, const struct wanted *wanted)
{
	struct dysco_tuple reverse = dysco_tuple_reverse(&leg->host_tuple);

	return !wanted->prefix[0] && (dysco_tuple_equal(&leg->host_tuple, &wanted->tuple) ||
				      dysco_tuple_equal(&reverse, &wanted->tuple));
}

static bool is_living_box(const struct dysco_agent *agent, const struct dysco_passage *passage)
{
	return passage->left != DYSCO_NO_SLOT && passage->right != DYSCO_NO_SLOT &&
	       leg_at(agent, passage->left)->mode != DYSCO_MODE_DEAD &&
	       leg_at(agent, passage->right)->mode != DYSCO_MODE_DEAD;
}

uint32_t dysco_find_boxes(const struct dysco_agent *agent, const struct dysco_words *words, int at,
			  int end_at, struct dysco_passage *passages,
			  struct dysco_conf_error *error)
{
	struct found found = {.passages = passages};
	struct dysco_passage passage;
	struct wanted wanted;

	if (parse_wanted(words, at, end_at, &wanted, error) != 0) {
		return 0;
	}
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];

		if (!dysco_passage_at(agent, slot, &passage) || !is_living_box(agent, &passage) ||
		    (!is_wanted(cold, &wanted) && !is_seen(leg_at(agent, slot), &wanted) &&
		     !is_seen(leg_at(agent, passage.right), &wanted))) {
			continue;
		}
		if (!take(&found, &wanted, &cold->id, &passage, error)) {
			return 0;
		}
	}
	return end(&found, "a box of this agent", error);
}
