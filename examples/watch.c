/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A middlebox that leaves sessions it has seen enough of: it watches an
 * interface that shows whole sessions (the mirror of an attachment, or the link
 * of a box whose host has its agent elsewhere), and asks by libdysco to be left
 * out of each session after so many bytes of payload, as an intrusion detection
 * system does that looks at the beginning of streams only.
 *
 *	dysco-watch -i ids0 -n 1000000 [-s SOCKET] [-H BOX]
 *
 * It says a line for each answer. A session whose removal was refused is asked
 * for again after as many bytes more.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dysco/dysco.h"

#define SESSIONS 256
#define ROOM	 (8 << 20) /* bytes of packets that wait */

struct watched {
	bool used;
	struct dysco_session session;
	unsigned long long seen, asked_at; /* bytes of payload */
	struct dysco_request *request;	   /* under way */
};

struct watch {
	struct dysco_options options;
	unsigned long long enough;
	int packets;
	struct watched sessions[SESSIONS];
};

/* ---- packets ---- */

struct segment {
	struct dysco_session session;
	size_t payload_bytes;
};

static bool tcp_segment(const uint8_t *tcp, size_t bytes, in_port_t *sport_be, in_port_t *dport_be,
			size_t *payload_bytes)
{
	struct tcphdr header;

	if (bytes < sizeof(header)) {
		return false;
	}
	memcpy(&header, tcp, sizeof(header));
	if (header.doff < 5 || bytes < header.doff * 4u) {
		return false;
	}
	*sport_be = header.th_sport;
	*dport_be = header.th_dport;
	*payload_bytes = bytes - header.doff * 4u;
	return true;
}

static bool parse_ip4(const uint8_t *packet, size_t bytes, struct segment *segment)
{
	struct sockaddr_in src = {.sin_family = AF_INET}, dst = {.sin_family = AF_INET};
	struct iphdr ip;
	size_t total;

	if (bytes < sizeof(ip)) {
		return false;
	}
	memcpy(&ip, packet, sizeof(ip));
	total = ntohs(ip.tot_len);
	if (ip.protocol != IPPROTO_TCP || ip.ihl < 5 || (ip.frag_off & htons(0x3fff)) != 0 ||
	    total < ip.ihl * 4u || bytes < total) {
		return false;
	}
	src.sin_addr.s_addr = ip.saddr;
	dst.sin_addr.s_addr = ip.daddr;
	return tcp_segment(packet + ip.ihl * 4u, total - ip.ihl * 4u, &src.sin_port, &dst.sin_port,
			   &segment->payload_bytes) &&
	       dysco_session_set(&segment->session, (const struct sockaddr *)&src,
				 (const struct sockaddr *)&dst) == 0;
}

static bool parse_ip6(const uint8_t *packet, size_t bytes, struct segment *segment)
{
	struct sockaddr_in6 src = {.sin6_family = AF_INET6}, dst = {.sin6_family = AF_INET6};
	struct ip6_hdr ip;

	if (bytes < sizeof(ip)) {
		return false;
	}
	memcpy(&ip, packet, sizeof(ip));
	if (ip.ip6_nxt != IPPROTO_TCP || bytes - sizeof(ip) < ntohs(ip.ip6_plen)) {
		return false;
	}
	src.sin6_addr = ip.ip6_src;
	dst.sin6_addr = ip.ip6_dst;
	return tcp_segment(packet + sizeof(ip), ntohs(ip.ip6_plen), &src.sin6_port, &dst.sin6_port,
			   &segment->payload_bytes) &&
	       dysco_session_set(&segment->session, (const struct sockaddr *)&src,
				 (const struct sockaddr *)&dst) == 0;
}

static bool parse(const uint8_t *packet, size_t bytes, struct segment *segment)
{
	if (bytes == 0) {
		return false;
	}
	return packet[0] >> 4 == 4 ? parse_ip4(packet, bytes, segment)
				   : packet[0] >> 4 == 6 && parse_ip6(packet, bytes, segment);
}

/* ---- sessions ---- */

static bool is_session(const struct watched *w, const struct dysco_session *session)
{
	const size_t bytes = sizeof(session->src);
	const struct dysco_session *own = &w->session;

	return w->used && ((memcmp(&own->src, &session->src, bytes) == 0 &&
			    memcmp(&own->dst, &session->dst, bytes) == 0) ||
			   (memcmp(&own->src, &session->dst, bytes) == 0 &&
			    memcmp(&own->dst, &session->src, bytes) == 0));
}

/* The session's place; NULL: all are taken, it is not watched. */
static struct watched *find(struct watch *watch, const struct dysco_session *session)
{
	struct watched *empty = NULL;

	for (size_t i = 0; i < SESSIONS; i++) {
		struct watched *w = &watch->sessions[i];

		if (is_session(w, session)) {
			return w;
		}
		empty = !empty && !w->used ? w : empty;
	}
	if (empty) {
		*empty = (struct watched){.used = true, .session = *session};
	}
	return empty;
}

static void say(const struct watched *w, const char *what, const char *why)
{
	char session[DYSCO_SESSION_TEXT];

	dysco_session_format(&w->session, session, sizeof(session));
	printf("%s %s bytes %llu %s\n", what, session, w->seen, why);
	fflush(stdout);
}

static void ask(const struct watch *watch, struct watched *w)
{
	int error = dysco_remove_self_start(&w->request, &watch->options, &w->session);

	w->asked_at = w->seen;
	if (error != 0) {
		say(w, "failed", strerror(-error));
	}
}

static void take_answer(struct watched *w)
{
	struct dysco_result result;
	char text[sizeof(result.cause) + sizeof(result.message) + 16];

	if (dysco_request_result(w->request, &result) == -EAGAIN) {
		return;
	}
	dysco_request_free(w->request);
	w->request = NULL;
	if (result.error == 0) {
		snprintf(text, sizeof(text), "took_us %llu", (unsigned long long)result.took_us);
		say(w, "left", text);
		w->used = false;
	} else {
		snprintf(text, sizeof(text), "cause %s: %s", result.cause, result.message);
		say(w, "refused", text);
	}
}

static void take_packet(struct watch *watch)
{
	static uint8_t packet[65536];
	struct segment segment;
	ssize_t bytes = recv(watch->packets, packet, sizeof(packet), MSG_DONTWAIT);
	struct watched *w;

	if (bytes <= 0 || !parse(packet, (size_t)bytes, &segment)) {
		return;
	}
	w = find(watch, &segment.session);
	if (w) {
		w->seen += segment.payload_bytes;
		if (!w->request && w->seen - w->asked_at >= watch->enough) {
			ask(watch, w);
		}
	}
}

/* ---- main ---- */

static int open_packets(const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int room = ROOM;

	if (address.sll_ifindex == 0 || fd < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		fprintf(stderr, "dysco-watch: %s: %s\n", interface, strerror(errno));
		exit(1);
	}
	/* What finds no room while this program waits for a CPU is not seen. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static void run(struct watch *watch)
{
	struct pollfd fds[1 + SESSIONS];

	for (;;) {
		fds[0] = (struct pollfd){.fd = watch->packets, .events = POLLIN};
		for (size_t i = 0; i < SESSIONS; i++) {
			const struct dysco_request *request = watch->sessions[i].request;

			fds[1 + i] = (struct pollfd){.fd = request ? dysco_request_fd(request) : -1,
						     .events = POLLIN};
		}
		if (poll(fds, 1 + SESSIONS, -1) < 0) {
			return;
		}
		for (size_t i = 0; i < SESSIONS; i++) {
			if (fds[1 + i].revents != 0) {
				take_answer(&watch->sessions[i]);
			}
		}
		if (fds[0].revents != 0) {
			take_packet(watch);
		}
	}
}

static int usage(void)
{
	fputs("usage: dysco-watch -i INTERFACE -n BYTES [-s SOCKET] [-H BOX]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct watch watch;
	const char *interface = NULL;
	int c;

	while ((c = getopt(argc, argv, "i:n:s:H:")) != -1) {
		switch (c) {
		case 'i':
			interface = optarg;
			break;
		case 'n':
			watch.enough = strtoull(optarg, NULL, 10);
			break;
		case 's':
			watch.options.socket = optarg;
			break;
		case 'H':
			watch.options.host = optarg;
			break;
		default:
			return usage();
		}
	}
	if (!interface || watch.enough == 0 || optind < argc) {
		return usage();
	}
	watch.packets = open_packets(interface);
	printf("watching %s\n", interface);
	fflush(stdout);
	run(&watch);
	return 1;
}
