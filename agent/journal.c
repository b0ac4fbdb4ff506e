/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of run-time changes (journal.h).
 */
#include "agent/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"

/* With the word in front of it in the state file, a line must still be one. */
#define LINE_MAX_BYTES (DYSCO_LINE_BYTES - 32)

static const char *word_after(const struct dysco_words *words, const char *keyword)
{
	for (int i = 0; i + 1 < words->count; i++) {
		if (strcmp(words->word[i], keyword) == 0) {
			return words->word[i + 1];
		}
	}
	return "";
}

static const char *word_at(const struct dysco_words *words, int i)
{
	return i < words->count ? words->word[i] : "";
}

static bool is_word(const struct dysco_words *words, int i, const char *word)
{
	return strcmp(word_at(words, i), word) == 0;
}

/* Statements of one key replace each other; a host's only add up. */
static void make_key(char key[128], const struct dysco_words *words, const char *line)
{
	if (is_word(words, 0, "attach")) {
		snprintf(key, 128, "attach %.20s %.64s", word_at(words, 2),
			 word_after(words, "netns"));
	} else if (is_word(words, 0, "detach")) {
		snprintf(key, 128, "attach %.20s %.64s", word_at(words, 1),
			 word_after(words, "netns"));
	} else if (is_word(words, 0, "log")) {
		snprintf(key, 128, "log");
	} else if (is_word(words, 1, "drain") || is_word(words, 1, "undrain")) {
		snprintf(key, 128, "drain %.64s", word_at(words, 2));
	} else if (is_word(words, 0, "host")) {
		snprintf(key, 128, "%.127s", line);
	} else {
		snprintf(key, 128, "%.20s %.64s", word_at(words, 0), word_at(words, 2));
	}
}

/* Does the statement take something away? And does the file say that it is there? */
static bool is_removal(const struct dysco_words *words, const struct dysco_config *base,
		       bool *in_base)
{
	const char *name = word_at(words, 2);

	*in_base = true;
	if (is_word(words, 0, "detach")) {
		*in_base = dysco_config_find_attachment(base, word_after(words, "netns"),
							word_at(words, 1)) >= 0;
		return true;
	}
	if (is_word(words, 1, "undrain")) {
		*in_base = false; /* no file says that a box drains */
		return true;
	}
	if (!is_word(words, 1, "remove")) {
		return false;
	}
	if (is_word(words, 0, "box")) {
		*in_base = dysco_config_find_box(base, name) >= 0;
	} else if (is_word(words, 0, "type")) {
		*in_base = dysco_config_find_type(base, name) >= 0;
	} else if (is_word(words, 0, "policy")) {
		*in_base = dysco_config_find_policy(base, name) >= 0;
	}
	return true;
}

static void forget(struct dysco_journal *journal, uint32_t index)
{
	free(journal->entries[index].line);
	memmove(&journal->entries[index], &journal->entries[index + 1],
		(journal->count - index - 1) * sizeof(journal->entries[0]));
	journal->count--;
}

/* The words as one line again; NULL without memory. */
static char *join(const struct dysco_words *words)
{
	size_t bytes = 1, used = 0;
	char *line;

	for (int i = 0; i < words->count; i++) {
		bytes += dysco_words_quote(NULL, 0, words->word[i]) + 1;
	}
	line = malloc(bytes);
	for (int i = 0; line && i < words->count; i++) {
		if (i > 0) {
			line[used++] = ' ';
		}
		used += dysco_words_quote(line + used, bytes - used, words->word[i]);
	}
	return line;
}

static void forget_key(struct dysco_journal *journal, const char *key)
{
	for (uint32_t i = journal->count; i-- > 0;) {
		if (strcmp(journal->entries[i].key, key) == 0) {
			forget(journal, i);
		}
	}
}

/* Takes over the line. */
static bool append(struct dysco_journal *journal, const char *key, char *line)
{
	struct dysco_journal_entry *entry;

	if (journal->count == DYSCO_JOURNAL_MAX || strlen(line) > LINE_MAX_BYTES) {
		free(line);
		return false;
	}
	entry = &journal->entries[journal->count++];
	memcpy(entry->key, key, sizeof(entry->key));
	entry->line = line;
	entry->misfit = false;
	return true;
}

/* What replaces a policy that an earlier change has added, adds it when all is made again. */
static struct dysco_words as_seen_from(const struct dysco_config *base,
				       const struct dysco_words *words)
{
	struct dysco_words seen = {.count = words->count};

	memcpy(seen.word, words->word, sizeof(seen.word));
	if (is_word(words, 0, "policy") && is_word(words, 1, "replace") &&
	    dysco_config_find_policy(base, word_at(words, 2)) < 0) {
		seen.word[1] = "add";
	}
	return seen;
}

bool dysco_journal_add(struct dysco_journal *journal, const struct dysco_config *base,
		       const struct dysco_words *words)
{
	const struct dysco_words seen = as_seen_from(base, words);
	char *line = join(&seen);
	bool in_base;
	char key[128];

	if (!line) {
		return false;
	}
	make_key(key, words, line);
	forget_key(journal, key);
	if (is_removal(words, base, &in_base) && !in_base) {
		free(line);
		return true;
	}
	return append(journal, key, line);
}

void dysco_journal_restore(struct dysco_journal *journal, const struct dysco_words *words)
{
	char *line = join(words);
	char key[128];

	if (line) {
		make_key(key, words, line);
		append(journal, key, line);
	}
}

static struct dysco_config *replay_one(struct dysco_config *config, const char *line,
				       struct dysco_conf_error *error)
{
	struct dysco_config *next = dysco_config_copy(config);
	struct dysco_words words;
	char wrong[160];

	if (!next) {
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return NULL;
	}
	if (dysco_words_split(&words, line, strlen(line), wrong, sizeof(wrong)) != 0) {
		dysco_conf_fail(error, "syntax", NULL, "%s", wrong);
	} else if (dysco_config_apply(next, DYSCO_CONF_SOCKET, &words, error) == 0 &&
		   dysco_config_check(next, error) == 0) {
		dysco_config_free(config);
		return next;
	}
	dysco_config_free(next);
	return NULL;
}

struct dysco_config *dysco_journal_replay(struct dysco_journal *journal,
					  const struct dysco_config *base)
{
	struct dysco_config *config = dysco_config_copy(base);
	struct dysco_conf_error error;

	for (uint32_t i = 0; config && i < journal->count; i++) {
		struct dysco_journal_entry *entry = &journal->entries[i];
		struct dysco_config *next = replay_one(config, entry->line, &error);

		entry->misfit = !next;
		if (next) {
			config = next;
		} else {
			dysco_log(DYSCO_LOG_INFO, "a run-time change no longer fits: %s (%s)",
				  entry->line, error.message);
		}
	}
	return config;
}

void dysco_journal_settle(struct dysco_journal *journal)
{
	for (uint32_t i = journal->count; i-- > 0;) {
		if (journal->entries[i].misfit) {
			forget(journal, i);
		}
	}
}

void dysco_journal_free(struct dysco_journal *journal)
{
	while (journal && journal->count > 0) {
		forget(journal, journal->count - 1);
	}
	free(journal);
}
