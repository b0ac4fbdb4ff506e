/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about the agent itself: status, hosts, boxes, types, counters, events. */
#include "cli/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dysco_show_tuple(char out[DYSCO_TUPLE_TEXT_BYTES], const json_t *tuple)
{
	if (!json_is_object(tuple)) {
		snprintf(out, DYSCO_TUPLE_TEXT_BYTES, "-");
	} else {
		snprintf(out, DYSCO_TUPLE_TEXT_BYTES, "%.60s -> %.60s",
			 dysco_json_text(tuple, "src"), dysco_json_text(tuple, "dst"));
	}
	return out;
}

enum dysco_colour dysco_show_state_colour(const char *state)
{
	if (strcmp(state, "established") == 0) {
		return DYSCO_GREEN;
	}
	if (strcmp(state, "bypass") == 0 || strcmp(state, "reset") == 0) {
		return DYSCO_RED;
	}
	if (strcmp(state, "dead") == 0 || strcmp(state, "time_wait") == 0) {
		return DYSCO_DIM;
	}
	return DYSCO_YELLOW;
}

char *dysco_show_list(const json_t *array, const char *separator)
{
	size_t index, bytes = 1;
	const json_t *item;
	char *text, *end;

	json_array_foreach(array, index, item)
	{
		bytes += json_string_length(item) + strlen(separator);
	}
	text = end = malloc(bytes);
	if (!text) {
		abort();
	}
	*end = '\0';
	json_array_foreach(array, index, item)
	{
		end = stpcpy(stpcpy(end, index > 0 ? separator : ""), json_string_value(item));
	}
	return text;
}

void dysco_show_rows(const char *headings, const json_t *array, dysco_row_fn *add_row,
		     const char *none)
{
	struct dysco_text_table table;
	size_t index;
	const json_t *row;

	dysco_table_begin(&table, headings);
	json_array_foreach(array, index, row)
	{
		add_row(&table, row);
	}
	dysco_table_end(&table, none);
}

void dysco_cell_text(struct dysco_text_table *table, const json_t *row, const char *member)
{
	dysco_table_add(table, DYSCO_PLAIN, "%s", dysco_json_text(row, member));
}

void dysco_cell_count(struct dysco_text_table *table, const json_t *row, const char *member)
{
	dysco_table_add(table, DYSCO_PLAIN, "%" JSON_INTEGER_FORMAT, dysco_json_count(row, member));
}

void dysco_cell_list(struct dysco_text_table *table, const json_t *row, const char *member,
		     const char *separator)
{
	char *text = dysco_show_list(json_object_get(row, member), separator);

	dysco_table_add(table, DYSCO_PLAIN, "%s", text);
	free(text);
}

void dysco_show_property(const char *name, const char *value)
{
	if (value[0] != '\0') {
		printf("%s%-10s%s %s\n", dysco_colour(DYSCO_DIM), name, dysco_colour_off(), value);
	}
}

static void show_health(const json_t *health)
{
	if (!dysco_json_true(health, "on")) {
		printf("health off\n");
		return;
	}
	printf("health every %" JSON_INTEGER_FORMAT " ms, time-out %" JSON_INTEGER_FORMAT
	       " ms, down after %" JSON_INTEGER_FORMAT ", up after %" JSON_INTEGER_FORMAT
	       ", patience %" JSON_INTEGER_FORMAT " ms\n",
	       dysco_json_count(health, "interval_ms"), dysco_json_count(health, "timeout_ms"),
	       dysco_json_count(health, "failures"), dysco_json_count(health, "successes"),
	       dysco_json_count(health, "patience_ms"));
}

static void show_agent(const json_t *answer)
{
	char up[DYSCO_QUANTITY_BYTES];
	const json_t *legs = json_object_get(answer, "legs");

	printf("%sagent %s%s  dyscod %s  up %s  datapath %s at %s\n", dysco_colour(DYSCO_BOLD),
	       dysco_json_text(answer, "agent"), dysco_colour_off(),
	       dysco_json_text(answer, "version"),
	       dysco_text_seconds(up, dysco_json_number(answer, "uptime_s")),
	       dysco_json_text(answer, "datapath"), dysco_json_text(answer, "pin"));
	printf("sessions %" JSON_INTEGER_FORMAT "  legs %" JSON_INTEGER_FORMAT
	       " of %" JSON_INTEGER_FORMAT "  policies %" JSON_INTEGER_FORMAT
	       "  ports %s  signalling %s\n",
	       dysco_json_count(answer, "sessions"), dysco_json_count(legs, "used"),
	       dysco_json_count(legs, "capacity"), dysco_json_count(answer, "policies"),
	       dysco_json_text(answer, "ports"),
	       dysco_json_true(answer, "signed") ? "signed" : "not signed");
}

static void add_host(struct dysco_text_table *table, const json_t *host)
{
	dysco_cell_text(table, host, "name");
	dysco_cell_list(table, host, "addresses", " ");
}

static void add_attachment(struct dysco_text_table *table, const json_t *attachment)
{
	static const char *const texts[] = {"mode", "interface", "netns", "host", "mirror"};
	bool up = dysco_json_true(attachment, "up");
	json_int_t restored = dysco_json_count(attachment, "restored");

	dysco_cell_count(table, attachment, "id");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		dysco_cell_text(table, attachment, texts[i]);
	}
	if (up && restored > 0) {
		dysco_table_add(table, DYSCO_YELLOW, "up, put back %" JSON_INTEGER_FORMAT,
				restored);
	} else {
		dysco_table_add(table, up ? DYSCO_GREEN : DYSCO_RED, up ? "up" : "down");
	}
}

enum dysco_exit dysco_show_status(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	show_agent(answer);
	show_health(json_object_get(answer, "health"));
	putchar('\n');
	dysco_show_rows("HOST ADDRESSES", json_object_get(answer, "hosts"), add_host,
			"no hosts: 'dysco host NAME address ADDR' makes one");
	putchar('\n');
	dysco_show_rows("ID MODE INTERFACE NETNS HOST MIRROR STATE",
			json_object_get(answer, "attachments"), add_attachment,
			"no attachments: 'dysco attach nic IFACE host NAME' makes one");
	return DYSCO_EXIT_DONE;
}

static void add_box(struct dysco_text_table *table, const json_t *box)
{
	const char *state = dysco_json_text(box, "state"), *cause = dysco_json_text(box, "cause");

	dysco_cell_text(table, box, "name");
	dysco_cell_list(table, box, "addresses", " ");
	dysco_cell_count(table, box, "sessions");
	dysco_table_add(table,
			strcmp(state, "up") == 0     ? DYSCO_GREEN
			: strcmp(state, "down") == 0 ? DYSCO_RED
						     : DYSCO_YELLOW,
			"%s%s%s%s", state[0] ? state : "-", cause[0] ? ": " : "", cause,
			dysco_json_true(box, "draining") ? ", draining" : "");
}

enum dysco_exit dysco_show_boxes(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	dysco_show_rows("BOX ADDRESSES SESSIONS STATE", json_object_get(answer, "boxes"), add_box,
			"no boxes: 'dysco box add NAME ADDR' makes one");
	return DYSCO_EXIT_DONE;
}

static void add_type(struct dysco_text_table *table, const json_t *type)
{
	dysco_cell_text(table, type, "name");
	dysco_cell_text(table, type, "select");
	dysco_cell_list(table, type, "boxes", " ");
}

enum dysco_exit dysco_show_types(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	dysco_show_rows("TYPE SELECT BOXES", json_object_get(answer, "types"), add_type,
			"no types: 'dysco type add NAME BOX...' makes one");
	return DYSCO_EXIT_DONE;
}

static void show_drops(const struct dysco_cli *cli, const json_t *drops)
{
	struct dysco_text_table table;
	size_t index;
	const json_t *drop;

	dysco_table_begin(&table, "DROPS NO REASON TEXT");
	json_array_foreach(drops, index, drop)
	{
		json_int_t count = dysco_json_count(drop, "count");

		if (count == 0 && !cli->all) {
			continue;
		}
		dysco_table_add(&table, count > 0 ? DYSCO_YELLOW : DYSCO_PLAIN,
				"%" JSON_INTEGER_FORMAT, count);
		dysco_cell_count(&table, drop, "number");
		dysco_cell_text(&table, drop, "name");
		dysco_cell_text(&table, drop, "text");
	}
	dysco_table_end(&table, "no drops");
}

enum dysco_exit dysco_show_stats(const struct dysco_cli *cli, const json_t *answer)
{
	struct dysco_text_table table;
	const char *name;
	json_t *count;

	dysco_table_begin(&table, "COUNTER VALUE");
	json_object_foreach(json_object_get(answer, "counters"), name, count)
	{
		if (json_integer_value(count) == 0 && !cli->all) {
			continue;
		}
		dysco_table_add(&table, DYSCO_PLAIN, "%s", name);
		dysco_table_add(&table, DYSCO_PLAIN, "%" JSON_INTEGER_FORMAT,
				json_integer_value(count));
	}
	dysco_table_end(&table, "all counters are 0");
	putchar('\n');
	show_drops(cli, json_object_get(answer, "drops"));
	return DYSCO_EXIT_DONE;
}

/* As it is: a file of this is what the node exporter's textfile collector reads. */
enum dysco_exit dysco_show_metrics(const struct dysco_cli *cli, const json_t *answer)
{
	(void)cli;
	fputs(dysco_json_text(answer, "metrics"), stdout);
	return DYSCO_EXIT_DONE;
}

static enum dysco_colour event_colour(const char *event)
{
	static const char *const bad[] = {
	    "reset",	 "refused",  "expired",	    "killed",	     "dropped",	       "bypassed",
	    "withdrawn", "box_down", "path_broken", "closed_failed", "recovery_failed"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strcmp(event, bad[i]) == 0) {
			return DYSCO_YELLOW;
		}
	}
	return strcmp(event, "established") == 0 ? DYSCO_GREEN : DYSCO_PLAIN;
}

/* " host client", or nothing when the event does not have it */
static void event_word(const json_t *event, const char *member)
{
	const char *text = dysco_json_text(event, member);

	if (text[0] != '\0') {
		printf("  %s %s", member, text);
	}
}

/* Of a reconfiguration: who says it, and where it is. */
static void event_attempt(const json_t *attempt)
{
	if (json_is_object(attempt)) {
		event_word(attempt, "part");
		event_word(attempt, "change");
		event_word(attempt, "state");
	}
}

enum dysco_exit dysco_show_event(const struct dysco_cli *cli, const json_t *answer)
{
	const char *event = dysco_json_text(answer, "event");
	const char *clock = strchr(dysco_json_text(answer, "time"), 'T');
	const json_t *session = json_object_get(answer, "session");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];

	(void)cli;
	printf("%.12s  %s%-15s%s  %.*s", clock ? clock + 1 : "-", dysco_colour(event_colour(event)),
	       event, dysco_colour_off(), DYSCO_ID_SHOWN, dysco_json_text(answer, "id"));
	if (json_is_object(session)) {
		printf("  %s", dysco_show_tuple(tuple, session));
	}
	event_word(answer, "host");
	event_word(answer, "policy");
	event_word(answer, "box");
	event_word(answer, "reason");
	event_attempt(json_object_get(answer, "attempt"));
	putchar('\n');
	fflush(stdout);
	return DYSCO_EXIT_DONE;
}
