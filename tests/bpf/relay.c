// SPDX-License-Identifier: BSD-2-Clause
/*
 * A stand-in for the agent, for flow.sh: the bpf datapath with legs written by
 * hand. It translates the packets that the programs punt (SYNs) just as the
 * programs translate all others.
 *
 *   relay PIN-DIRECTORY < STATEMENTS
 *
 *   attach ID HOST nic|port IFACE NETNS [MIRROR]
 *   leg SLOT HOST  SRC SPORT DST DPORT  SRC SPORT DST DPORT     host tuple, wire tuple, outward
 *   run              prints "ready", works until SIGTERM, prints counters and legs
 *   wipe
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datapath/datapath.h"
#include "datapath/step.h"
#include "rewrite/edit.h"

#define HEARTBEAT_MS 100
#define FDS	     16

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void die(const struct dysco_datapath *dp, const char *what)
{
	(void)fprintf(stderr, "relay: %s: %s\n", what, dp->error);
	exit(1);
}

static struct dysco_addr address(const char *text)
{
	struct dysco_addr a;
	uint32_t ip4;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		return dysco_addr_from_ip4(ip4);
	}
	if (inet_pton(AF_INET6, text, &a) != 1) {
		(void)fprintf(stderr, "relay: bad address %s\n", text);
		exit(1);
	}
	return a;
}

static struct dysco_tuple tuple(char (*w)[64])
{
	struct dysco_tuple t = {address(w[0]), address(w[2]), htons((uint16_t)atoi(w[1])),
				htons((uint16_t)atoi(w[3]))};

	return t;
}

static void attach(struct dysco_datapath *dp, const char *line)
{
	struct dysco_attachment a;
	char mode[8];

	memset(&a, 0, sizeof(a));
	if (sscanf(line, "attach %hu %hu %7s %15s %63s %15s", &a.id, &a.host, mode, a.ifname,
		   a.netns, a.mirror) < 5) {
		die(dp, line);
	}
	a.mode = strcmp(mode, "port") == 0 ? DYSCO_ATTACH_PORT : DYSCO_ATTACH_NIC;
	if (strcmp(a.netns, "-") == 0) {
		a.netns[0] = '\0';
	}
	if (dp->ops->attach(dp, &a)) {
		die(dp, "attach");
	}
}

static void bind_key(struct dysco_datapath *dp, const struct dysco_tuple *t, uint16_t host,
		     enum dysco_direction direction, uint32_t slot)
{
	struct dysco_leg_key key = {*t, host, (uint8_t)direction, 0};

	if (dp->table.ops->bind(&dp->table, &key, slot)) {
		die(dp, "bind");
	}
}

static void leg(struct dysco_datapath *dp, const char *line)
{
	char w[8][64];
	unsigned int slot;
	unsigned short host;
	struct dysco_leg *l;
	struct dysco_tuple arriving;

	if (sscanf(line, "leg %u %hu %63s %63s %63s %63s %63s %63s %63s %63s", &slot, &host, w[0],
		   w[1], w[2], w[3], w[4], w[5], w[6], w[7]) != 10) {
		die(dp, line);
	}
	l = &dp->table.legs[slot];
	memset(l, 0, sizeof(*l));
	l->host = host;
	l->host_tuple = tuple(w);
	l->wire_tuple = tuple(w + 4);
	l->mode = DYSCO_MODE_FAST;
	arriving = dysco_tuple_reverse(&l->wire_tuple);
	bind_key(dp, &l->host_tuple, host, DYSCO_OUT, slot);
	bind_key(dp, &arriving, host, DYSCO_IN, slot);
}

/* As the programs do with all that is no SYN. */
static void answer(struct dysco_datapath *dp, const struct dysco_punt *punt, uint64_t now_ns)
{
	static uint8_t packet[65536];
	const struct dysco_input *in = &punt->input;
	bool out = in->direction == DYSCO_OUT;
	struct dysco_action action = {.kind = out ? DYSCO_ACT_SEND : DYSCO_ACT_DELIVER,
				      .attachment = in->attachment,
				      .l2 = in->l2};
	struct dysco_leg_key key;
	struct dysco_packet p;
	struct dysco_leg *l;
	struct dysco_tuple to;

	memcpy(packet, in->data, in->bytes);
	if (dysco_packet_parse(&p, packet, packet + in->bytes, in->bytes) != DYSCO_PARSE_TCP ||
	    !dysco_edit_checksum_ok(&p, packet, in->bytes)) {
		(void)fprintf(stderr, "relay: bad packet punted\n");
		return;
	}
	memset(&key, 0, sizeof(key));
	key.tuple = p.tuple;
	key.host = in->host;
	key.direction = in->direction;
	l = &dp->table.legs[dp->table.ops->find(&dp->table, &key)];
	to = out ? l->wire_tuple : dysco_tuple_reverse(&l->host_tuple);
	dysco_step_see(l, &p, out ? DYSCO_OUT : DYSCO_IN, in->bytes, now_ns);
	dysco_edit_apply(&p, packet, dysco_edit_tuple(&p, packet, packet + in->bytes, &to));
	if (dp->ops->inject(dp, &action, packet, in->bytes, punt)) {
		(void)fprintf(stderr, "relay: %s\n", dp->error);
	}
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void report(struct dysco_datapath *dp)
{
	static const char *const counters[] = {
#define X(sym, name, text) name,
		DYSCO_COUNTERS(X)
#undef X
	};
	static const char *const reasons[] = {
#define X(sym, num, name, text) [num] = name,
		DYSCO_REASONS(X)
#undef X
	};
	struct dysco_core_stats stats;

	memset(&stats, 0, sizeof(stats));
	dp->ops->counters(dp, &stats);
	for (int i = 0; i < DYSCO_COUNTER_COUNT; i++) {
		if (stats.counters[i]) {
			printf("counter %s %lu\n", counters[i], stats.counters[i]);
		}
	}
	for (int i = 0; i < DYSCO_REASON_COUNT; i++) {
		if (stats.drops[i]) {
			printf("drop %s %lu\n", reasons[i], stats.drops[i]);
		}
	}
	for (uint32_t i = 1; i < dp->table.capacity; i++) {
		const struct dysco_leg *l = &dp->table.legs[i];

		if (l->mode != DYSCO_MODE_FREE) {
			printf("leg %u state %d out %lu in %lu\n", i, dysco_leg_state(l),
			       l->run[DYSCO_OUT].packets, l->run[DYSCO_IN].packets);
		}
	}
}

static void run(struct dysco_datapath *dp)
{
	struct pollfd polled[FDS];
	int fds[FDS];
	uint32_t n = FDS;
	struct dysco_punt punt;

	if (dp->ops->poll_fds(dp, fds, &n)) {
		die(dp, "poll_fds");
	}
	for (uint32_t i = 0; i < n; i++) {
		polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	}
	dp->ops->heartbeat(dp, now());
	printf("ready\n");
	(void)fflush(stdout);
	while (!stop) {
		(void)poll(polled, n, HEARTBEAT_MS);
		dp->ops->heartbeat(dp, now());
		while (dp->ops->receive(dp, &punt) > 0) {
			answer(dp, &punt, now());
		}
	}
	report(dp);
}

int main(int argc, char **argv)
{
	static struct dysco_datapath dp = {.ops = &dysco_datapath_bpf};
	char line[1024];

	if (argc != 2 || dp.ops->open(&dp, argv[1], 64)) {
		die(&dp, "open");
	}
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	while (fgets(line, sizeof(line), stdin)) {
		if (strncmp(line, "attach", 6) == 0) {
			attach(&dp, line);
		} else if (strncmp(line, "leg", 3) == 0) {
			leg(&dp, line);
		} else if (strncmp(line, "run", 3) == 0) {
			run(&dp);
		} else if (strncmp(line, "wipe", 4) == 0 && dp.ops->wipe(&dp)) {
			die(&dp, "wipe");
		}
	}
	dp.ops->close(&dp);
	return 0;
}
