/* SPDX-License-Identifier: BSD-2-Clause */
/* What scenario.c draws and topology.c builds. */
#ifndef DYSCO_TESTS_SIM_SCENARIO_H
#define DYSCO_TESTS_SIM_SCENARIO_H

#include "tests/sim/world.h"

#define SIM_PORT_CHAIN 80 /* the policies match this destination port */
#define SIM_PORT_PLAIN 81
#define SIM_BOXES_MAX  24

enum sim_theme {
	SIM_THEME_NOTHING = 0,
	SIM_THEME_PLAIN,
	SIM_THEME_BOX_NAT,
	SIM_THEME_BOX_PORT_NAT,
	SIM_THEME_DROP_SYN,
	SIM_THEME_DROP_SOME,
	SIM_THEME_REFUSE,
	SIM_THEME_ADDED_HOPS,
	SIM_THEME_WIRE_NAT,
	SIM_THEME_EXIT,
	SIM_THEME_EXIT_NAT,
	SIM_THEME_GATEWAY,
	SIM_THEME_OPEN_DEAD,
	SIM_THEME_OPEN_SLOW,
	SIM_THEME_NO_AGENT,
	SIM_THEME_SERVER_REFUSES,
	SIM_THEME_IDLE,
	SIM_THEME_KILL,
	SIM_THEME_CRASH,
	SIM_THEME_ENEMY,
	SIM_THEME_FEW_PORTS,
	SIM_THEME_FEW_LEGS,
	SIM_THEME_SIMULTANEOUS,
	SIM_THEME_RECONF,
	SIM_THEME_COUNT
};

struct sim_plan_hop {
	bool type;
	uint8_t select;	      /* enum dysco_select */
	uint8_t first, count; /* boxes */
};

struct sim_plan {
	enum sim_theme theme;
	uint8_t clients; /* nodes 0 .. clients-1; the server is the next, then the boxes */
	uint8_t n_boxes, n_hops;
	bool nat_boxes;
	bool open, everywhere; /* everywhere: every agent has the policy, for all its hosts */
	uint8_t retries;
	uint8_t added_at, added_first, added; /* hops that the agent of hop added_at adds */
	uint16_t legs, ports;
	struct sim_plan_hop hops[16];
	uint8_t spare;	       /* boxes that no policy names, for reconfigurations */
	bool recovery, late;   /* a box dies; sessions begin without a chain */
	bool crashes, gateway; /* gateway: all clients behind one host */
	uint8_t box_kind[SIM_BOXES_MAX];
};

/* Nodes and hosts, and which agent has which host. */
void sim_lay_out(struct sim_world *w, const struct sim_plan *plan);
/* Tables, configurations, and the start of all agents. */
void sim_lay_out_agents(struct sim_world *w, const struct sim_plan *plan);

/* ---- scenario.c ---- */
void sim_scenario(struct sim_world *w);

/* ---- trigger.c ---- */
void sim_triggers_draw(struct sim_world *w);

#endif
