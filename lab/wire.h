/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The delay box of a lossy link: a process that carries frames between two
 * interfaces and delays, loses, duplicates and reorders them, from a seed.
 *
 *   node A [if] ==veth== [wNa] dysco lab wire [wNb] ==veth== [if] node B
 */
#ifndef DYSCO_LAB_WIRE_H
#define DYSCO_LAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PPM	  1000000u
#define WIRE_DELAY_MAX_US 10000000u /* 10 s */
#define WIRE_QUEUE_MAX	  100000u

/* What happens to the frames of one direction; chances in parts per million. */
struct wire_settings {
	uint32_t delay_us;
	uint32_t jitter_us; /* delay is uniform in delay +- jitter; never reorders by itself */
	uint32_t loss_ppm;
	uint32_t duplicate_ppm;
	uint32_t reorder_ppm; /* held back until one to three later frames have passed */
	uint32_t queue;	      /* frames waiting at most; more are lost */
};
#define WIRE_SETTINGS_DEFAULT                                                                      \
	{                                                                                          \
		0, 0, 0, 0, 0, 10000                                                               \
	}

/*
 * Sets one setting from words: VALUE for both directions, or VALUE/VALUE for
 * each. Times are 10ms, 1.5s, 300us; chances 5%, 0.1%; the queue a count.
 * 0, or -1 with a sentence in error.
 */
int wire_set(struct wire_settings settings[2], const char *key, const char *value, char *error,
	     size_t error_bytes);
bool wire_is_setting(const char *key);

/* wire_fate.c: decisions, without sockets. */
struct wire_random {
	uint64_t s[4];
};

struct wire_fate {
	bool lost;
	bool duplicated;
	uint32_t delay_us;
	uint32_t behind; /* > 0: held until so many later frames have passed */
};

void wire_random_seed(struct wire_random *r, uint64_t seed, uint64_t stream);
/* Takes the same amount of randomness whatever the settings are. */
struct wire_fate wire_fate_draw(struct wire_random *r, const struct wire_settings *s);
/* Frames of the link itself (ARP, neighbour discovery, multicast) have a stream of their own. */
bool wire_frame_is_chatter(const uint8_t *frame, size_t bytes);

struct wire_counters {
	uint64_t received, sent, lost, duplicated, reordered, overflow, failed;
};

/*
 * `dysco lab wire IF-A IF-B SOCKET SEED KEY VALUE...`: the process itself, in
 * the namespace it is started in. SOCKET answers lines of KEY VALUE... with
 * settings and counters as JSON. Ends on SIGTERM. Returns an exit code.
 */
int wire_main(int argc, char **argv);

#endif
