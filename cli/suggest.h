/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean": the command nearest to what was typed. */
#ifndef DYSCO_CLI_SUGGEST_H
#define DYSCO_CLI_SUGGEST_H

#include "cli/cli.h"

/* Says on stderr that there is no such command, and which is the nearest. */
enum dysco_exit dysco_suggest(int argc, char **argv);

/* Insertions, deletions and replacements that turn a into b (Levenshtein); both cut at 63 bytes. */
unsigned int dysco_word_distance(const char *a, const char *b);

#endif
