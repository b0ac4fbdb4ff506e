/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes made through the socket since the machine started, as statements: on
 * top of the configuration file they give the configuration in force again,
 * after a crash, a restart or a reload. What a later statement undoes is
 * forgotten, so the journal does not grow with the number of changes.
 */
#ifndef DYSCO_AGENT_JOURNAL_H
#define DYSCO_AGENT_JOURNAL_H

#include "conf/config.h"

#define DYSCO_JOURNAL_MAX 4096 /* statements */

struct dysco_journal_entry {
	char key[128]; /* what it is about: "policy web" */
	char *line;
	bool misfit; /* the last replay could not apply it */
};

struct dysco_journal {
	uint32_t count;
	struct dysco_journal_entry entries[DYSCO_JOURNAL_MAX];
};

/* Notes a statement that was accepted. base: the configuration of the file. False: no room. */
bool dysco_journal_add(struct dysco_journal *journal, const struct dysco_config *base,
		       const struct dysco_words *words);
/* Takes back an entry that an earlier run has stored. */
void dysco_journal_restore(struct dysco_journal *journal, const struct dysco_words *words);
/* Applies it all to a copy of base, but for statements that no longer fit, which are logged. */
struct dysco_config *dysco_journal_replay(struct dysco_journal *journal,
					  const struct dysco_config *base);
/* What the last replay gave is in force now: forgets the statements that did not fit. */
void dysco_journal_settle(struct dysco_journal *journal);
void dysco_journal_free(struct dysco_journal *journal);

#endif
