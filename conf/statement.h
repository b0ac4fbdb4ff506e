/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside conf: one statement being applied, and the appliers by subject.
 */
#ifndef DYSCO_CONF_STATEMENT_H
#define DYSCO_CONF_STATEMENT_H

#include "conf/config.h"

struct dysco_statement {
	struct dysco_config *config;
	const struct dysco_words *words;
	int at; /* next word */
	struct dysco_conf_error *error;
};

/* Next word, or NULL at the end of the line. */
const char *dysco_statement_next(struct dysco_statement *s);
/* The same, refusing the statement (and returning NULL) with "WHAT is missing". */
const char *dysco_statement_need(struct dysco_statement *s, const char *what);
/* Is the next word this one? Then takes it. */
bool dysco_statement_take(struct dysco_statement *s, const char *word);
/* Refuses what is left over. */
int dysco_statement_end(struct dysco_statement *s);
/* A new name of a box, type, host or policy; -1 when it is not a good one. */
int dysco_statement_name(struct dysco_statement *s, const char *what, const char **name);
int dysco_statement_number(struct dysco_statement *s, const char *what, uint64_t min, uint64_t max,
			   uint64_t *number);

/* Appliers: the words from s->at on belong to them. */
int dysco_apply_agent(struct dysco_statement *s);
int dysco_apply_key(struct dysco_statement *s);
int dysco_apply_ports(struct dysco_statement *s);
int dysco_apply_timeout(struct dysco_statement *s);
int dysco_apply_legs(struct dysco_statement *s);
int dysco_apply_log(struct dysco_statement *s);
int dysco_apply_scheduling(struct dysco_statement *s);
int dysco_apply_triggers(struct dysco_statement *s);
int dysco_apply_socket(struct dysco_statement *s);
int dysco_apply_metrics(struct dysco_statement *s);
int dysco_apply_health(struct dysco_statement *s);
int dysco_apply_host(struct dysco_statement *s);
int dysco_apply_attach(struct dysco_statement *s);
int dysco_apply_detach(struct dysco_statement *s);
int dysco_apply_box_add(struct dysco_statement *s);
int dysco_apply_box_remove(struct dysco_statement *s);
int dysco_apply_box_drain(struct dysco_statement *s);
int dysco_apply_box_undrain(struct dysco_statement *s);
int dysco_apply_type_add(struct dysco_statement *s);
int dysco_apply_type_remove(struct dysco_statement *s);
int dysco_apply_policy_add(struct dysco_statement *s);
int dysco_apply_policy_replace(struct dysco_statement *s);
int dysco_apply_policy_remove(struct dysco_statement *s);

/* The box that stands for an address in `via`, made if there is none; -1 when the table is full. */
int dysco_config_box_for(struct dysco_config *config, const struct dysco_addr *addr);
/* Drops the anonymous boxes that no policy uses any more. */
void dysco_config_sweep_boxes(struct dysco_config *config);

#endif
