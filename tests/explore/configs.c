// SPDX-License-Identifier: BSD-2-Clause
/* The configurations. */
#include "tests/explore/explore.h"

#define ENDS(left, right) .app = {left, right}
#define SENDS(n)                                                                                   \
	{                                                                                          \
		.units = (n)                                                                       \
	}
#define STAYS(n)                                                                                   \
	{                                                                                          \
		.units = (n), .closes = XP_STAY_OPEN                                               \
	}
#define AGED(n)	  ALL(n), .by_age = true, .slack = 4
#define ALL(n)	  .loss = (n), .duplicates = (n), .delays = (n), .timers = (n), .total = (n)
#define NEAR_WRAP .iss = {0xfffffffeu, 0xfffffffcu}
#define NUMBERS	  .iss = {1000000, 2000000}
#define REPLACE(left, right, ...)                                                                  \
	{                                                                                          \
		.ask = XP_ASK_REPLACE, .host = (left), .anchor = (right), .path = { __VA_ARGS__ }  \
	}
#define PLAIN .mss = 2, .buffer = 16
#define TCP   .mss = 2, .buffer = 16, .shift = {1, 2}

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
    {"insert", "a box is inserted, ends stay open", .hosts = 3, .box = {[2] = XP_BOX_STRICT},
     ENDS(STAYS(1), STAYS(1)), PLAIN, NUMBERS, AGED(3), .script = {REPLACE(0, 1, 2)}},
    {"insert-fin", "a box is inserted, ends close", .hosts = 3, .box = {[2] = XP_BOX_STRICT},
     ENDS(SENDS(1), SENDS(1)), PLAIN, NUMBERS, AGED(3), .script = {REPLACE(0, 1, 2)}},
    {"insert-scaled", "a box is inserted, scaled windows", .hosts = 3, .box = {[2] = XP_BOX_STRICT},
     ENDS(STAYS(1), STAYS(1)), TCP, NUMBERS, AGED(3), .script = {REPLACE(0, 1, 2)}},
    {"insert-options", "a box is inserted, timestamps, SACK, numbers wrap", .hosts = 3,
     .box = {[2] = XP_BOX_STRICT}, ENDS(STAYS(2), STAYS(0)), PLAIN, NEAR_WRAP, AGED(3), .ts = true,
     .sack = true, .script = {REPLACE(0, 1, 2)}},
    {"delete", "a box is taken out", .hosts = 3, .chain = {2}, .box = {[2] = XP_BOX_STRICT},
     ENDS(SENDS(1), SENDS(1)), PLAIN, NUMBERS, AGED(3), .script = {REPLACE(0, 1)}},
    {"delete-delta", "a box that shifts numbers is taken out", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_DELTA}, ENDS(SENDS(1), SENDS(1)), PLAIN, NUMBERS, AGED(3),
     .script = {REPLACE(0, 1)}},
    {"replace", "a box takes another one's place, ends stay open", .hosts = 4, .chain = {2},
     .box = {[2] = XP_BOX_STRICT, [3] = XP_BOX_STRICT}, ENDS(STAYS(1), STAYS(1)), PLAIN, NUMBERS,
     AGED(3), .script = {REPLACE(0, 1, 3)}},
    {"insert-delta", "a box that shifts numbers is inserted: must be refused", .hosts = 3,
     .box = {[2] = XP_BOX_DELTA}, ENDS(STAYS(1), STAYS(1)), PLAIN, NUMBERS, AGED(3),
     .script = {REPLACE(0, 1, 2)}},
    {"delete-cancel", "a box is taken out, or not after all", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT}, ENDS(STAYS(1), STAYS(1)), PLAIN, NUMBERS, AGED(3),
     .script = {REPLACE(0, 1), {.ask = XP_ASK_CANCEL, .host = 0}}},
    {"delete-abort", "a box is taken out, ends may abort", .hosts = 3, .chain = {2},
     .box = {[2] = XP_BOX_STRICT},
     .app = {{.units = 1, .aborts = 1, .closes = XP_STAY_OPEN},
	     {.units = 1, .aborts = 1, .closes = XP_STAY_OPEN}},
     PLAIN, NUMBERS, AGED(3), .script = {REPLACE(0, 1)}},
    {"insert-delete", "a box is inserted, then taken out", .hosts = 3, .box = {[2] = XP_BOX_STRICT},
     ENDS(STAYS(1), STAYS(1)), PLAIN, NUMBERS, AGED(3),
     .script = {REPLACE(0, 1, 2), {.ask = XP_ASK_REPLACE, .host = 0, .anchor = 1, .then = true}}},
    {"contend", "both the first host and the box ask", .hosts = 4, .chain = {2},
     .box = {[2] = XP_BOX_STRICT, [3] = XP_BOX_STRICT}, ENDS(STAYS(1), STAYS(0)), PLAIN, NUMBERS,
     AGED(3), .script = {REPLACE(0, 1), REPLACE(2, 1, 3)}},
    {"box-anchor", "left anchor is a box, the one after it is taken out", .hosts = 4,
     .chain = {2, 3}, .box = {[2] = XP_BOX_STRICT, [3] = XP_BOX_STRICT}, ENDS(STAYS(1), STAYS(1)),
     PLAIN, NUMBERS, AGED(3), .script = {REPLACE(2, 1)}},
};
const size_t xp_n_configs = sizeof(xp_configs) / sizeof(xp_configs[0]);
