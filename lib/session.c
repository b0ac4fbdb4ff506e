/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of sessions: five-tuples as a box's program has them (dysco.h). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/internal.h"

#define ENDPOINT_TEXT (INET6_ADDRSTRLEN + 8) /* "[" address "]:" port */

static size_t length_of(const struct sockaddr *address)
{
	switch (address->sa_family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	default:
		return 0;
	}
}

/* A socket of both families has IPv4 peers as ::ffff:a.b.c.d; packets know only a.b.c.d. */
static void unmap(struct sockaddr_storage *address)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (address->ss_family != AF_INET6) {
		return;
	}
	memcpy(&in6, address, sizeof(in6));
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		in.sin_port = in6.sin6_port;
		memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + 12, sizeof(in.sin_addr));
		memset(address, 0, sizeof(*address));
		memcpy(address, &in, sizeof(in));
	}
}

int dysco_session_set(struct dysco_session *session, const struct sockaddr *src,
		      const struct sockaddr *dst)
{
	struct dysco_session fresh;

	if (!session || !src || !dst || length_of(src) == 0 || length_of(dst) == 0) {
		return -EINVAL;
	}
	memset(&fresh, 0, sizeof(fresh));
	memcpy(&fresh.src, src, length_of(src));
	memcpy(&fresh.dst, dst, length_of(dst));
	unmap(&fresh.src);
	unmap(&fresh.dst);
	if (fresh.src.ss_family != fresh.dst.ss_family) {
		return -EINVAL;
	}
	*session = fresh;
	return 0;
}

int dysco_session_of_socket(struct dysco_session *session, int fd)
{
	struct sockaddr_storage own = {0}, peer = {0};
	socklen_t own_bytes = sizeof(own), peer_bytes = sizeof(peer);

	if (getsockname(fd, (struct sockaddr *)&own, &own_bytes) != 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) != 0) {
		return -errno;
	}
	return dysco_session_set(session, (const struct sockaddr *)&peer,
				 (const struct sockaddr *)&own);
}

/* ---- text ---- */

static bool parse_port(const char *text, in_port_t *port_be)
{
	unsigned int port = 0;

	if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text)) {
		return false;
	}
	port = (unsigned int)strtoul(text, NULL, 10);
	*port_be = htons((uint16_t)port);
	return port > 0 && port <= UINT16_MAX;
}

static bool parse_ip4(const char *host, const char *port, struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (inet_pton(AF_INET, host, &in.sin_addr) != 1 || !parse_port(port, &in.sin_port)) {
		return false;
	}
	memcpy(out, &in, sizeof(in));
	return true;
}

static bool parse_ip6(const char *host, const char *port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1 || !parse_port(port, &in6.sin6_port)) {
		return false;
	}
	memcpy(out, &in6, sizeof(in6));
	return true;
}

static bool parse_endpoint(const char *text, struct sockaddr_storage *out)
{
	char copy[ENDPOINT_TEXT];
	char *colon, *last;

	memset(out, 0, sizeof(*out));
	if (!text || strlen(text) >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, strlen(text) + 1);
	colon = strrchr(copy, ':');
	if (!colon || colon == copy) {
		return false;
	}
	*colon = '\0';
	last = colon - 1;
	if (copy[0] == '[' && *last == ']') {
		*last = '\0';
		return parse_ip6(copy + 1, colon + 1, out);
	}
	return parse_ip4(copy, colon + 1, out);
}

int dysco_session_parse(struct dysco_session *session, const char *src, const char *dst)
{
	struct sockaddr_storage from, to;

	if (!parse_endpoint(src, &from) || !parse_endpoint(dst, &to)) {
		return -EINVAL;
	}
	return dysco_session_set(session, (const struct sockaddr *)&from,
				 (const struct sockaddr *)&to);
}

static bool format_endpoint(const struct sockaddr_storage *address, char text[ENDPOINT_TEXT])
{
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (address->ss_family == AF_INET) {
		memcpy(&in, address, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
		snprintf(text, ENDPOINT_TEXT, "%s:%u", host, (unsigned int)ntohs(in.sin_port));
		return true;
	}
	if (address->ss_family == AF_INET6) {
		memcpy(&in6, address, sizeof(in6));
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
		snprintf(text, ENDPOINT_TEXT, "[%s]:%u", host, (unsigned int)ntohs(in6.sin6_port));
		return true;
	}
	return false;
}

int dysco_session_format(const struct dysco_session *session, char *text, size_t bytes)
{
	char src[ENDPOINT_TEXT], dst[ENDPOINT_TEXT];

	if (!session || session->src.ss_family != session->dst.ss_family ||
	    !format_endpoint(&session->src, src) || !format_endpoint(&session->dst, dst) ||
	    strlen(src) + strlen(dst) + 2 > bytes) {
		return -EINVAL;
	}
	snprintf(text, bytes, "%s %s", src, dst);
	return 0;
}
