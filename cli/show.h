/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces that several answers have in common. */
#ifndef DYSCO_CLI_SHOW_H
#define DYSCO_CLI_SHOW_H

#include "cli/cli.h"
#include "cli/text.h"

#define DYSCO_TUPLE_TEXT_BYTES 128
#define DYSCO_ID_SHOWN	       8 /* hex digits of an id in tables; enough to be unique in practice */

/* "10.0.0.1:40000 -> [fd00::1]:80"; into out, which is returned. */
const char *dysco_show_tuple(char out[DYSCO_TUPLE_TEXT_BYTES], const json_t *tuple);

/* The colour of a session's or leg's state. */
enum dysco_colour dysco_show_state_colour(const char *state);

/* Texts of an array, separated; free() it. */
char *dysco_show_list(const json_t *array, const char *separator);

typedef void dysco_row_fn(struct dysco_text_table *table, const json_t *row);
/* A table with a row for each item of the array. */
void dysco_show_rows(const char *headings, const json_t *array, dysco_row_fn *add_row,
		     const char *none);
/* A cell with a member of a row. */
void dysco_cell_text(struct dysco_text_table *table, const json_t *row, const char *member);
void dysco_cell_count(struct dysco_text_table *table, const json_t *row, const char *member);
/* An array of texts, separated. */
void dysco_cell_list(struct dysco_text_table *table, const json_t *row, const char *member,
		     const char *separator);

/* "policy      web": one line of a list of properties; nothing when value is empty */
void dysco_show_property(const char *name, const char *value);

#endif
