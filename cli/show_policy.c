/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about policies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

/* "fw -> ids", the last marked when the chain leaves Dysco there */
static char *via(const json_t *policy)
{
	char *hops = dysco_show_list(json_object_get(policy, "via"), " -> ");
	char *text = NULL;

	if (!dysco_json_true(policy, "exit")) {
		return hops;
	}
	if (asprintf(&text, "%s (exit)", hops) < 0) {
		abort();
	}
	free(hops);
	return text;
}

static void add_policy(struct dysco_text_table *table, const json_t *policy)
{
	char *hops = via(policy);

	dysco_table_add(table, DYSCO_BOLD, "%s", dysco_json_text(policy, "name"));
	dysco_cell_count(table, policy, "priority");
	dysco_cell_list(table, policy, "at", ",");
	dysco_table_add(table, DYSCO_PLAIN, "%s", hops);
	dysco_cell_list(table, policy, "mandatory", ",");
	dysco_cell_text(table, policy, "fail");
	dysco_cell_text(table, policy, "existing");
	dysco_cell_count(table, policy, "sessions");
	dysco_cell_count(table, policy, "matched");
	dysco_cell_text(table, policy, "filter");
	free(hops);
}

enum dysco_exit dysco_show_policies(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	dysco_show_rows("POLICY PRIORITY AT VIA MANDATORY FAIL EXISTING LIVE MATCHED FILTER",
			json_object_get(answer, "policies"), add_policy,
			"no policies: sessions go as routing says");
	return DYSCO_EXIT_DONE;
}

static void add_evaluated(struct dysco_text_table *table, const json_t *policy)
{
	bool match = dysco_json_true(policy, "match");

	dysco_cell_text(table, policy, "name");
	dysco_cell_count(table, policy, "priority");
	dysco_table_add(table, match ? DYSCO_GREEN : DYSCO_DIM, match ? "yes" : "no");
	dysco_cell_text(table, policy, "filter");
	dysco_cell_text(table, policy, "note");
}

static enum dysco_colour verdict_colour(const char *verdict)
{
	if (strcmp(verdict, "drop") == 0) {
		return DYSCO_RED;
	}
	return strcmp(verdict, "chain") == 0 ? DYSCO_GREEN : DYSCO_YELLOW;
}

enum dysco_exit dysco_show_policy_test(const struct dysco_cli *cli, const json_t *answer)
{
	const char *verdict = dysco_json_text(answer, "verdict");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];
	char *hops = dysco_show_list(json_object_get(answer, "hops"), " -> ");

	(void)cli;
	printf("%s%s%s\n", dysco_colour(DYSCO_BOLD),
	       dysco_show_tuple(tuple, json_object_get(answer, "session")), dysco_colour_off());
	dysco_show_property("host", dysco_json_text(answer, "host"));
	printf("%s%-10s%s %s%s%s\n", dysco_colour(DYSCO_DIM), "verdict", dysco_colour_off(),
	       dysco_colour(verdict_colour(verdict)), verdict, dysco_colour_off());
	dysco_show_property("policy", dysco_json_text(answer, "policy"));
	dysco_show_property("hops", hops);
	dysco_show_property("reason", dysco_json_text(answer, "reason"));
	dysco_show_property("why", dysco_json_text(answer, "why"));
	putchar('\n');
	dysco_show_rows("POLICY PRIORITY MATCHES FILTER NOTE", json_object_get(answer, "evaluated"),
			add_evaluated, "no policies");
	free(hops);
	return strcmp(verdict, "drop") == 0 ? DYSCO_EXIT_FINDINGS : DYSCO_EXIT_DONE;
}
