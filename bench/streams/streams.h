/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of `streams` (streams.c) share. */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX	 10000
#define DESTINATIONS_MAX 8
#define CHUNK_BYTES	 65536
#define SECOND_NS	 1000000000ull

enum { CLIENT, SERVER };

struct options {
	unsigned int connections;
	uint64_t rate_bytes;   /* a second, each way, 0: as fast as it goes */
	uint64_t stream_bytes; /* each way at most, 0: until the end */
	uint64_t pause_ns;     /* average between bursts, 0: none */
	uint64_t seconds, patience_s, sample_ms, seed;
	uint16_t port;
	const char *source;
};

struct connection;

struct end {
	struct connection *connection;
	int fd;				/* -1: not there */
	uint64_t total, sent, received; /* bytes */
	uint64_t burst_end;		/* sent, when the next pause comes */
	uint64_t resume_ns;		/* 0: not pausing */
	uint64_t moved_ns;		/* when something was received last */
	uint64_t stall_ns;		/* longest time without, in this sample */
	bool shut, ended;		/* own FIN is out, the peer's has come */
};

struct connection {
	uint64_t id;
	bool used, up;
	uint16_t source_port_be;
	unsigned int destination;
	uint64_t moved_ns;
	struct end ends[2];
};

struct count {
	uint64_t opened, closed, lost, wrong; /* connections */
	uint64_t sent, received;	      /* bytes */
};

extern struct options options;
extern struct connection connections[CONNECTIONS_MAX];
extern struct sockaddr_storage destinations[DESTINATIONS_MAX];
extern int listeners[DESTINATIONS_MAX];
extern unsigned int n_destinations;
extern int client_netns, server_netns, poller;
extern struct count count;

/* ---- streams.c ---- */
_Noreturn void die(const char *what);
uint64_t now_ns(void);

/* ---- content.c ---- */
void random_begin(uint64_t seed);
uint64_t random_below(uint64_t n);
/* n bytes, CHUNK_BYTES at most, at this place of the stream that this end sends; until the next
 * call. */
const uint8_t *content(const struct end *e, uint64_t at, size_t n);

/* ---- socket.c ---- */
/* Of a word without port; ends the program when it is none. */
struct sockaddr_storage address(const char *word);
socklen_t length_of(const struct sockaddr_storage *a);
in_port_t *port_of(struct sockaddr_storage *a);
const void *address_of(const struct sockaddr_storage *a);
int netns(const char *name);
/* Not blocking; stays in the namespace. */
int tcp_socket(const struct sockaddr_storage *a, int netns);
void listen_at(unsigned int destination);

/* ---- connection.c ---- */
void connection_open(struct connection *c);
void connection_accept(unsigned int destination);
void connection_lost(struct connection *c, const char *what, int error);
void end_ready(struct end *e, uint32_t events, uint64_t now);
/* A pause that is over. */
void end_resume(struct end *e, uint64_t now);
/* What has been sent is all there is. */
void end_stop(struct end *e);

#endif
