/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dyscod, the agent: options, start, loop, end. What it does is in agent.h.
 *
 * On SIGTERM attachments and sessions stay in force: only the agent's part
 * (new sessions) stops. `dysco detach` or `dyscod --wipe` take them away.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/http.h"
#include "agent/log.h"
#include "agent/state.h"
#include "agent/urgent.h"

#define DEFAULT_CONFIG "/etc/dysco/dysco.conf"
#define DEFAULT_SOCKET "/run/dysco/dysco.sock"
#define DEFAULT_PIN    "/sys/fs/bpf/dysco"
#define TICK_NS	       100000000
#define BUDGET	       256 /* packets between two looks at everything else */
#define DATAPATH_FDS   1024

struct options {
	const char *config, *socket, *pin;
	bool config_given, test, wipe;
};

struct daemon {
	struct options options;
	struct dysco_agent agent;
	struct dysco_state state;
	struct dysco_loop loop;
	struct dysco_control *control;
	struct dysco_http *http;
	struct dysco_watch signals, timer, moment, datapath;
};

static void usage(FILE *file)
{
	fputs("usage: dyscod [-f] [-c FILE] [-s SOCKET] [-p PINDIR]\n"
	      "       dyscod -t [-c FILE]\n"
	      "       dyscod --wipe [-s SOCKET] [-p PINDIR]\n"
	      "\n"
	      "The Dysco agent. Runs in the foreground.\n"
	      "\n"
	      "  -c, --config FILE    configuration (" DEFAULT_CONFIG ")\n"
	      "  -s, --socket SOCKET  where `dysco` finds the agent (" DEFAULT_SOCKET ")\n"
	      "  -p, --pin PINDIR     where sessions outlive it (" DEFAULT_PIN ")\n"
	      "  -f, --foreground     the default\n"
	      "  -t, --test           check the configuration and exit\n"
	      "      --wipe           remove all attachments and sessions, and exit\n"
	      "  -v, --version        print the version and exit\n"
	      "  -h, --help           print this and exit\n",
	      file);
}

/* 0: go on; else the exit code + 1. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"socket", required_argument, NULL, 's'},
					      {"pin", required_argument, NULL, 'p'},
					      {"foreground", no_argument, NULL, 'f'},
					      {"test", no_argument, NULL, 't'},
					      {"wipe", no_argument, NULL, 'w'},
					      {"version", no_argument, NULL, 'v'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int c;

	*o = (struct options){
	    .config = DEFAULT_CONFIG, .socket = DEFAULT_SOCKET, .pin = DEFAULT_PIN};
	while ((c = getopt_long(argc, argv, "c:s:p:ftvh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			o->config_given = true;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'p':
			o->pin = optarg;
			break;
		case 'f':
			break;
		case 't':
			o->test = true;
			break;
		case 'w':
			o->wipe = true;
			break;
		case 'v':
			puts("dyscod " DYSCO_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return 3;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 3;
	}
	return 0;
}

static int fail(const struct dysco_conf_error *error)
{
	dysco_log(DYSCO_LOG_ERROR, "%s%s%s", error->message, error->hint[0] ? "; " : "",
		  error->hint);
	return -1;
}

/* The name by which other agents' operators know this one. */
static void default_agent_name(struct dysco_config *config)
{
	char name[256] = "";

	if (config->setup.agent[0] != '\0') {
		return;
	}
	gethostname(name, sizeof(name) - 1);
	snprintf(config->setup.agent, sizeof(config->setup.agent), "%.31s",
		 name[0] ? name : "dyscod");
}

static void check_mode(const struct dysco_config *config, const char *path)
{
	struct stat st;

	if (config->key_inside && stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0) {
		dysco_log(DYSCO_LOG_WARN,
			  "%s contains a key, and others can read it: chmod 640 the file", path);
	}
}

/* The configuration file, checked; NULL when it is refused, which is logged. */
static struct dysco_config *load_config(const struct options *o, struct dysco_ids *ids)
{
	struct dysco_config *config = dysco_config_new(ids);
	struct dysco_conf_error error;
	size_t bytes = 0;
	char *text = dysco_read_file(o->config, &bytes);
	int result = 0;

	if (!config || (!text && (errno != ENOENT || o->config_given))) {
		dysco_log(DYSCO_LOG_ERROR, "%s: %s", o->config, strerror(errno));
		free(text);
		dysco_config_free(config);
		return NULL;
	}
	if (text) {
		result = dysco_config_read(config, o->config, text, bytes, &error);
		explicit_bzero(text, bytes);
		free(text);
	} else {
		dysco_log(DYSCO_LOG_INFO, "%s is not there: starting without", o->config);
	}
	if (result != 0) {
		fail(&error);
		dysco_config_free(config);
		return NULL;
	}
	check_mode(config, o->config);
	default_agent_name(config);
	return config;
}

static int test_config(const struct options *o)
{
	struct dysco_ids *ids = calloc(1, sizeof(*ids));
	struct dysco_config *config = ids ? load_config(o, ids) : NULL;
	bool good = config != NULL;

	if (good) {
		printf("%s: good: %u hosts, %u attachments, %u boxes, %u policies\n", o->config,
		       (unsigned int)config->setup.n_hosts, (unsigned int)config->n_attachments,
		       (unsigned int)config->setup.n_boxes, (unsigned int)config->setup.n_policies);
	}
	dysco_config_free(config);
	free(ids);
	return good ? 0 : 1;
}

/* READY=1 and the like, if a service manager listens (sd_notify(3)). */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t bytes;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(address.sun_path)) {
		return;
	}
	memcpy(address.sun_path, path, strlen(path));
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@') {
		address.sun_path[0] = '\0';
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL,
			      (const struct sockaddr *)&address, bytes);
		close(fd);
	}
}

static bool listens_alike(const struct dysco_listen *a, const struct dysco_listen *b)
{
	return a->on == b->on && dysco_addr_equal(&a->addr, &b->addr) && a->port_be == b->port_be &&
	       strcmp(a->path, b->path) == 0;
}

/* In force as a whole, or not at all. */
static int take_config(struct daemon *d, struct dysco_config *base, struct dysco_conf_error *error)
{
	bool moves = !listens_alike(&base->metrics, &d->agent.config->metrics);
	struct dysco_http *http = NULL;
	struct dysco_conf_error ignored;

	if (dysco_control_group(d->control, base->socket_group, error) != 0) {
		return -1;
	}
	if ((moves && dysco_http_open(&http, &d->loop, &d->agent, &base->metrics, error) != 0) ||
	    dysco_agent_reload(&d->agent, base, error) != 0) {
		dysco_http_close(http);
		dysco_control_group(d->control, d->agent.config->socket_group, &ignored);
		return -1;
	}
	if (moves) {
		dysco_http_close(d->http);
		d->http = http;
	}
	return 0;
}

static void reload(struct daemon *d)
{
	struct dysco_config *base = load_config(&d->options, d->agent.ids);
	struct dysco_conf_error error;

	if (!base) {
		dysco_log(DYSCO_LOG_ERROR, "the configuration in force stays");
	} else if (take_config(d, base, &error) != 0) {
		fail(&error);
		dysco_log(DYSCO_LOG_ERROR, "the configuration in force stays");
		dysco_config_free(base);
	} else {
		dysco_log(DYSCO_LOG_INFO, "configuration reloaded");
	}
}

static void signal_ready(struct dysco_watch *watch, uint32_t events)
{
	struct daemon *d = watch->context;
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
		return;
	}
	if (info.ssi_signo == SIGHUP) {
		reload(d);
	} else {
		d->loop.stop = true;
	}
}

static void store_if_changed(struct daemon *d)
{
	if (d->agent.state_changed || d->state.ids->changed || d->state.machine->changed) {
		d->agent.state_changed = false;
		dysco_state_store(&d->state);
	}
}

static void timer_ready(struct dysco_watch *watch, uint32_t events)
{
	struct daemon *d = watch->context;
	uint64_t now_ns = dysco_now_ns(), expirations;

	(void)events;
	if (read(watch->fd, &expirations, sizeof(expirations)) < 0) {
		return;
	}
	dysco_urgent_tick(now_ns);
	dysco_agent_tick(&d->agent, now_ns);
	dysco_control_tick(d->control, now_ns);
	dysco_http_tick(d->http);
	store_if_changed(d);
}

static void moment_is_over(struct dysco_watch *watch, uint32_t events)
{
	struct daemon *d = watch->context;
	uint64_t expirations;

	(void)events;
	if (read(watch->fd, &expirations, sizeof(expirations)) > 0) {
		dysco_hold_retry(&d->agent, dysco_now_ns());
	}
}

static void datapath_ready(struct dysco_watch *watch, uint32_t events)
{
	struct daemon *d = watch->context;

	(void)events;
	/* level-triggered: what is left over wakes the loop again */
	if (dysco_agent_receive(&d->agent, BUDGET)) {
		dysco_urgent_flooded(dysco_now_ns());
	}
}

/* The datapath's descriptors change with attachments: an epoll of their own holds them. */
static void watch_datapath(void *context)
{
	struct daemon *d = context;
	struct epoll_event event = {.events = EPOLLIN};
	uint32_t n = DATAPATH_FDS;
	int fds[DATAPATH_FDS];

	if (d->datapath.fd >= 0) {
		dysco_loop_remove(&d->loop, &d->datapath);
		close(d->datapath.fd);
	}
	d->datapath.fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->datapath.fd < 0 || d->agent.dp.ops->poll_fds(&d->agent.dp, fds, &n) != 0) {
		dysco_log(DYSCO_LOG_ERROR, "cannot watch the datapath: %s", d->agent.dp.error);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		epoll_ctl(d->datapath.fd, EPOLL_CTL_ADD, fds[i], &event);
	}
	dysco_loop_add(&d->loop, &d->datapath, EPOLLIN);
}

static bool listening(void *context)
{
	const struct daemon *d = context;

	return dysco_control_listening(d->control);
}

static void event(void *context, const json_t *json)
{
	const struct daemon *d = context;

	dysco_control_event(d->control, json);
}

static void answer(void *context, void *client, json_t *json)
{
	const struct daemon *d = context;

	dysco_control_answer(d->control, client, json);
}

static void store(void *context)
{
	struct daemon *d = context;

	dysco_state_store(&d->state);
}

static void wait_a_moment(void *context, uint64_t ns)
{
	struct daemon *d = context;
	struct itimerspec once = {{0, 0}, {0, (long)ns}}, running;

	if (timerfd_gettime(d->moment.fd, &running) == 0 && running.it_value.tv_nsec == 0) {
		timerfd_settime(d->moment.fd, 0, &once, NULL);
	}
}

static int make_timer(struct dysco_watch *watch)
{
	watch->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return watch->fd;
}

/* Signals and time become readable; 0 or -1. */
static int watch_signals_and_time(struct daemon *d)
{
	struct itimerspec interval = {{0, TICK_NS}, {0, TICK_NS}};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signals = (struct dysco_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
					  .ready = signal_ready,
					  .context = d};
	d->timer = (struct dysco_watch){.ready = timer_ready, .context = d};
	d->moment = (struct dysco_watch){.ready = moment_is_over, .context = d, .urgent = true};
	if (d->signals.fd < 0 || make_timer(&d->timer) < 0 || make_timer(&d->moment) < 0 ||
	    timerfd_settime(d->timer.fd, 0, &interval, NULL) != 0 ||
	    dysco_loop_add(&d->loop, &d->signals, EPOLLIN) != 0 ||
	    dysco_loop_add(&d->loop, &d->timer, EPOLLIN) != 0 ||
	    dysco_loop_add(&d->loop, &d->moment, EPOLLIN) != 0) {
		dysco_log(DYSCO_LOG_ERROR, "cannot watch signals and time: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int make_seed(struct dysco_core_seed *seed)
{
	struct timespec now;

	memset(seed, 0, sizeof(*seed));
	if (getrandom(seed->secret, sizeof(seed->secret), 0) != (ssize_t)sizeof(seed->secret) ||
	    getrandom(&seed->sender, sizeof(seed->sender), 0) != (ssize_t)sizeof(seed->sender)) {
		dysco_log(DYSCO_LOG_ERROR, "no random numbers: %s", strerror(errno));
		return -1;
	}
	seed->sender |= 1;
	clock_gettime(CLOCK_REALTIME, &now);
	seed->counter = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
	return 0;
}

/* What both the agent and --wipe need: lock, state, an agent struct over them. */
static int prepare(struct daemon *d)
{
	struct dysco_conf_error error;

	d->state.ids = calloc(1, sizeof(*d->state.ids));
	d->state.journal = calloc(1, sizeof(*d->state.journal));
	d->state.machine = dysco_machine_new();
	if (!d->state.ids || !d->state.journal || !d->state.machine) {
		dysco_log(DYSCO_LOG_ERROR, "out of memory");
		return -1;
	}
	if (dysco_state_open(&d->state, d->options.socket, &error) != 0) {
		return fail(&error);
	}
	d->agent.ids = d->state.ids;
	d->agent.journal = d->state.journal;
	d->agent.system = &d->state.machine->system;
	d->agent.pin = d->options.pin;
	d->agent.dp.ops = &dysco_datapath_bpf;
	return 0;
}

static int wipe(struct daemon *d)
{
	struct dysco_machine *machine = d->state.machine;
	struct dysco_datapath *dp = &d->agent.dp;
	int wrong = dp->ops->open(dp, d->options.pin, DYSCO_LEGS_DEFAULT);

	if (wrong == -EBUSY) {
		dysco_log(DYSCO_LOG_ERROR, "%s", dp->error);
		return -1;
	}
	if (wrong != 0) {
		dysco_log(DYSCO_LOG_INFO, "%s", dp->error);
	}
	for (uint16_t id = 1; id < DYSCO_ATTACHMENTS_MAX; id++) {
		const struct dysco_id_attachment *known = &d->state.ids->attachments[id];
		struct dysco_attachment a = {.id = id};

		if (known->id != 0) {
			a.mode = known->port ? DYSCO_ATTACH_PORT : DYSCO_ATTACH_NIC;
			snprintf(a.ifname, sizeof(a.ifname), "%s", known->ifname);
			snprintf(a.netns, sizeof(a.netns), "%s", known->netns);
			dp->ops->detach(dp, &a);
		}
	}
	for (uint32_t i = 0; i < machine->count; i++) {
		machine->system.ports_release(machine, machine->netns[i].name);
	}
	if (dp->ops->wipe(dp) != 0) {
		dysco_log(DYSCO_LOG_ERROR, "%s", dp->error);
		return -1;
	}
	dysco_state_remove(&d->state);
	return 0;
}

static int start(struct daemon *d)
{
	struct dysco_config *config = load_config(&d->options, d->state.ids);
	struct dysco_conf_error error;
	struct dysco_core_seed seed;

	if (!config || make_seed(&seed) != 0) {
		dysco_config_free(config);
		return -1;
	}
	if (d->agent.dp.ops->open(&d->agent.dp, d->options.pin, config->legs) != 0) {
		dysco_log(DYSCO_LOG_ERROR, "%s", d->agent.dp.error);
		dysco_config_free(config);
		return -1;
	}
	d->control = dysco_control_open(&d->loop, &d->agent, d->options.socket, &error);
	if (!d->control || dysco_control_group(d->control, config->socket_group, &error) != 0 ||
	    dysco_http_open(&d->http, &d->loop, &d->agent, &config->metrics, &error) != 0) {
		dysco_config_free(config);
		return fail(&error);
	}
	d->agent.hooks = (struct dysco_agent_hooks){
	    d, listening, event, answer, watch_datapath, store, wait_a_moment};
	if (dysco_agent_start(&d->agent, config, &seed, &error) != 0) {
		return fail(&error);
	}
	return dysco_fault_start(&d->agent);
}

static int serve(struct daemon *d)
{
	int result = -1;

	if (start(d) == 0) {
		store_if_changed(d);
		dysco_log(DYSCO_LOG_INFO, "dyscod %s: %u attachments, %u policies, %u sessions",
			  DYSCO_VERSION, (unsigned int)d->agent.config->n_attachments,
			  (unsigned int)d->agent.config->setup.n_policies,
			  (unsigned int)d->agent.core.live_legs);
		notify("READY=1");
		result = dysco_loop_run(&d->loop);
		notify("STOPPING=1");
		store_if_changed(d);
	}
	dysco_http_close(d->http);
	dysco_control_close(d->control);
	return result;
}

static int run(struct daemon *d)
{
	int result = -1;

	d->datapath.fd = -1;
	d->datapath.ready = datapath_ready;
	d->datapath.context = d;
	d->datapath.urgent = true;
	if (prepare(d) == 0) {
		if (d->options.wipe) {
			result = wipe(d);
		} else if (dysco_loop_open(&d->loop) == 0 && watch_signals_and_time(d) == 0) {
			result = serve(d);
		}
	}
	if (d->agent.dp.provider) {
		d->agent.dp.ops->close(&d->agent.dp);
	}
	dysco_agent_stop(&d->agent);
	dysco_machine_free(d->state.machine);
	return result == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options options;
	struct daemon *d;
	int result = parse_options(&options, argc, argv);

	if (result != 0) {
		return result - 1;
	}
	dysco_log_open();
	if (options.test) {
		return test_config(&options);
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		return 1;
	}
	d->options = options;
	result = run(d);
	free(d);
	return result;
}
