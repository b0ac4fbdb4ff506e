// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bpf datapath: its operations (datapath/datapath.h), as far as they are
 * not in a file of their own. README.md has the picture.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/bpf/provider.h"

#define PRUNE_NS 1000000000u /* how often to look for namespaces that are gone */

int dysco_bpf_fail(struct dysco_datapath *dp, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(dp->error, sizeof(dp->error), format, args);
	va_end(args);
	return error;
}

/* libbpf's own messages would go to stderr, beside the agent's log; dp->error says what matters. */
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && getenv("DYSCO_BPF_LOG")) {
		(void)vfprintf(stderr, format, args);
	}
	return 0;
}

/* After an error the provider is still there, so that wipe() can follow. */
static int bpf_open(struct dysco_datapath *dp, const char *path, uint32_t capacity)
{
	struct dysco_bpf *bpf = calloc(1, sizeof(*bpf));
	int error;

	if (!bpf) {
		return dysco_bpf_fail(dp, -ENOMEM, "out of memory");
	}
	for (int i = 0; i < DYSCO_BPF_MAPS; i++) {
		bpf->fds[i] = -1;
	}
	bpf->lock_fd = -1;
	(void)snprintf(bpf->path, sizeof(bpf->path), "%s", path);
	dp->provider = bpf;
	libbpf_set_print(quiet);
	error = dysco_bpf_maps_open(dp, capacity);
	if (error) {
		dysco_bpf_maps_close(dp);
	}
	dysco_bpf_maps_read_attachments(bpf);
	return error;
}

static void bpf_close(struct dysco_datapath *dp)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);

	if (!bpf) {
		return;
	}
	if (bpf->agent) {
		__atomic_store_n(&bpf->agent->heartbeat_ns, 0, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < bpf->n_taps; i++) {
		dysco_bpf_tap_release(&bpf->taps[i], false);
	}
	dysco_bpf_maps_close(dp);
	if (bpf->lock_fd >= 0) {
		close(bpf->lock_fd);
	}
	free(bpf);
	dp->provider = NULL;
}

static int bpf_wipe(struct dysco_datapath *dp)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);

	dysco_bpf_detach_all(dp);
	dysco_bpf_maps_close(dp);
	dysco_bpf_maps_unpin(bpf);
	if (rmdir(bpf->path) < 0 && errno != ENOENT) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot remove: %s", bpf->path,
				      strerror(errno));
	}
	return 0;
}

static void bpf_heartbeat(struct dysco_datapath *dp, uint64_t now_ns)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);

	__atomic_store_n(&bpf->agent->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
	if (now_ns - bpf->pruned_ns > PRUNE_NS) {
		bpf->pruned_ns = now_ns;
		dysco_bpf_attach_prune(bpf);
	}
}

static void bpf_counters(struct dysco_datapath *dp, struct dysco_core_stats *stats)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	int cpus = libbpf_num_possible_cpus();
	struct dysco_bpf_stats *all = cpus > 0 ? calloc((size_t)cpus, sizeof(*all)) : NULL;

	stats->counters[DYSCO_COUNTER_INJECTED] += bpf->injected;
	stats->drops[DYSCO_REASON_INJECT] += bpf->not_injected;
	if (all && bpf_map_lookup_elem(bpf->fds[DYSCO_BPF_STATS], &(uint32_t){0}, all) == 0) {
		for (int cpu = 0; cpu < cpus; cpu++) {
			for (int i = 0; i < DYSCO_REASON_COUNT; i++) {
				stats->drops[i] += all[cpu].drops[i];
			}
			for (int i = 0; i < DYSCO_COUNTER_COUNT; i++) {
				stats->counters[i] += all[cpu].counters[i];
			}
		}
	}
	free(all);
}

const struct dysco_datapath_ops dysco_datapath_bpf = {
    .name = "bpf",
    .open = bpf_open,
    .close = bpf_close,
    .attach = dysco_bpf_attach,
    .detach = dysco_bpf_detach,
    .attached = dysco_bpf_attached,
    .wipe = bpf_wipe,
    .set_classifier = dysco_bpf_set_classifier,
    .heartbeat = bpf_heartbeat,
    .poll_fds = dysco_bpf_poll_fds,
    .receive = dysco_bpf_receive,
    .inject = dysco_bpf_inject,
    .counters = bpf_counters,
};
