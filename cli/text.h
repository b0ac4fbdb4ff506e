/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people on stdout: aligned tables, colours on a terminal only
 * (never with NO_COLOR set, https://no-color.org), readable quantities.
 */
#ifndef DYSCO_CLI_TEXT_H
#define DYSCO_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum dysco_colour {
	DYSCO_PLAIN = 0,
	DYSCO_BOLD,
	DYSCO_DIM,
	DYSCO_GREEN,
	DYSCO_YELLOW,
	DYSCO_RED,
	DYSCO_CYAN,
};

/* The escape sequences, or "" where no colours are wanted. */
const char *dysco_colour(enum dysco_colour colour);
const char *dysco_colour_off(void);

#define DYSCO_TABLE_COLUMNS 16 /* at most */

struct dysco_table_cell {
	char *text;
	enum dysco_colour colour;
};

struct dysco_text_table {
	size_t columns;
	size_t used, room; /* cells; the first row is the header */
	struct dysco_table_cell *cells;
};

/* headings: separated by one space. */
void dysco_table_begin(struct dysco_text_table *table, const char *headings);
/* Cells go from left to right, row by row. An empty text shows as "-". */
void dysco_table_add(struct dysco_text_table *table, enum dysco_colour colour, const char *format,
		     ...) __attribute__((format(printf, 3, 4)));
/* Prints and frees. A table without rows prints `none` instead. */
void dysco_table_end(struct dysco_text_table *table, const char *none);

#define DYSCO_QUANTITY_BYTES 32
/* 1234567 -> "1.2 MB"; into out, which is returned */
const char *dysco_text_bytes(char out[DYSCO_QUANTITY_BYTES], int64_t bytes);
/* 3725.0 -> "1h 2m"; negative: "-" */
const char *dysco_text_seconds(char out[DYSCO_QUANTITY_BYTES], double seconds);

#endif
