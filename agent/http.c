/* SPDX-License-Identifier: BSD-2-Clause */
/* The metrics over HTTP (http.h). */
#include "agent/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/metrics.h"
#include "conf/parse.h"

#define CLIENTS_MAX	16
#define CLIENT_BYTES	16384
#define PATIENCE_S	10
#define ROUNDS_MAX	16 /* of libmicrohttpd, one after the other, before the loop goes on */
#define CONTENT_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct dysco_http {
	struct dysco_watch watch; /* of the epoll descriptor of libmicrohttpd */
	struct dysco_loop *loop;
	struct dysco_agent *agent;
	struct MHD_Daemon *daemon;
	char path[sizeof(((struct dysco_listen *)0)->path)]; /* of a unix socket */
};

/* ---- requests ---- */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status,
			     const char *type, char *text, size_t bytes,
			     enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes, text, mode);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		return MHD_NO;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES) {
		result = MHD_queue_response(connection, status, response);
	}
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned int status, const char *text)
{
	return reply(connection, status, "text/plain", (char *)(uintptr_t)text, strlen(text),
		     MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_bytes, void **seen)
{
	const struct dysco_http *http = context;
	size_t bytes = 0;
	char *text;

	(void)version;
	(void)body;
	if (!*seen) { /* the header has come; the answer waits for the end of the request */
		*seen = connection;
		return MHD_YES;
	}
	if (*body_bytes > 0) {
		*body_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET it\n");
	}
	if (strcmp(url, "/metrics") != 0) {
		return say(connection, MHD_HTTP_NOT_FOUND, "only /metrics is here\n");
	}
	text = dysco_metrics_text(http->agent, &bytes);
	if (!text) {
		return say(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	}
	return reply(connection, MHD_HTTP_OK, CONTENT_METRICS, text, bytes, MHD_RESPMEM_MUST_FREE);
}

/* ---- in the loop ---- */

void dysco_http_tick(struct dysco_http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	int rounds = 0;

	if (!http) {
		return;
	}
	do {
		MHD_run(http->daemon);
	} while (++rounds < ROUNDS_MAX && MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES &&
		 wait_ms == 0);
}

static void ready(struct dysco_watch *watch, uint32_t events)
{
	(void)events;
	dysco_http_tick(watch->context);
}

static void complain(void *context, const char *format, va_list arguments)
{
	char text[256];

	(void)context;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	dysco_log(DYSCO_LOG_DEBUG, "metrics: %s", text);
}

/* ---- listening ---- */

static socklen_t tcp_address(const struct dysco_listen *where, struct sockaddr_storage *out)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = where->port_be};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = where->port_be};

	if (dysco_addr_is_ip4(&where->addr)) {
		memcpy(&in.sin_addr, (const uint8_t *)&where->addr + 12, sizeof(in.sin_addr));
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	memcpy(&in6.sin6_addr, &where->addr, sizeof(in6.sin6_addr));
	memcpy(out, &in6, sizeof(in6));
	return sizeof(in6);
}

static socklen_t unix_address(const struct dysco_listen *where, struct sockaddr_storage *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", where->path);
	memcpy(out, &address, sizeof(address));
	return sizeof(address);
}

/* Takes away what an agent that died has left there, and nothing else. */
static void unlink_socket(const char *path)
{
	struct stat st;

	if (path[0] != '\0' && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		unlink(path);
	}
}

static int listen_at(const struct dysco_listen *where)
{
	struct sockaddr_storage address = {0};
	bool local = where->path[0] != '\0';
	socklen_t bytes = local ? unix_address(where, &address) : tcp_address(where, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, wrong = 0;
	mode_t mask;

	if (fd < 0) {
		return -errno;
	}
	unlink_socket(where->path);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	mask = umask(0117);
	if (bind(fd, (const struct sockaddr *)&address, bytes) != 0 ||
	    listen(fd, CLIENTS_MAX) != 0) {
		wrong = -errno;
	}
	umask(mask);
	if (wrong != 0) {
		close(fd);
		return wrong;
	}
	return fd;
}

static void listen_text(char out[128], const struct dysco_listen *where)
{
	char text[DYSCO_ENDPOINT_TEXT];

	dysco_format_endpoint(text, &where->addr, where->port_be);
	snprintf(out, 128, "%s", where->path[0] != '\0' ? where->path : text);
}

/* Takes over fd. */
static int start(struct dysco_http *http, int fd)
{
	const union MHD_DaemonInfo *info;

	http->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer, http,
	    MHD_OPTION_EXTERNAL_LOGGER, complain, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned int)PATIENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_BYTES,
	    MHD_OPTION_END);
	if (!http->daemon) {
		close(fd);
		return -1;
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info) {
		return -1;
	}
	http->watch = (struct dysco_watch){.fd = info->listen_fd, .ready = ready, .context = http};
	return dysco_loop_add(http->loop, &http->watch, EPOLLIN);
}

int dysco_http_open(struct dysco_http **http, struct dysco_loop *loop, struct dysco_agent *agent,
		    const struct dysco_listen *where, struct dysco_conf_error *error)
{
	struct dysco_http *h;
	char text[128];
	int fd;

	*http = NULL;
	if (!where->on) {
		return 0;
	}
	listen_text(text, where);
	fd = listen_at(where);
	if (fd < 0) {
		return dysco_conf_fail(error, "bad_value", "ss -ltnp", "metrics: %s: %s", text,
				       strerror(-fd));
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		close(fd);
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	h->loop = loop;
	h->agent = agent;
	h->watch.fd = -1;
	snprintf(h->path, sizeof(h->path), "%s", where->path);
	if (start(h, fd) != 0) {
		dysco_http_close(h);
		return dysco_conf_fail(error, "internal", NULL, "metrics: %s: cannot serve HTTP",
				       text);
	}
	*http = h;
	return 0;
}

void dysco_http_close(struct dysco_http *http)
{
	if (!http) {
		return;
	}
	if (http->watch.fd >= 0) {
		dysco_loop_remove(http->loop, &http->watch);
	}
	if (http->daemon) {
		MHD_stop_daemon(http->daemon);
	}
	unlink_socket(http->path);
	free(http);
}
