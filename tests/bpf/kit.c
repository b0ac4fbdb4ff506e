// SPDX-License-Identifier: BSD-2-Clause
/* BPF_PROG_RUN tests: what kit.h says. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "datapath/bpf/net.h"
#include "tests/bpf/kit.h"

#define SKIP 77

static void shell(const char *command)
{
	if (system(command) != 0) { /* NOLINT(cert-env33-c): fixed words */
		(void)fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void make_links(struct kit *k)
{
	struct dysco_link link;

	shell("ip link set lo up; ip link add t0 type veth peer name t1;"
	      "ip addr add 10.0.0.1/24 dev t0; ip addr add fd00::1/64 dev t0 nodad;"
	      "ip link set t0 up; ip link set t1 up;"
	      "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev t0 nud permanent;"
	      "ip neigh add fd00::2 lladdr 02:00:00:00:00:02 dev t0 nud permanent");
	dysco_net_sysctl("ipv4", "t0", "forwarding", "1");
	dysco_net_sysctl("ipv6", "t0", "forwarding", "1");
	assert_int_equal(dysco_link_get(&link, 0, "t0"), 0);
	k->ifindex = link.ifindex;
}

int kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	if (!k || geteuid() != 0) {
		(void)fprintf(stderr, "skipped: needs root\n");
		exit(SKIP);
	}
	if (unshare(CLONE_NEWNET) < 0) {
		(void)fprintf(stderr, "skipped: no network namespaces: %s\n", strerror(errno));
		exit(SKIP);
	}
	make_links(k);
	k->dp.ops = &dysco_datapath_bpf;
	(void)snprintf(k->path, sizeof(k->path), "/sys/fs/bpf/dysco-kit-%d", getpid());
	if (k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY)) {
		(void)fprintf(stderr, "open: %s\n", k->dp.error);
		exit(1);
	}
	*state = k;
	return 0;
}

int kit_setup_plain(void **state)
{
	int result = kit_setup(state);
	struct kit *k = *state;

	k->variant = DYSCO_BPF_PLAIN;
	return result;
}

int kit_teardown(void **state)
{
	struct kit *k = *state;
	int error = k->dp.ops->wipe(&k->dp);

	bpf_object__close(k->object);
	k->dp.ops->close(&k->dp);
	free(k);
	return error;
}

static void clear_keys(int fd)
{
	struct dysco_leg_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0) {
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	}
}

void kit_reset(struct kit *k)
{
	struct dysco_bpf *bpf = dysco_bpf_of(&k->dp);
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct dysco_bpf_stats *zero = calloc(cpus, sizeof(*zero));

	clear_keys(bpf->fds[DYSCO_BPF_KEYS]);
	memset(k->dp.table.legs, 0, KIT_CAPACITY * sizeof(struct dysco_leg));
	assert_non_null(zero);
	assert_int_equal(bpf_map_update_elem(bpf->fds[DYSCO_BPF_STATS], &(uint32_t){0}, zero, 0),
			 0);
	free(zero);
	assert_int_equal(k->dp.ops->set_classifier(&k->dp, NULL, 0), 0);
	kit_heartbeat(k);
	memset(&k->self, 0, sizeof(k->self));
	k->self.id = 1;
	k->self.host = KIT_HOST;
	k->self.mode = DYSCO_ATTACH_NIC;
	k->self.l2_bytes = ETH_HLEN;
	k->self.ifindex = k->ifindex;
	k->self.tap_ifindex = k->ifindex;
}

void kit_load(struct kit *k)
{
	bpf_object__close(k->object);
	k->object = dysco_bpf_object_load(&k->dp, &k->self, false, k->variant);
	if (!k->object) {
		fail_msg("%s", k->dp.error);
	}
	assert_int_equal(dysco_bpf_object_offer(dysco_bpf_of(&k->dp), k->object, k->self.id), 0);
	kit_heartbeat(k);
}

static struct dysco_addr address(const char *text)
{
	struct dysco_addr a;
	uint32_t ip4;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		return dysco_addr_from_ip4(ip4);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

struct dysco_tuple kit_tuple(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct dysco_tuple t = {address(src), address(dst), htons(sport), htons(dport)};

	return t;
}

void kit_bind(struct kit *k, const struct dysco_tuple *tuple, enum dysco_direction direction,
	      uint32_t slot)
{
	struct dysco_leg_key key = {*tuple, KIT_HOST, (uint8_t)direction, 0};

	assert_int_equal(k->dp.table.ops->bind(&k->dp.table, &key, slot), 0);
}

struct dysco_leg *kit_leg(struct kit *k, uint32_t slot, enum dysco_leg_mode mode,
			  const struct dysco_tuple *host, const struct dysco_tuple *wire)
{
	struct dysco_leg *leg = &k->dp.table.legs[slot];

	memset(leg, 0, sizeof(*leg));
	leg->host = KIT_HOST;
	leg->host_tuple = *host;
	kit_bind(k, host, DYSCO_OUT, slot);
	if (wire) {
		struct dysco_tuple arriving = dysco_tuple_reverse(wire);

		leg->wire_tuple = *wire;
		kit_bind(k, &arriving, DYSCO_IN, slot);
	}
	leg->mode = (uint8_t)mode;
	return leg;
}

void kit_segment(struct kit_frame *f, const struct dysco_tuple *tuple, uint8_t flags,
		 const void *payload, size_t bytes)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->b, "\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x01", 12);
	f->b[12] = dysco_addr_is_ip4(&tuple->src) ? 0x08 : 0x86;
	f->b[13] = dysco_addr_is_ip4(&tuple->src) ? 0x00 : 0xdd;
	f->bytes = ETH_HLEN + (uint32_t)dysco_edit_make_segment(
				  f->b + ETH_HLEN, sizeof(f->b) - ETH_HLEN, tuple, 1000, 2000,
				  flags, 512, 0, payload, bytes);
	assert_true(f->bytes > ETH_HLEN);
}

uint32_t kit_run_fd(int program_fd, struct kit_frame *f, uint32_t repeat, uint32_t *ns)
{
	struct kit_frame out = {.bytes = 0};
	struct __sk_buff in_ctx, out_ctx;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = f->bytes,
		    .data_out = out.b, .data_size_out = sizeof(out.b), .ctx_in = &in_ctx,
		    .ctx_size_in = sizeof(in_ctx), .ctx_out = &out_ctx,
		    .ctx_size_out = sizeof(out_ctx), .repeat = (int)repeat);

	memset(&in_ctx, 0, sizeof(in_ctx));
	memcpy(in_ctx.cb, f->cb, sizeof(in_ctx.cb));
	assert_int_equal(bpf_prog_test_run_opts(program_fd, &opts), 0);
	out.bytes = opts.data_size_out;
	memcpy(out.cb, out_ctx.cb, sizeof(out.cb));
	*f = out;
	if (ns) {
		*ns = opts.duration;
	}
	return opts.retval;
}

uint32_t kit_run(struct kit *k, const char *program, struct kit_frame *f)
{
	return kit_run_fd(dysco_bpf_object_program(k->object, program), f, 1, NULL);
}

void kit_heartbeat(struct kit *k)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	k->dp.ops->heartbeat(&k->dp, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
}

uint64_t kit_counter(struct kit *k, enum dysco_counter counter)
{
	struct dysco_core_stats stats;

	memset(&stats, 0, sizeof(stats));
	k->dp.ops->counters(&k->dp, &stats);
	return stats.counters[counter];
}

uint64_t kit_drops(struct kit *k, enum dysco_reason reason)
{
	struct dysco_core_stats stats;

	memset(&stats, 0, sizeof(stats));
	k->dp.ops->counters(&k->dp, &stats);
	return stats.drops[reason];
}
