// SPDX-License-Identifier: BSD-2-Clause
/* The configurations. */
#include "tests/explore/explore.h"

#define ENDS(left, right) .app = {left, right}
#define SENDS(n)                                                                                   \
	{                                                                                          \
		.units = (n)                                                                       \
	}
#define ALL(n)	  .loss = (n), .duplicates = (n), .delays = (n), .timers = (n), .total = (n)
#define NEAR_WRAP .iss = {0xfffffffeu, 0xfffffffcu}
#define NUMBERS	  .iss = {1000000, 2000000}
#define TCP	  .mss = 2, .buffer = 16, .shift = {1, 2}

const struct xp_config xp_configs[] = {
    {"direct", "no box, 2+2 bytes", .hosts = 2, ENDS(SENDS(2), SENDS(2)), TCP, NUMBERS, ALL(2)},
    {"direct-wrap", "no box, numbers that wrap, timestamps, SACK", .hosts = 2,
     ENDS(SENDS(2), SENDS(1)), TCP, NEAR_WRAP, ALL(2), .ts = true, .sack = true},
    {"one", "a strict box, 2+2 bytes", .hosts = 3, .chain = {2}, .box = {[2] = XP_BOX_STRICT},
     ENDS(SENDS(2), SENDS(2)), TCP, NUMBERS, ALL(2)},
    {"one-options", "a strict box, timestamps, SACK, 1+1 bytes", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT}, ENDS(SENDS(1), SENDS(1)), TCP, NEAR_WRAP, ALL(2), .ts = true,
     .sack = true},
    {"one-crash", "a strict box, agents restart", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT}, ENDS(SENDS(1), SENDS(1)), TCP, NUMBERS, ALL(2), .crashes = 2},
    {"one-abort", "a strict box, both ends may abort", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT}, .app = {{.units = 1, .aborts = 1}, {.units = 1, .aborts = 1}},
     TCP, NUMBERS, ALL(2)},
    {"one-idle", "a strict box, ends that stay open and probe", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT},
     .app = {{.units = 1, .closes = XP_STAY_OPEN, .keeps = 1},
	     {.units = 1, .closes = XP_STAY_OPEN, .keeps = 1}},
     TCP, NUMBERS, ALL(2)},
    {"one-slow", "a box, a reader that lets the window close", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_FORWARD}, .app = {{.units = 4}, {.units = 1, .slow = 1}}, .mss = 2,
     .buffer = 2, NUMBERS, ALL(2)},
    {"one-delta", "a box that shifts numbers", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_DELTA}, ENDS(SENDS(2), SENDS(1)), TCP, NUMBERS, ALL(2), .sack = true},
    {"two", "two strict boxes, 1+1 bytes", .hosts = 4, .chain = {2, 3},
     .box = {[2] = XP_BOX_STRICT, [3] = XP_BOX_STRICT}, ENDS(SENDS(1), SENDS(1)), TCP, NUMBERS,
     ALL(2)},
    {"two-half", "two strict boxes, the destination closes last", .hosts = 4, .chain = {2, 3},
     .box = {[2] = XP_BOX_STRICT, [3] = XP_BOX_STRICT},
     .app = {{.units = 2}, {.units = 2, .closes = XP_CLOSE_AFTER_PEER}}, TCP, NUMBERS, ALL(2)},
};
const size_t xp_n_configs = sizeof(xp_configs) / sizeof(xp_configs[0]);
