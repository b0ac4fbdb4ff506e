/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for names that outlive the agent: host ids stand in the keys of the
 * leg table, attachment ids in its records, and both must be the same when the
 * agent starts again. A name gets the number its hash suggests, or the next
 * free one, and keeps it; the agent stores the table beside its other state.
 */
#ifndef DYSCO_CONF_IDS_H
#define DYSCO_CONF_IDS_H

#include "core/policy.h"

#define DYSCO_IDS_HOSTS 4096 /* names remembered */

struct dysco_id_host {
	char name[DYSCO_NAME_BYTES];
	uint16_t id;
};
struct dysco_id_attachment {
	char ifname[16];
	char netns[64];
	uint16_t id; /* 0: not in use */
	bool port;   /* its mode, so that it can be taken off without a configuration */
};

struct dysco_ids {
	uint16_t n_hosts;
	struct dysco_id_host hosts[DYSCO_IDS_HOSTS];
	struct dysco_id_attachment attachments[DYSCO_ATTACHMENTS_MAX]; /* index is the id */
	bool changed; /* since it was last stored; the storing side clears it */
};

/* The number of a name, given now if need be; 0: the table is full. */
uint16_t dysco_ids_host(struct dysco_ids *ids, const char *name);
uint16_t dysco_ids_attachment(struct dysco_ids *ids, const char *netns, const char *ifname,
			      bool port);
/* Forgets what keep() does not want. */
void dysco_ids_prune_hosts(struct dysco_ids *ids, bool (*keep)(void *context, uint16_t id),
			   void *context);
void dysco_ids_forget_attachment(struct dysco_ids *ids, uint16_t id);

/* As text, one statement a line; a line that does not fit the table is skipped when read. */
struct dysco_words;
void dysco_ids_read_statement(struct dysco_ids *ids, const struct dysco_words *words);
size_t dysco_ids_write(const struct dysco_ids *ids, char *out, size_t out_bytes);

#endif
