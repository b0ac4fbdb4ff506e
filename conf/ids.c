/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for names (ids.h): open addressing over the numbers themselves.
 */
#include "conf/ids.h"

#include "conf/parse.h"
#include "conf/words.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a, 32 bits. */
static uint32_t hash_text(uint32_t h, const char *text)
{
	for (; *text; text++) {
		h = (h ^ (uint8_t)*text) * 16777619u;
	}
	return h;
}

static uint32_t hash_name(const char *a, const char *b)
{
	return hash_text((hash_text(2166136261u, a) ^ '/') * 16777619u, b);
}

static bool host_id_taken(const struct dysco_ids *ids, uint16_t id)
{
	for (uint16_t i = 0; i < ids->n_hosts; i++) {
		if (ids->hosts[i].id == id) {
			return true;
		}
	}
	return false;
}

static void add_host(struct dysco_ids *ids, const char *name, uint16_t id)
{
	struct dysco_id_host *h = &ids->hosts[ids->n_hosts++];

	memset(h, 0, sizeof(*h));
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->id = id;
	ids->changed = true;
}

uint16_t dysco_ids_host(struct dysco_ids *ids, const char *name)
{
	uint16_t id = (uint16_t)(hash_name("", name) % 65535 + 1);

	for (uint16_t i = 0; i < ids->n_hosts; i++) {
		if (strcmp(ids->hosts[i].name, name) == 0) {
			return ids->hosts[i].id;
		}
	}
	if (ids->n_hosts == DYSCO_IDS_HOSTS) {
		return 0;
	}
	while (host_id_taken(ids, id)) {
		id = (uint16_t)(id % 65535 + 1);
	}
	add_host(ids, name, id);
	return id;
}

static void set_attachment(struct dysco_ids *ids, uint16_t id, const char *netns,
			   const char *ifname, bool port)
{
	struct dysco_id_attachment *a = &ids->attachments[id];

	memset(a, 0, sizeof(*a));
	snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
	snprintf(a->netns, sizeof(a->netns), "%s", netns);
	a->id = id;
	a->port = port;
	ids->changed = true;
}

static bool same_attachment(const struct dysco_id_attachment *a, const char *netns,
			    const char *ifname)
{
	return a->id != 0 && strcmp(a->ifname, ifname) == 0 && strcmp(a->netns, netns) == 0;
}

uint16_t dysco_ids_attachment(struct dysco_ids *ids, const char *netns, const char *ifname,
			      bool port)
{
	const uint16_t numbers = DYSCO_ATTACHMENTS_MAX - 1;
	uint16_t id = (uint16_t)(hash_name(netns, ifname) % numbers + 1);

	for (uint16_t i = 1; i < DYSCO_ATTACHMENTS_MAX; i++) {
		if (same_attachment(&ids->attachments[i], netns, ifname)) {
			if (ids->attachments[i].port != port) {
				set_attachment(ids, i, netns, ifname, port);
			}
			return i;
		}
	}
	for (uint16_t tried = 0; tried < numbers; tried++) {
		if (ids->attachments[id].id == 0) {
			set_attachment(ids, id, netns, ifname, port);
			return id;
		}
		id = (uint16_t)(id % numbers + 1);
	}
	return 0;
}

void dysco_ids_prune_hosts(struct dysco_ids *ids, bool (*keep)(void *context, uint16_t id),
			   void *context)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < ids->n_hosts; i++) {
		if (keep(context, ids->hosts[i].id)) {
			ids->hosts[kept++] = ids->hosts[i];
		}
	}
	ids->changed = ids->changed || kept != ids->n_hosts;
	ids->n_hosts = kept;
}

void dysco_ids_forget_attachment(struct dysco_ids *ids, uint16_t id)
{
	memset(&ids->attachments[id], 0, sizeof(ids->attachments[id]));
	ids->changed = true;
}

static void read_host(struct dysco_ids *ids, const struct dysco_words *words)
{
	uint64_t id;

	if (words->count == 3 && dysco_parse_number(words->word[1], 1, 65535, &id) &&
	    dysco_parse_name_ok(words->word[2]) && ids->n_hosts < DYSCO_IDS_HOSTS &&
	    !host_id_taken(ids, (uint16_t)id)) {
		add_host(ids, words->word[2], (uint16_t)id);
	}
}

static void read_attachment(struct dysco_ids *ids, const struct dysco_words *words)
{
	uint64_t id;

	if (words->count == 5 &&
	    dysco_parse_number(words->word[1], 1, DYSCO_ATTACHMENTS_MAX - 1, &id) &&
	    strlen(words->word[3]) < sizeof(ids->attachments[0].ifname) &&
	    strlen(words->word[4]) < sizeof(ids->attachments[0].netns)) {
		set_attachment(ids, (uint16_t)id, words->word[4], words->word[3],
			       strcmp(words->word[2], "port") == 0);
	}
}

void dysco_ids_read_statement(struct dysco_ids *ids, const struct dysco_words *words)
{
	if (words->count > 0 && strcmp(words->word[0], "host") == 0) {
		read_host(ids, words);
	} else if (words->count > 0 && strcmp(words->word[0], "attachment") == 0) {
		read_attachment(ids, words);
	}
}

static size_t room(size_t out_bytes, size_t used)
{
	return used < out_bytes ? out_bytes - used : 0;
}

size_t dysco_ids_write(const struct dysco_ids *ids, char *out, size_t out_bytes)
{
	char ifname[64], netns[192];
	size_t n = 0;

	for (uint16_t i = 0; i < ids->n_hosts; i++) {
		n += (size_t)snprintf(out + (n < out_bytes ? n : 0), room(out_bytes, n),
				      "host %u %s\n", (unsigned int)ids->hosts[i].id,
				      ids->hosts[i].name);
	}
	for (uint16_t i = 1; i < DYSCO_ATTACHMENTS_MAX; i++) {
		const struct dysco_id_attachment *a = &ids->attachments[i];

		if (a->id == 0) {
			continue;
		}
		dysco_words_quote(ifname, sizeof(ifname), a->ifname);
		dysco_words_quote(netns, sizeof(netns), a->netns);
		n += (size_t)snprintf(out + (n < out_bytes ? n : 0), room(out_bytes, n),
				      "attachment %u %s %s %s\n", (unsigned int)i,
				      a->port ? "port" : "nic", ifname, netns);
	}
	return n;
}
