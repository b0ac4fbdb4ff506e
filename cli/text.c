/* SPDX-License-Identifier: BSD-2-Clause */
/* Text for people on stdout. */
#include "cli/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool want_colours(void)
{
	static int want = -1;

	if (want < 0) {
		const char *no_color = getenv("NO_COLOR");
		const char *term = getenv("TERM");

		want = isatty(STDOUT_FILENO) && !(no_color && no_color[0] != '\0') && term &&
		       strcmp(term, "dumb") != 0;
	}
	return want;
}

const char *dysco_colour(enum dysco_colour colour)
{
	static const char *const sequences[] = {
	    [DYSCO_PLAIN] = "",		[DYSCO_BOLD] = "\033[1m",    [DYSCO_DIM] = "\033[2m",
	    [DYSCO_GREEN] = "\033[32m", [DYSCO_YELLOW] = "\033[33m", [DYSCO_RED] = "\033[31m",
	    [DYSCO_CYAN] = "\033[36m",
	};

	return want_colours() ? sequences[colour] : "";
}

const char *dysco_colour_off(void)
{
	return want_colours() ? "\033[0m" : "";
}

static void add_cell(struct dysco_text_table *table, enum dysco_colour colour, char *text)
{
	if (table->used == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		struct dysco_table_cell *cells =
		    realloc(table->cells, room * sizeof(table->cells[0]));

		if (!cells) {
			abort();
		}
		table->cells = cells;
		table->room = room;
	}
	table->cells[table->used].text = text;
	table->cells[table->used].colour = colour;
	table->used++;
}

void dysco_table_begin(struct dysco_text_table *table, const char *headings)
{
	memset(table, 0, sizeof(*table));
	while (*headings != '\0') {
		size_t length = strcspn(headings, " ");
		char *text = strndup(headings, length);

		if (!text) {
			abort();
		}
		add_cell(table, DYSCO_BOLD, text);
		table->columns++;
		headings += length;
		headings += strspn(headings, " ");
	}
}

void dysco_table_add(struct dysco_text_table *table, enum dysco_colour colour, const char *format,
		     ...)
{
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length == 0) {
		free(text);
		text = strdup("-");
	}
	if (length < 0 || !text) {
		abort();
	}
	add_cell(table, colour, text);
}

static void measure(const struct dysco_text_table *table, size_t widths[DYSCO_TABLE_COLUMNS])
{
	memset(widths, 0, DYSCO_TABLE_COLUMNS * sizeof(widths[0]));
	for (size_t i = 0; i < table->used; i++) {
		size_t length = strlen(table->cells[i].text);
		size_t *width = &widths[i % table->columns];

		*width = length > *width ? length : *width;
	}
}

static void print_cell(const struct dysco_table_cell *cell, size_t width, bool last)
{
	size_t length = strlen(cell->text);

	printf("%s%s%s", dysco_colour(cell->colour), cell->text,
	       cell->colour == DYSCO_PLAIN ? "" : dysco_colour_off());
	if (last) {
		putchar('\n');
	} else {
		printf("%*s", (int)(width - length + 2), "");
	}
}

void dysco_table_end(struct dysco_text_table *table, const char *none)
{
	size_t widths[DYSCO_TABLE_COLUMNS];

	measure(table, widths);
	for (size_t i = 0; i < table->used && table->used > table->columns; i++) {
		size_t column = i % table->columns;

		print_cell(&table->cells[i], widths[column], column + 1 == table->columns);
	}
	if (table->used == table->columns) {
		puts(none);
	}
	for (size_t i = 0; i < table->used; i++) {
		free(table->cells[i].text);
	}
	free(table->cells);
	memset(table, 0, sizeof(*table));
}

const char *dysco_text_bytes(char out[DYSCO_QUANTITY_BYTES], int64_t bytes)
{
	static const char units[][3] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(out, DYSCO_QUANTITY_BYTES, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s",
		 value, units[unit]);
	return out;
}

const char *dysco_text_seconds(char out[DYSCO_QUANTITY_BYTES], double seconds)
{
	long whole = (long)seconds;

	if (seconds < 0) {
		snprintf(out, DYSCO_QUANTITY_BYTES, "-");
	} else if (seconds < 10) {
		snprintf(out, DYSCO_QUANTITY_BYTES, "%.1fs", seconds);
	} else if (whole < 120) {
		snprintf(out, DYSCO_QUANTITY_BYTES, "%lds", whole);
	} else if (whole < 7200) {
		snprintf(out, DYSCO_QUANTITY_BYTES, "%ldm %lds", whole / 60, whole % 60);
	} else if (whole < 172800) {
		snprintf(out, DYSCO_QUANTITY_BYTES, "%ldh %ldm", whole / 3600, whole / 60 % 60);
	} else {
		snprintf(out, DYSCO_QUANTITY_BYTES, "%ldd %ldh", whole / 86400, whole / 3600 % 24);
	}
	return out;
}
