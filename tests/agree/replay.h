/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of replay.pml: reads what locks.c has written. */
#include <stdio.h>
#include <string.h>

#define WORD_MAX 16
static const char *const agree_words[] = {
    "end",	  "run",	 "ask",	    "lock",	"locked",  "nack",
    "cancel",	  "cancelled",	 "release", "released", "refused", "cut",
    "takes_cut",  "taken",	 "two",	    "finish",	"give_up", "lease",
    "kept_lease", "right_lease", "other",   "changed",
};
#define AGREE_WORDS (sizeof(agree_words) / sizeof(agree_words[0]))

/* A line of locks.c: what happened, where, of which attempt, what was sent, what is seen now. */
static struct agree_line {
	char word[WORD_MAX];
	unsigned char exempt, sent[12], owner[4], pend[4], kept[4], over[5], ls[3], rs[3];
} agree_line;
static char agree_run[160];

static void agree_numbers(unsigned char *to, int n)
{
	for (int k = 0; k < n; k++) {
		int value = 0;

		if (scanf("%d", &value) != 1) {
			value = 0;
		}
		to[k] = (unsigned char)value;
	}
}

/* The number of the word; a run has the anchors where others have what they sent. */
static int agree_read(unsigned char *at, unsigned char *who)
{
	struct agree_line *l = &agree_line;
	int what = 0;

	memset(l, 0, sizeof(*l));
	if (scanf("%15s", l->word) != 1) {
		return 0;
	}
	while (what < (int)AGREE_WORDS && strcmp(agree_words[what], l->word) != 0) {
		what++;
	}
	if (what == 1) {
		agree_numbers(l->sent, 6);
		if (!fgets(agree_run, sizeof(agree_run), stdin)) {
			agree_run[0] = 0;
		}
		return what;
	}
	agree_numbers(at, 1);
	agree_numbers(who, 1);
	agree_numbers(&l->exempt, 1);
	agree_numbers(l->sent, 12);
	agree_numbers(l->owner, 4);
	agree_numbers(l->pend, 4);
	agree_numbers(l->kept, 4);
	agree_numbers(l->over, 5);
	agree_numbers(l->ls, 3);
	agree_numbers(l->rs, 3);
	return what;
}

static int agree_same(const char *name, const unsigned char *core, const unsigned char *model,
		      int n)
{
	for (int k = 0; k < n; k++) {
		/* R that has ended and R that was never asked: `over` tells. */
		unsigned char m = name[0] == 'r' && model[k] == 5 ? 0 : model[k];

		if (core[k] != m) {
			printf("DISAGREE %s: at '%s': %s[%d] is %d in the core, %d in the model\n",
			       strtok(agree_run, "\n"), agree_line.word, name, k, core[k], m);
			return 0;
		}
	}
	return 1;
}
