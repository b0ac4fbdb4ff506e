// SPDX-License-Identifier: BSD-2-Clause
/*
 * The delay box as a process: frames from one packet socket to the other, each
 * through the fate drawn for it (wire_fate.c).
 *
 *   receive -> fate -> queue, by due time -> send
 *                        \-> held, until later frames have passed -> send
 *
 * Packet sockets carry the kernel's offload header (PACKET_VNET_HDR), so what
 * a node sends unsegmented or with a checksum to come passes as it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "conf/words.h"
#include "lab/wire.h"

#define FRAME_BYTES  (sizeof(struct virtio_net_hdr) + 65536 + 64)
#define BUFFER_BYTES (64 * 1024 * 1024)
/* A frame that is held back for later ones goes on when none has come for so long. */
#define HOLD_NS 20000000u
#define BURST	256

struct frame {
	struct frame *next;
	uint64_t due_ns;
	uint32_t behind;
	struct wire_counters *counters;
	size_t bytes;
	uint8_t data[];
};

/* Frames from end `from` to the other. */
struct direction {
	int in, out;
	struct wire_random random, chatter;
	struct frame *head, **tail; /* by due time */
	struct frame *held;
	uint32_t waiting;
	uint64_t last_due_ns;
	struct wire_counters
	    counters[2]; /* [1]: of the link's own frames, wire_frame_is_chatter() */
};

struct wire {
	const char *ifname[2];
	int control;
	struct wire_settings settings[2];
	struct direction direction[2];
	uint8_t buffer[FRAME_BYTES];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void seed_streams(struct wire *w, uint64_t seed)
{
	for (uint64_t i = 0; i < 2; i++) {
		wire_random_seed(&w->direction[i].random, seed, i);
		wire_random_seed(&w->direction[i].chatter, seed, i + 2);
	}
}

static void send_frame(const struct direction *d, const struct frame *f)
{
	if (write(d->out, f->data, f->bytes) == (ssize_t)f->bytes) {
		f->counters->sent++;
	} else {
		f->counters->failed++;
	}
}

/* One frame has passed: those that waited for it may follow. */
static void release_held(struct direction *d)
{
	struct frame **link = &d->held;

	while (*link) {
		struct frame *f = *link;

		if (--f->behind > 0) {
			link = &f->next;
			continue;
		}
		*link = f->next;
		send_frame(d, f);
		free(f);
		d->waiting--;
	}
}

static void enqueue(struct direction *d, const struct wire *w, struct wire_counters *c,
		    size_t bytes, uint64_t due_ns, uint32_t behind)
{
	struct frame *f = malloc(sizeof(*f) + bytes);

	if (!f) {
		c->overflow++;
		return;
	}
	*f = (struct frame){NULL, due_ns, behind, c, bytes};
	memcpy(f->data, w->buffer, bytes);
	d->waiting++;
	*d->tail = f;
	d->tail = &f->next;
}

static void accept_frame(struct wire *w, int index, size_t bytes, uint64_t now)
{
	const size_t header = sizeof(struct virtio_net_hdr);
	struct direction *d = &w->direction[index];
	bool chatter = wire_frame_is_chatter(w->buffer + header, bytes - header);
	struct wire_counters *c = &d->counters[chatter];
	struct wire_fate fate =
	    wire_fate_draw(chatter ? &d->chatter : &d->random, &w->settings[index]);
	uint64_t due = now + (uint64_t)fate.delay_us * 1000;

	c->received++;
	if (fate.lost) {
		c->lost++;
		return;
	}
	if (d->waiting >= w->settings[index].queue) {
		c->overflow++;
		return;
	}
	/* Jitter alone never lets a frame overtake another. */
	due = due > d->last_due_ns ? due : d->last_due_ns;
	d->last_due_ns = due;
	c->reordered += fate.behind > 0;
	enqueue(d, w, c, bytes, due, fate.behind);
	if (fate.duplicated) {
		c->duplicated++;
		enqueue(d, w, c, bytes, due, 0);
	}
}

static void receive_frames(struct wire *w, int index, uint64_t now)
{
	struct direction *d = &w->direction[index];

	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(d->in, w->buffer, sizeof(w->buffer), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0) {
			return;
		}
		if ((size_t)n <= sizeof(struct virtio_net_hdr) || (size_t)n > sizeof(w->buffer)) {
			d->counters[0].failed++;
			continue;
		}
		accept_frame(w, index, (size_t)n, now);
	}
}

static struct frame *pop(struct direction *d)
{
	struct frame *f = d->head;

	d->head = f->next;
	if (!d->head) {
		d->tail = &d->head;
	}
	return f;
}

static void send_expired(struct direction *d, uint64_t now)
{
	struct frame **link = &d->held;

	while (*link) {
		struct frame *f = *link;

		if (f->due_ns + HOLD_NS > now) {
			link = &f->next;
			continue;
		}
		*link = f->next;
		send_frame(d, f);
		free(f);
		d->waiting--;
	}
}

static void send_due(struct direction *d, uint64_t now)
{
	while (d->head && d->head->due_ns <= now) {
		struct frame *f = pop(d);

		if (f->behind > 0) {
			f->next = d->held;
			d->held = f;
			continue;
		}
		send_frame(d, f);
		free(f);
		d->waiting--;
		release_held(d);
	}
	send_expired(d, now);
}

static uint64_t next_due(const struct direction *d)
{
	uint64_t due = d->head ? d->head->due_ns : UINT64_MAX;

	for (const struct frame *f = d->held; f; f = f->next) {
		due = f->due_ns + HOLD_NS < due ? f->due_ns + HOLD_NS : due;
	}
	return due;
}

/* The socket's own drops belong to the queue. */
static void count_socket_drops(struct direction *d)
{
	struct tpacket_stats stats = {0};
	socklen_t bytes = sizeof(stats);

	if (getsockopt(d->in, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) == 0) {
		d->counters[0].overflow += stats.tp_drops;
	}
}

static void report(FILE *out, struct wire *w)
{
	fputs("{\"directions\": [", out);
	for (int i = 0; i < 2; i++) {
		struct direction *d = &w->direction[i];
		const struct wire_settings *s = &w->settings[i];
		const struct wire_counters *c = &d->counters[0];

		count_socket_drops(d);
		fprintf(out,
			"%s{\"delay_us\": %u, \"jitter_us\": %u, \"loss_ppm\": %u, "
			"\"duplicate_ppm\": %u, \"reorder_ppm\": %u, \"queue\": %u, "
			"\"waiting\": %u, \"received\": %llu, \"sent\": %llu, \"lost\": %llu, "
			"\"duplicated\": %llu, \"reordered\": %llu, \"overflow\": %llu, "
			"\"failed\": %llu, \"chatter\": %llu}",
			i ? ", " : "", s->delay_us, s->jitter_us, s->loss_ppm, s->duplicate_ppm,
			s->reorder_ppm, s->queue, d->waiting, (unsigned long long)c->received,
			(unsigned long long)c->sent, (unsigned long long)c->lost,
			(unsigned long long)c->duplicated, (unsigned long long)c->reordered,
			(unsigned long long)c->overflow, (unsigned long long)c->failed,
			(unsigned long long)d->counters[1].received);
	}
	fputs("]}\n", out);
}

/* KEY VALUE...: all of them or none. `seed N` begins the streams anew. */
static int apply(struct wire *w, const char *const *word, int count, char *error, size_t bytes)
{
	struct wire_settings settings[2] = {w->settings[0], w->settings[1]};
	const char *seed = NULL;

	if (count % 2) {
		snprintf(error, bytes, "'%s' has no value", word[count - 1]);
		return -1;
	}
	for (int i = 0; i < count; i += 2) {
		if (strcmp(word[i], "seed") == 0) {
			seed = word[i + 1];
		} else if (wire_set(settings, word[i], word[i + 1], error, bytes)) {
			return -1;
		}
	}
	memcpy(w->settings, settings, sizeof(settings));
	if (seed) {
		seed_streams(w, strtoull(seed, NULL, 0));
	}
	return 0;
}

static void answer(struct wire *w)
{
	int fd = accept4(w->control, NULL, NULL, SOCK_CLOEXEC);
	FILE *peer = fd >= 0 ? fdopen(fd, "r+") : NULL;
	struct timeval patience = {1, 0};
	struct dysco_words words;
	char line[1024], error[256];

	if (!peer) {
		return;
	}
	/* A client that says nothing holds the frames up for a second at most. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (fgets(line, sizeof(line), peer)) {
		fseek(peer, 0, SEEK_CUR);
		line[strcspn(line, "\n")] = '\0';
		if (dysco_words_split(&words, line, strlen(line), error, sizeof(error)) ||
		    apply(w, words.word, words.count, error, sizeof(error))) {
			fprintf(peer, "error: %s\n", error);
		} else {
			report(peer, w);
		}
	}
	fclose(peer);
}

static int open_end(const char *ifname)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, bytes = BUFFER_BYTES;

	addr.sll_ifindex = (int)if_nametoindex(ifname);
	if (fd < 0 || !addr.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "dysco lab wire: %s: %s\n", ifname, strerror(errno));
		return -1;
	}
	return fd;
}

static int open_control(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "dysco lab wire: %s: too long for a socket\n", path);
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8)) {
		fprintf(stderr, "dysco lab wire: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return fd;
}

static void serve(struct wire *w)
{
	struct pollfd p[3] = {{w->direction[0].in, POLLIN, 0},
			      {w->direction[1].in, POLLIN, 0},
			      {w->control, POLLIN, 0}};

	while (true) {
		uint64_t now = now_ns();
		uint64_t a = next_due(&w->direction[0]), b = next_due(&w->direction[1]);
		uint64_t due = a < b ? a : b, rest = due > now ? due - now : 0;
		struct timespec t = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};

		ppoll(p, 3, due == UINT64_MAX ? NULL : &t, NULL);
		now = now_ns();
		for (int i = 0; i < 2; i++) {
			receive_frames(w, i, now);
			send_due(&w->direction[i], now_ns());
		}
		if (p[2].revents) {
			answer(w);
		}
	}
}

int wire_main(int argc, char **argv)
{
	static const struct wire_settings PLAIN = WIRE_SETTINGS_DEFAULT;
	struct wire *w = calloc(1, sizeof(*w));
	char error[256] = "out of memory";
	int fd[2];

	if (argc < 5 || !w) {
		fputs("usage: dysco lab wire IF-A IF-B SOCKET SEED [KEY VALUE]...\n", stderr);
		free(w);
		return 2;
	}
	w->settings[0] = w->settings[1] = PLAIN;
	if (apply(w, (const char *const *)argv + 5, argc - 5, error, sizeof(error))) {
		fprintf(stderr, "dysco lab wire: %s\n", error);
		free(w);
		return 2;
	}
	for (int i = 0; i < 2; i++) {
		w->ifname[i] = argv[1 + i];
		fd[i] = open_end(argv[1 + i]);
		w->direction[i].tail = &w->direction[i].head;
	}
	seed_streams(w, strtoull(argv[4], NULL, 0));
	w->direction[0].in = w->direction[1].out = fd[0];
	w->direction[1].in = w->direction[0].out = fd[1];
	w->control = fd[0] >= 0 && fd[1] >= 0 ? open_control(argv[3]) : -1;
	if (w->control >= 0) {
		serve(w);
	}
	free(w);
	return 1;
}
