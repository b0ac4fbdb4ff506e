/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filter expressions of policies, compiled by libpcap for packets that begin
 * with their IP header. Reference-counted; used from one thread.
 */
#ifndef DYSCO_CONF_FILTER_H
#define DYSCO_CONF_FILTER_H

#include "conf/config.h"

/* NULL with *error (bad_filter) when the expression is not good. One reference is the caller's. */
struct dysco_filter *dysco_filter_compile(const char *text, struct dysco_conf_error *error);
struct dysco_filter *dysco_filter_ref(struct dysco_filter *filter);
void dysco_filter_unref(struct dysco_filter *filter);

const char *dysco_filter_text(const struct dysco_filter *filter);
const void *dysco_filter_insns(const struct dysco_filter *filter, uint32_t *n);
bool dysco_filter_matches(const struct dysco_filter *filter, const uint8_t *packet, uint32_t bytes);

#endif
