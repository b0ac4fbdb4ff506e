/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of an agent: statements (docs/socket.md) in, a checked
 * model out, from which the agent hands a struct dysco_setup to the core,
 * classifier rules to the datapath and attachments to both.
 *
 * A configuration in force is never changed: the agent copies it, applies
 * statements to the copy, and swaps when all of it is good. Needs no running
 * system: interfaces and namespaces are names here. Key files are read.
 */
#ifndef DYSCO_CONF_CONFIG_H
#define DYSCO_CONF_CONFIG_H

#include "conf/ids.h"
#include "conf/words.h"
#include "datapath/datapath.h"

#define DYSCO_LEGS_DEFAULT     65536
#define DYSCO_LEGS_MAX	       4194304
#define DYSCO_PRIORITY_DEFAULT 100
#define DYSCO_RETRIES_DEFAULT  2
#define DYSCO_FILTER_INSNS_MAX 512 /* after optimisation */

/* A refusal. code: one of docs/socket.md; hint may be empty. */
struct dysco_conf_error {
	char code[24];
	char message[512];
	char hint[256];
};

/* Always -1, so that callers can return it. hint may be NULL. */
int dysco_conf_fail(struct dysco_conf_error *error, const char *code, const char *hint,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));

enum dysco_log_level { DYSCO_LOG_ERROR = 0, DYSCO_LOG_WARN, DYSCO_LOG_INFO, DYSCO_LOG_DEBUG };

/* How the health of boxes is watched (docs/operations.md). */
struct dysco_health_setup {
	bool off;
	uint32_t interval_ms; /* between questions; a session whose data is not acknowledged for so
				 long is looked at */
	uint32_t timeout_ms;  /* for an answer */
	uint32_t failures;    /* in a row: down */
	uint32_t successes;   /* in a row: up again */
	uint32_t rate;	      /* sessions looked at in a second, at most */
	uint32_t patience_ms; /* a session that no path is left for is closed after so long */
};
#define DYSCO_HEALTH_DEFAULT                                                                       \
	{                                                                                          \
		false, 1000, 500, 3, 3, 100, 30000                                                 \
	}

/* A compiled filter expression, shared by the copies of a configuration. */
struct dysco_filter;

/* Where something listens: a TCP endpoint, or a unix socket if there is a path. */
struct dysco_listen {
	bool on;
	struct dysco_addr addr;
	dysco_be16 port_be;
	char path[108];
};

struct dysco_config {
	struct dysco_setup setup;
	struct dysco_filter *filters[DYSCO_POLICIES_MAX]; /* of setup.policies, same index */
	bool
	    implied[DYSCO_HOSTS_MAX]; /* host made by an attach statement: goes with the last one */
	struct dysco_attachment attachments[DYSCO_ATTACHMENTS_MAX];
	uint16_t n_attachments;
	bool key_inside; /* a key stands in the file itself, which others must not read then */
	uint32_t legs;
	struct dysco_health_setup health;
	enum dysco_log_level log_level;
	bool realtime; /* scheduling of the agent while it handles packets */
	struct dysco_listen metrics;
	char socket_group[DYSCO_NAME_BYTES]; /* may ask what a box may ask; empty: nobody */
	struct dysco_ids *ids;		     /* the caller's; must outlive every copy */
};

/* What a statement may be part of. */
enum dysco_conf_source { DYSCO_CONF_FILE = 0, DYSCO_CONF_SOCKET };

/* On the heap; NULL only without memory. */
struct dysco_config *dysco_config_new(struct dysco_ids *ids);
struct dysco_config *dysco_config_copy(const struct dysco_config *config);
void dysco_config_free(struct dysco_config *config);

/* Is this a statement that changes a configuration (and not a question, or unknown)? */
bool dysco_config_is_change(const struct dysco_words *words, enum dysco_conf_source source);

/*
 * Applies one statement to config, which is scratch after an error. The whole
 * must be checked with dysco_config_check() before it is used.
 */
int dysco_config_apply(struct dysco_config *config, enum dysco_conf_source source,
		       const struct dysco_words *words, struct dysco_conf_error *error);
int dysco_config_check(const struct dysco_config *config, struct dysco_conf_error *error);

/* A whole file's text into a new configuration, checked; name is for messages. */
int dysco_config_read(struct dysco_config *config, const char *name, const char *text, size_t bytes,
		      struct dysco_conf_error *error);

/* The classifier's view; rules[DYSCO_POLICIES_MAX], valid as long as config. Returns how many. */
uint32_t dysco_config_rules(const struct dysco_config *config, struct dysco_classifier_rule *rules);

/* Index of the first policy that matches this packet (from its IP header) of a host,
 * DYSCO_NO_POLICY. */
uint16_t dysco_config_classify(const struct dysco_config *config, uint16_t host,
			       const uint8_t *packet, uint32_t bytes);
bool dysco_config_policy_at(const struct dysco_policy *policy, uint16_t host);
bool dysco_config_policy_matches(const struct dysco_config *config, uint16_t policy,
				 const uint8_t *packet, uint32_t bytes);
const char *dysco_config_filter_text(const struct dysco_config *config, uint16_t policy);

/* Do policy i of one and policy j of another configuration give the same sessions the same chains?
 */
bool dysco_config_policy_same(const struct dysco_config *a, int i, const struct dysco_config *b,
			      int j);

/* Look-ups by name: an index, or -1. */
int dysco_config_find_box(const struct dysco_config *config, const char *name);
int dysco_config_find_type(const struct dysco_config *config, const char *name);
int dysco_config_find_host(const struct dysco_config *config, const char *name);
int dysco_config_find_policy(const struct dysco_config *config, const char *name);
int dysco_config_find_attachment(const struct dysco_config *config, const char *netns,
				 const char *ifname);

/* A box made from an address literal in `via`, which is shown as that address. */
bool dysco_config_box_anonymous(const struct dysco_box *box);
/* How the user named it: the name, or the address of an anonymous box. */
void dysco_config_box_text(char out[64], const struct dysco_box *box);

#endif
