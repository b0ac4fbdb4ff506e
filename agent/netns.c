/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network namespaces and what is in them (netns.h).
 */
#include "agent/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_NETNS      "/proc/thread-self/ns/net"
#define RESERVED_PORTS "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define RESERVED_BYTES 65536 /* the kernel cuts longer lists itself */

static void path_of(const char *name, char path[128])
{
	if (name[0] == '\0') {
		snprintf(path, 128, "%s", OWN_NETNS);
	} else if (name[0] == '/') {
		snprintf(path, 128, "%s", name);
	} else {
		snprintf(path, 128, "/run/netns/%s", name);
	}
}

/* Runs `run` inside the namespace; what it returns, or why it could not. */
static int inside(const char *name, int (*run)(void *context), void *context)
{
	int own, other, result;
	char path[128];

	path_of(name, path);
	if (name[0] == '\0') {
		return run(context);
	}
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (other < 0) {
		return errno == ENOTDIR ? -ENOENT : -errno;
	}
	own = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(other, CLONE_NEWNET) != 0) {
		/* a file that is no namespace is no namespace */
		result = errno == EINVAL ? -ENOENT : -errno;
	} else {
		result = run(context);
		if (setns(own, CLONE_NEWNET) != 0) {
			/* everything after this would happen in the wrong place */
			abort();
		}
	}
	close(other);
	if (own >= 0) {
		close(own);
	}
	return result;
}

/*
 * Others than the kernel may send to such a socket, too: whoever has CAP_NET_ADMIN in the
 * namespace, as root of a container. A connected one takes nothing from them.
 */
static int open_netlink(int protocol)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int error;

	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) != 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int open_sockets(void *context)
{
	struct dysco_netns *netns = context;

	netns->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (netns->ioctl_fd < 0) {
		return -errno;
	}
	netns->track_fd = open_netlink(NETLINK_NETFILTER);
	netns->diag_fd = open_netlink(NETLINK_SOCK_DIAG);
	return netns->diag_fd < 0 ? netns->diag_fd : 0;
}

static void close_sockets(struct dysco_netns *netns)
{
	if (netns->ioctl_fd >= 0) {
		close(netns->ioctl_fd);
	}
	if (netns->diag_fd >= 0) {
		close(netns->diag_fd);
	}
	if (netns->track_fd >= 0) {
		close(netns->track_fd);
	}
	netns->ioctl_fd = -1;
	netns->diag_fd = -1;
	netns->track_fd = -1;
}

static struct dysco_netns *entry(struct dysco_machine *machine, const char *name)
{
	struct dysco_netns *netns;

	for (uint32_t i = 0; i < machine->count; i++) {
		if (strcmp(machine->netns[i].name, name) == 0) {
			return &machine->netns[i];
		}
	}
	if (machine->count == DYSCO_NETNS_MAX) {
		return NULL;
	}
	netns = &machine->netns[machine->count++];
	memset(netns, 0, sizeof(*netns));
	snprintf(netns->name, sizeof(netns->name), "%s", name);
	netns->ioctl_fd = -1;
	netns->diag_fd = -1;
	netns->track_fd = -1;
	return netns;
}

/* Drops entries of namespaces that are gone, so that names of short-lived ones do not fill the
 * table. */
static void sweep(struct dysco_machine *machine)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < machine->count; i++) {
		struct dysco_netns *netns = &machine->netns[i];
		char path[128];
		struct stat st;

		path_of(netns->name, path);
		if (stat(path, &st) == 0) {
			machine->netns[kept++] = *netns;
			continue;
		}
		close_sockets(netns);
		free(netns->reserved);
	}
	machine->count = kept;
}

/* The namespace with its sockets open; NULL with *wrong. */
static struct dysco_netns *get(struct dysco_machine *machine, const char *name, int *wrong)
{
	struct dysco_netns *netns;
	char path[128];
	struct stat st;

	path_of(name, path);
	if (stat(path, &st) != 0) {
		*wrong = errno == ENOTDIR ? -ENOENT : -errno;
		return NULL;
	}
	if (machine->count == DYSCO_NETNS_MAX) {
		sweep(machine);
	}
	netns = entry(machine, name);
	if (!netns) {
		*wrong = -ENOSPC;
		return NULL;
	}
	if (netns->ioctl_fd >= 0 && netns->dev == st.st_dev && netns->ino == st.st_ino) {
		return netns;
	}
	if (netns->ioctl_fd >= 0) {
		free(netns->reserved);
		netns->reserved = NULL;
	}
	close_sockets(netns);
	*wrong = inside(name, open_sockets, netns);
	if (*wrong != 0) {
		close_sockets(netns);
		return NULL;
	}
	netns->dev = st.st_dev;
	netns->ino = st.st_ino;
	return netns;
}

static int ask_interface(void *context, const char *name, const char *ifname,
			 struct dysco_interface *interface)
{
	struct ifreq request = {0};
	int wrong = 0;
	const struct dysco_netns *netns = get(context, name, &wrong);

	if (!netns) {
		return wrong;
	}
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(netns->ioctl_fd, SIOCGIFINDEX, &request) != 0) {
		return -errno;
	}
	interface->index = (unsigned int)request.ifr_ifindex;
	if (ioctl(netns->ioctl_fd, SIOCGIFFLAGS, &request) != 0) {
		return -errno;
	}
	interface->up = (request.ifr_flags & IFF_UP) != 0;
	return 0;
}

static int ask_ports_held(void *context, const char *name, uint16_t first,
			  struct dysco_port_bitmap *held)
{
	int wrong = 0;
	const struct dysco_netns *netns = get(context, name, &wrong);

	return netns ? dysco_diag_ports(netns->diag_fd, first, held) : wrong;
}

static int ask_socket(void *context, const char *name, const struct dysco_tuple *tuple,
		      struct dysco_socket *socket)
{
	int wrong = 0;
	const struct dysco_netns *netns = get(context, name, &wrong);

	return netns ? dysco_diag_socket(netns->diag_fd, tuple, socket) : wrong;
}

static int ask_connections(void *context, const char *name, dysco_connection_fn *take, void *to)
{
	int wrong = 0;
	const struct dysco_netns *netns = get(context, name, &wrong);

	return netns ? dysco_diag_connections(netns->diag_fd, take, to) : wrong;
}

static int ask_passing(void *context, const char *name, dysco_connection_fn *take, void *to)
{
	int wrong = 0;
	const struct dysco_netns *netns = get(context, name, &wrong);

	if (!netns || netns->track_fd < 0) {
		return wrong;
	}
	return dysco_track_connections(netns->track_fd, take, to);
}

/* A change of the kernel's list, to be made inside the namespace. */
struct reservation {
	const struct dysco_port_set *change;
	bool add;
	struct dysco_port_set changed; /* which ports were really added or taken out */
	struct dysco_port_set now;
	char text[RESERVED_BYTES];
};

static int read_reserved(struct reservation *r)
{
	int fd = open(RESERVED_PORTS, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		return -errno;
	}
	n = read(fd, r->text, sizeof(r->text) - 1);
	close(fd);
	if (n < 0) {
		return -EIO;
	}
	r->text[n] = '\0';
	return dysco_ports_parse(&r->now, r->text) ? 0 : -EINVAL;
}

static int write_reserved(struct reservation *r)
{
	size_t n = dysco_ports_format(&r->now, r->text, sizeof(r->text) - 1);
	int fd, result = 0;

	if (n + 1 >= sizeof(r->text)) {
		return -E2BIG;
	}
	r->text[n] = '\n';
	fd = open(RESERVED_PORTS, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	if (write(fd, r->text, n + 1) != (ssize_t)(n + 1)) {
		result = -errno;
	}
	close(fd);
	return result;
}

static int change_reserved(void *context)
{
	struct reservation *r = context;
	bool any = false;
	int wrong = read_reserved(r);

	for (long port = 0; wrong == 0 && port <= 65535; port++) {
		if (dysco_ports_has(r->change, (uint16_t)port) &&
		    dysco_ports_has(&r->now, (uint16_t)port) != r->add) {
			dysco_ports_set(&r->changed, (uint16_t)port, true);
			dysco_ports_set(&r->now, (uint16_t)port, r->add);
			any = true;
		}
	}
	return wrong == 0 && any ? write_reserved(r) : wrong;
}

static int change_ports(const char *name, const struct dysco_port_set *change, bool add,
			struct dysco_port_set *changed)
{
	struct reservation *r = calloc(1, sizeof(*r));
	int wrong;

	if (!r) {
		return -ENOMEM;
	}
	r->change = change;
	r->add = add;
	wrong = inside(name, change_reserved, r);
	if (wrong == 0) {
		*changed = r->changed;
	}
	free(r);
	return wrong;
}

/* Adds what was added now to what had been before. */
static void note_added(struct dysco_machine *machine, struct dysco_netns *netns,
		       struct dysco_port_set *added)
{
	char *text;
	size_t n;

	if (netns->reserved) {
		dysco_ports_parse(added, netns->reserved);
	}
	n = dysco_ports_format(added, NULL, 0);
	text = n > 0 ? malloc(n + 1) : NULL;
	if (!text) {
		return;
	}
	dysco_ports_format(added, text, n + 1);
	machine->changed =
	    machine->changed || !netns->reserved || strcmp(text, netns->reserved) != 0;
	free(netns->reserved);
	netns->reserved = text;
}

static int reserve(void *context, const char *name, uint16_t first, uint16_t last)
{
	struct dysco_port_set wanted = {{0}}, added = {{0}};
	int wrong = 0;
	struct dysco_netns *netns = get(context, name, &wrong);

	if (!netns) {
		return wrong;
	}
	for (long port = first; port <= last; port++) {
		dysco_ports_set(&wanted, (uint16_t)port, true);
	}
	wrong = change_ports(name, &wanted, true, &added);
	if (wrong == 0) {
		note_added(context, netns, &added);
	}
	return wrong;
}

static int release(void *context, const char *name)
{
	struct dysco_port_set ours = {{0}}, removed;
	struct dysco_machine *machine = context;
	struct dysco_netns *netns;
	int wrong = 0;

	netns = get(machine, name, &wrong);
	if (!netns || !netns->reserved) {
		return wrong;
	}
	if (dysco_ports_parse(&ours, netns->reserved)) {
		wrong = change_ports(name, &ours, false, &removed);
	}
	free(netns->reserved);
	netns->reserved = NULL;
	machine->changed = true;
	return wrong;
}

void dysco_machine_note_reserved(struct dysco_machine *machine, const char *name, const char *ports)
{
	int wrong;
	struct dysco_netns *netns = get(machine, name, &wrong);

	if (netns && !netns->reserved) {
		netns->reserved = strdup(ports);
	}
}

struct dysco_machine *dysco_machine_new(void)
{
	struct dysco_machine *machine = calloc(1, sizeof(*machine));

	if (machine) {
		machine->system =
		    (struct dysco_system){machine, ask_interface, ask_ports_held,  reserve,
					  release, ask_socket,	  ask_connections, ask_passing};
	}
	return machine;
}

void dysco_machine_free(struct dysco_machine *machine)
{
	for (uint32_t i = 0; machine && i < machine->count; i++) {
		close_sockets(&machine->netns[i]);
		free(machine->netns[i].reserved);
	}
	free(machine);
}
