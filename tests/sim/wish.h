/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that ask cores for other chains share: reconf.c, wish.c, trigger.c, recover.c,
 * late.c. */
#ifndef DYSCO_TESTS_SIM_WISH_H
#define DYSCO_TESTS_SIM_WISH_H

#include "tests/sim/scenario.h"

enum { SIM_PLACES = SIM_VISITS + 2 };

/* ---- reconf.c ---- */
/* Where in the chain of a connection a node is, SIM_NONE: nowhere. */
uint8_t sim_place_of(const struct sim_flow *flow, uint8_t node);
void sim_step_add(struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to, uint8_t wish);
struct sim_agent *sim_agent_at(struct sim_world *w, uint8_t node);
/* The reason of the failure that the core has just told of. */
uint8_t sim_reason_told(const struct sim_world *w);
/* Has the left anchor a record of it? */
bool sim_wish_is_known(struct sim_world *w, const struct sim_wish *wish);
/* It has never begun. */
void sim_wish_refused(struct sim_world *w, struct sim_wish *wish);
/* A side has sent its FIN. */
bool sim_flow_closes(const struct sim_world *w, const struct sim_flow *flow);

/* ---- wish.c ---- */
/* Its two ends are connected, and it has a chain or may be given one. */
bool sim_flow_is_open(const struct sim_world *w, const struct sim_flow *flow);
bool sim_session_of(struct sim_world *w, const struct sim_flow *flow, struct dysco_session_id *id);
/* The leg of a session that faces right at a node; DYSCO_NO_SLOT: there is none. */
uint32_t sim_right_leg(struct sim_world *w, uint8_t node, const struct dysco_session_id *id);
/* An empty one; NULL: there were too many. It counts from sim_wish_begin() on. */
struct sim_wish *sim_wish_new(struct sim_world *w, uint8_t flow);
/* Up to three new boxes; `kept`: those that are in the chain already, and live, are as good. */
void sim_wish_draw_path(struct sim_world *w, struct sim_wish *wish, bool kept);
void sim_wish_put(struct sim_world *w, struct dysco_address_list *list, uint8_t node);
/* The boxes of its path, and the right anchor. */
void sim_wish_list(struct sim_world *w, const struct sim_wish *wish,
		   struct dysco_address_list *list);
/* A core is asked: by dysco_core_reconfigure(). */
void sim_wish_begin(struct sim_world *w, struct sim_wish *wish, uint32_t slot,
		    const struct dysco_address_list *list);
/* A core works on it, or will: its steps may be taken from now on. */
void sim_wish_begun(struct sim_world *w, struct sim_wish *wish, uint64_t nonce);
/* Is there a box between the anchors that has not frozen its constants? */
bool sim_wish_is_thawed(const struct sim_world *w, const struct sim_wish *wish);
/* For the table of coverage. */
void sim_wish_note(struct sim_world *w, const struct sim_wish *wish);
/* Is any attempt of this connection under way? */
bool sim_flow_is_wished(const struct sim_world *w, uint8_t flow);

/* ---- trigger.c ---- */
/* A box of the chain asks its left neighbour. */
void sim_trigger(struct sim_world *w, struct sim_wish *wish, const struct dysco_session_id *id);
/* After a call of the core of this agent: have boxes got their answers? */
void sim_trigger_watch(struct sim_world *w, uint8_t agent, struct sim_wish *wish);

/* ---- recover.c ---- */
/* Both anchors have completed a recovery. */
void sim_recovered(struct sim_world *w, const struct sim_wish *wish);

#endif
