/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about sessions: list, show, why, kill. */
#include <stdio.h>
#include <string.h>

#include "cli/show.h"

static void add_session(struct dysco_text_table *table, const json_t *session)
{
	const char *state = dysco_json_text(session, "state");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];
	char text[DYSCO_QUANTITY_BYTES];

	dysco_table_add(table, DYSCO_CYAN, "%.*s", DYSCO_ID_SHOWN, dysco_json_text(session, "id"));
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_show_tuple(tuple, json_object_get(session, "session")));
	dysco_cell_text(table, session, "host");
	dysco_cell_text(table, session, "role");
	dysco_table_add(table, dysco_show_state_colour(state), "%s", state);
	dysco_cell_text(table, session, "policy");
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_text_seconds(text, dysco_json_number(session, "age_s")));
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_text_seconds(text, dysco_json_number(session, "idle_s")));
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_text_bytes(text, dysco_json_count(session, "bytes_out")));
	dysco_table_add(table, DYSCO_PLAIN, "%s",
			dysco_text_bytes(text, dysco_json_count(session, "bytes_in")));
	dysco_cell_text(table, session, "peer_left");
	dysco_cell_text(table, session, "peer_right");
}

enum dysco_exit dysco_show_sessions(const struct dysco_cli *cli, const json_t *answer)
{
	const json_t *sessions = json_object_get(answer, "sessions");
	json_int_t total = dysco_json_count(answer, "total");

	(void)cli;
	dysco_show_rows("ID SESSION HOST ROLE STATE POLICY AGE IDLE OUT IN LEFT RIGHT", sessions,
			add_session, "no sessions");
	if (total > (json_int_t)json_array_size(sessions)) {
		fprintf(stderr, "%zu of %" JSON_INTEGER_FORMAT " shown; 'limit N' shows more\n",
			json_array_size(sessions), total);
	}
	return DYSCO_EXIT_DONE;
}

static void show_chain(const json_t *chain)
{
	size_t index;
	const json_t *hop;

	printf("%s%-10s%s ", dysco_colour(DYSCO_DIM), "chain", dysco_colour_off());
	json_array_foreach(chain, index, hop)
	{
		bool here = dysco_json_true(hop, "here");

		printf("%s%s%s%s%s", index > 0 ? " -> " : "", here ? dysco_colour(DYSCO_BOLD) : "",
		       dysco_json_text(hop, "address"), here ? "*" : "",
		       here ? dysco_colour_off() : "");
		if (dysco_json_true(hop, "exit")) {
			printf(" (exit)");
		}
	}
	putchar('\n');
}

static void show_leg(const json_t *leg)
{
	const char *state = dysco_json_text(leg, "state");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];
	char text[DYSCO_QUANTITY_BYTES];

	printf("\n%s%s leg%s  %s%s%s  mode %s  slot %" JSON_INTEGER_FORMAT "\n",
	       dysco_colour(DYSCO_BOLD), dysco_json_text(leg, "side"), dysco_colour_off(),
	       dysco_colour(dysco_show_state_colour(state)), state, dysco_colour_off(),
	       dysco_json_text(leg, "mode"), dysco_json_count(leg, "slot"));
	printf("  host  %s\n", dysco_show_tuple(tuple, json_object_get(leg, "host_tuple")));
	printf("  wire  %s\n", dysco_show_tuple(tuple, json_object_get(leg, "wire_tuple")));
	printf("  out   %" JSON_INTEGER_FORMAT " packets, %s", dysco_json_count(leg, "packets_out"),
	       dysco_text_bytes(text, dysco_json_count(leg, "bytes_out")));
	printf(", last %s ago\n", dysco_text_seconds(text, dysco_json_number(leg, "last_out_s")));
	printf("  in    %" JSON_INTEGER_FORMAT " packets, %s", dysco_json_count(leg, "packets_in"),
	       dysco_text_bytes(text, dysco_json_count(leg, "bytes_in")));
	printf(", last %s ago\n", dysco_text_seconds(text, dysco_json_number(leg, "last_in_s")));
}

static void show_name(const json_t *session)
{
	char tuple[DYSCO_TUPLE_TEXT_BYTES];

	printf("%ssession %s%s\n", dysco_colour(DYSCO_BOLD), dysco_json_text(session, "id"),
	       dysco_colour_off());
	dysco_show_property("tuple", dysco_show_tuple(tuple, json_object_get(session, "session")));
}

static void show_phases(const json_t *attempt)
{
	const json_t *phases = json_object_get(attempt, "phases"), *phase;
	size_t index;

	if (json_array_size(phases) == 0) {
		return;
	}
	printf("           ");
	json_array_foreach(phases, index, phase)
	{
		printf("%s %s %.2f ms", index > 0 ? "," : "", dysco_json_text(phase, "phase"),
		       dysco_json_number(phase, "us") / 1000.0);
	}
	putchar('\n');
}

/* "remove as left anchor"; a bystander knows no more than its part. */
static void show_part(const char *label, const json_t *attempt)
{
	const char *change = dysco_json_text(attempt, "change");

	printf("%s%-10s%s %s%sas %s, ", dysco_colour(DYSCO_DIM), label, dysco_colour_off(), change,
	       change[0] ? " " : "", dysco_json_text(attempt, "part"));
}

/* A reconfiguration under way, and the one before. */
static void show_attempt(const json_t *attempt)
{
	char text[DYSCO_QUANTITY_BYTES];

	if (json_is_object(attempt)) {
		show_part("changing", attempt);
		printf("%s, since %s\n", dysco_json_text(attempt, "state"),
		       dysco_text_seconds(text, dysco_json_number(attempt, "age_s")));
		show_phases(attempt);
	}
}

static void show_last_attempt(const json_t *attempt)
{
	if (!json_is_object(attempt)) {
		return;
	}
	show_part("changed", attempt);
	if (strcmp(dysco_json_text(attempt, "result"), "completed") == 0) {
		printf("done in %.2f ms\n", dysco_json_number(attempt, "took_us") / 1000.0);
	} else {
		printf("%sfailed%s in %s: %s\n", dysco_colour(DYSCO_RED), dysco_colour_off(),
		       dysco_json_text(attempt, "failed_in"), dysco_json_text(attempt, "cause"));
	}
	show_phases(attempt);
}

/* Of a chain that was given up. */
static void show_withdrawn(const json_t *session)
{
	const char *by = dysco_json_text(session, "withdrawn");

	if (by[0] != '\0') {
		printf("%s%-10s%s by %s: the session goes without this chain\n",
		       dysco_colour(DYSCO_DIM), "given up", dysco_colour_off(), by);
	}
}

static void show_one(const json_t *session)
{
	char signer[DYSCO_QUANTITY_BYTES] = "";
	size_t index;
	const json_t *leg;

	show_name(session);
	dysco_show_property("host", dysco_json_text(session, "host"));
	dysco_show_property("role", dysco_json_text(session, "role"));
	dysco_show_property("state", dysco_json_text(session, "state"));
	dysco_show_property("policy", dysco_json_text(session, "policy"));
	dysco_show_property("created", dysco_json_text(session, "created"));
	if (dysco_json_count(session, "signed") > 0) {
		snprintf(signer, sizeof(signer), "with key %" JSON_INTEGER_FORMAT,
			 dysco_json_count(session, "signed"));
	}
	dysco_show_property("signed", signer[0] ? signer : "no");
	show_chain(json_object_get(session, "chain"));
	show_withdrawn(session);
	show_attempt(json_object_get(session, "attempt"));
	show_last_attempt(json_object_get(session, "last_attempt"));
	json_array_foreach(json_object_get(session, "legs"), index, leg)
	{
		show_leg(leg);
	}
}

enum dysco_exit dysco_show_session(const struct dysco_cli *cli, const json_t *answer)
{
	size_t index;
	const json_t *session;

	(void)cli;
	json_array_foreach(json_object_get(answer, "sessions"), index, session)
	{
		if (index > 0) {
			putchar('\n');
		}
		show_one(session);
	}
	return DYSCO_EXIT_DONE;
}

enum dysco_exit dysco_show_why(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	show_name(answer);
	dysco_show_property("policy", dysco_json_text(answer, "policy"));
	dysco_show_property("filter", dysco_json_text(answer, "filter"));
	dysco_show_property("given by", dysco_json_text(answer, "given_by"));
	show_chain(json_object_get(answer, "chain"));
	dysco_show_property("why", dysco_json_text(answer, "why"));
	if (dysco_json_true(answer, "refused")) {
		dysco_show_property("refused", "a RST answered its SYN");
	}
	show_withdrawn(answer);
	return DYSCO_EXIT_DONE;
}

static enum dysco_exit show_ended(const json_t *answer, const char *member)
{
	json_int_t ended = dysco_json_count(answer, member);

	printf("%" JSON_INTEGER_FORMAT " session%s reset\n", ended, ended == 1 ? "" : "s");
	return DYSCO_EXIT_DONE;
}

enum dysco_exit dysco_show_killed(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	return show_ended(answer, "killed");
}

enum dysco_exit dysco_show_detached(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	return show_ended(answer, "ended");
}

enum dysco_exit dysco_show_adopted(const struct dysco_cli *cli, const json_t *answer)
{
	if (!json_object_get(answer, "id")) {
		return dysco_show_change(cli, answer);
	}
	show_name(answer);
	return DYSCO_EXIT_DONE;
}

enum dysco_exit dysco_show_reconfigured(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	show_name(answer);
	if (json_is_array(json_object_get(answer, "chain"))) { /* a box that asked is not told */
		show_chain(json_object_get(answer, "chain"));
	}
	printf("reconfigured in %.1f ms\n", dysco_json_number(answer, "took_us") / 1000.0);
	return DYSCO_EXIT_DONE;
}
