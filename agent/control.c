/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's unix socket (control.h).
 *
 *   READING --line--> (answered at once) --> WRITING --all written--> closed
 *                 `-> WAITING --answer------^
 *                 `-> MONITORING: events are written until the client closes
 */
#include "agent/control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/job.h"
#include "agent/log.h"

/* 12 digits: enough for every number, and 0.67 stays 0.67 */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

#define READING_NS (5 * 1000000000ull)	/* to send the line */
#define WAITING_NS (65 * 1000000000ull) /* for an answer that takes a while */
#define WRITING_NS (20 * 1000000000ull) /* to take the answer */

enum client_state { CLOSED = 0, READING, WAITING, WRITING, MONITORING };

struct client {
	struct dysco_watch watch; /* first; fd -1: closed */
	struct dysco_control *control;
	enum client_state state;
	bool box; /* neither root nor who runs the agent: asks what a box may ask */
	uint64_t deadline_ns;
	size_t in_bytes;
	char *out;
	size_t out_bytes, out_written;
	char in[DYSCO_LINE_BYTES + 1];
};

struct dysco_control {
	struct dysco_watch watch;
	struct dysco_loop *loop;
	struct dysco_agent *agent;
	char path[108];
	struct client clients[DYSCO_CLIENTS_MAX];
};

static void set_state(struct client *c, enum client_state state)
{
	static const uint64_t patience[] = {[READING] = READING_NS,
					    [WAITING] = WAITING_NS,
					    [WRITING] = WRITING_NS,
					    [MONITORING] = 0};

	c->state = state;
	c->deadline_ns = patience[state] ? dysco_now_ns() + patience[state] : UINT64_MAX;
}

static void close_client(struct client *c)
{
	char rest[4096];

	if (c->state == CLOSED) {
		return;
	}
	dysco_trace_forget(c->control->agent, c);
	dysco_reconfig_forget(c->control->agent, c);
	dysco_jobs_forget(c->control->agent, c);
	dysco_late_forget(c->control->agent, c);
	/* unread bytes would make the close a reset, and take the answer with it */
	while (c->state == WRITING && recv(c->watch.fd, rest, sizeof(rest), MSG_DONTWAIT) > 0) {
	}
	dysco_loop_remove(c->control->loop, &c->watch);
	close(c->watch.fd);
	c->watch.fd = -1;
	c->state = CLOSED;
	free(c->out);
	c->out = NULL;
	c->out_bytes = 0;
	c->out_written = 0;
}

static void want(struct client *c)
{
	uint32_t events = c->out_written < c->out_bytes ? EPOLLOUT : 0;

	if (c->state == READING || c->state == MONITORING) {
		events |= EPOLLIN;
	}
	dysco_loop_modify(c->control->loop, &c->watch, events);
}

/* Writes what the socket takes; closes when that was all. */
static void flush(struct client *c)
{
	while (c->out_written < c->out_bytes) {
		ssize_t n = send(c->watch.fd, c->out + c->out_written,
				 c->out_bytes - c->out_written, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			want(c);
			return;
		}
		if (n <= 0) {
			close_client(c);
			return;
		}
		c->out_written += (size_t)n;
	}
	if (c->state == WRITING) {
		close_client(c);
		return;
	}
	c->out_bytes = 0;
	c->out_written = 0;
	want(c);
}

/* Room for n more bytes at c->out + c->out_bytes; false: no memory. */
static bool out_room(struct client *c, size_t n)
{
	char *out;

	if (c->out_written > 0) {
		memmove(c->out, c->out + c->out_written, c->out_bytes - c->out_written);
		c->out_bytes -= c->out_written;
		c->out_written = 0;
	}
	out = realloc(c->out, c->out_bytes + n);
	if (!out) {
		return false;
	}
	c->out = out;
	return true;
}

static bool out_add(struct client *c, const char *text, size_t n)
{
	if (!out_room(c, n + 1)) {
		return false;
	}
	memcpy(c->out + c->out_bytes, text, n);
	c->out[c->out_bytes + n] = '\n';
	c->out_bytes += n + 1;
	return true;
}

static void answer_client(struct client *c, json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_FLAGS) : NULL;

	json_decref(answer);
	set_state(c, WRITING);
	if (!text || !out_add(c, text, strlen(text))) {
		dysco_log(DYSCO_LOG_ERROR, "no memory for an answer");
		close_client(c);
	} else {
		flush(c);
	}
	free(text);
}

static void answer_error(struct client *c, const char *code, const char *message)
{
	struct dysco_conf_error error;

	dysco_conf_fail(&error, code, NULL, "%s", message);
	answer_client(c, dysco_error_json(&error));
}

static void request(struct client *c, size_t bytes)
{
	json_t *answer;

	if (c->box && !dysco_box_may_ask(c->in, bytes)) {
		answer_error(c, "permission",
			     "only root may ask for that; others for what concerns their own box");
		return;
	}
	/* before the request: its answer may come while it is made */
	set_state(c, WAITING);
	switch (dysco_agent_request(c->control->agent, c, c->in, bytes, &answer)) {
	case DYSCO_ANSWER_NOW:
		answer_client(c, answer);
		break;
	case DYSCO_ANSWER_MONITOR:
		set_state(c, MONITORING);
		want(c);
		break;
	case DYSCO_ANSWER_LATER:
		if (c->state == WAITING) {
			want(c);
		}
		break;
	}
}

static void read_line(struct client *c)
{
	ssize_t n =
	    recv(c->watch.fd, c->in + c->in_bytes, sizeof(c->in) - c->in_bytes, MSG_DONTWAIT);
	const char *newline;

	if (n < 0 && errno == EAGAIN) {
		return;
	}
	if (n < 0 || (n == 0 && c->in_bytes == 0)) {
		close_client(c);
		return;
	}
	if (n == 0) {
		/* a statement cut short may mean something else */
		answer_error(c, "syntax", "the request does not end with a newline");
		return;
	}
	newline = memchr(c->in + c->in_bytes, '\n', (size_t)n);
	c->in_bytes += (size_t)n;
	if (newline) {
		request(c, (size_t)(newline - c->in));
	} else if (c->in_bytes == sizeof(c->in)) {
		answer_error(c, "limit", "the request is longer than 16384 bytes");
	}
}

/* A monitoring client has nothing to say: it closes, or is ignored. */
static void read_monitor(struct client *c)
{
	char ignored[1024];
	ssize_t n = recv(c->watch.fd, ignored, sizeof(ignored), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		close_client(c);
	}
}

static void client_ready(struct dysco_watch *watch, uint32_t events)
{
	struct client *c = watch->context;

	if (c->state == READING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		read_line(c);
		return;
	}
	if (c->state == WAITING && (events & (EPOLLHUP | EPOLLERR))) {
		close_client(c);
		return;
	}
	if (c->state == MONITORING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		read_monitor(c);
	}
	if ((c->state == WRITING || c->state == MONITORING) &&
	    (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
		flush(c);
	}
}

static struct client *free_client(struct dysco_control *control)
{
	for (int i = 0; i < DYSCO_CLIENTS_MAX; i++) {
		if (control->clients[i].state == CLOSED) {
			return &control->clients[i];
		}
	}
	return NULL;
}

static void refuse(int fd)
{
	static const char text[] = "{\"error\": {\"code\": \"limit\", \"message\": "
				   "\"too many clients at once\", \"hint\": \"try again\"}}\n";

	(void)!send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static bool is_box(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t bytes = sizeof(peer);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
	return peer.uid != 0 && peer.uid != geteuid();
}

static void accept_client(struct dysco_watch *watch, uint32_t events)
{
	struct dysco_control *control = watch->context;
	struct client *c = free_client(control);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		return;
	}
	if (!c) {
		refuse(fd);
		return;
	}
	c->watch = (struct dysco_watch){.fd = fd, .ready = client_ready, .context = c};
	c->control = control;
	c->box = is_box(fd);
	c->in_bytes = 0;
	set_state(c, READING);
	if (dysco_loop_add(control->loop, &c->watch, EPOLLIN) != 0) {
		close_client(c);
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int wrong;

	if (fd < 0) {
		return -errno;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path); /* of an agent that died: the lock of the state file says that none lives */
	mask = umask(0117);
	wrong = bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ? errno : 0;
	umask(mask);
	if (wrong == 0 && listen(fd, 64) != 0) {
		wrong = errno;
	}
	if (wrong != 0) {
		close(fd);
		return -wrong;
	}
	return fd;
}

struct dysco_control *dysco_control_open(struct dysco_loop *loop, struct dysco_agent *agent,
					 const char *path, struct dysco_conf_error *error)
{
	struct dysco_control *control = calloc(1, sizeof(*control));

	if (!control) {
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return NULL;
	}
	if (strlen(path) >= sizeof(control->path)) {
		dysco_conf_fail(error, "bad_value", NULL, "socket %.200s: the path is too long",
				path);
		free(control);
		return NULL;
	}
	control->loop = loop;
	control->agent = agent;
	snprintf(control->path, sizeof(control->path), "%s", path);
	for (int i = 0; i < DYSCO_CLIENTS_MAX; i++) {
		control->clients[i].watch.fd = -1;
	}
	control->watch =
	    (struct dysco_watch){.fd = listen_at(path), .ready = accept_client, .context = control};
	if (control->watch.fd < 0) {
		dysco_conf_fail(error, "internal", NULL, "socket %s: %s", path,
				strerror(-control->watch.fd));
		free(control);
		return NULL;
	}
	dysco_loop_add(loop, &control->watch, EPOLLIN);
	return control;
}

int dysco_control_group(const struct dysco_control *control, const char *group,
			struct dysco_conf_error *error)
{
	const struct group *found = group[0] ? getgrnam(group) : NULL;
	gid_t gid = found ? found->gr_gid : getegid();

	if (group[0] && !found) {
		return dysco_conf_fail(error, "bad_value", "groupadd --system NAME",
				       "socket: there is no group '%s'", group);
	}
	if (lchown(control->path, (uid_t)-1, gid) != 0) {
		return dysco_conf_fail(error, "internal", NULL, "socket %s: %s", control->path,
				       strerror(errno));
	}
	return 0;
}

void dysco_control_close(struct dysco_control *control)
{
	if (!control) {
		return;
	}
	for (int i = 0; i < DYSCO_CLIENTS_MAX; i++) {
		close_client(&control->clients[i]);
	}
	dysco_loop_remove(control->loop, &control->watch);
	close(control->watch.fd);
	unlink(control->path);
	free(control);
}

void dysco_control_tick(struct dysco_control *control, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];

		if (c->state == CLOSED || now_ns < c->deadline_ns) {
			continue;
		}
		dysco_log(DYSCO_LOG_INFO, "a client of the socket took too long and is dropped");
		close_client(c);
	}
}

bool dysco_control_listening(void *context)
{
	const struct dysco_control *control = context;

	for (int i = 0; i < DYSCO_CLIENTS_MAX; i++) {
		if (control->clients[i].state == MONITORING) {
			return true;
		}
	}
	return false;
}

void dysco_control_event(void *context, const json_t *event)
{
	struct dysco_control *control = context;
	char *text = json_dumps(event, JSON_FLAGS);
	size_t n = text ? strlen(text) : 0;

	for (int i = 0; text && i < DYSCO_CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];

		if (c->state != MONITORING) {
			continue;
		}
		if (c->out_bytes - c->out_written + n > DYSCO_MONITOR_BUFFER_BYTES ||
		    !out_add(c, text, n)) {
			dysco_log(DYSCO_LOG_INFO,
				  "a client that monitors is too slow, and dropped");
			close_client(c);
			continue;
		}
		flush(c);
	}
	free(text);
}

void dysco_control_answer(void *context, void *client, json_t *answer)
{
	(void)context;
	answer_client(client, answer);
}
