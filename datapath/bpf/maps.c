// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pinned maps: made, found again, mapped into memory, and offered to the
 * core as its leg table.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "datapath/bpf/provider.h"

#define BPFFS "/sys/fs/bpf"

_Static_assert(sizeof(struct dysco_leg_cold) % 8 == 0, "array elements lie 8 bytes apart");
_Static_assert(sizeof(struct dysco_lasting) % 8 == 0, "array elements lie 8 bytes apart");
_Static_assert(sizeof(struct dysco_attempt) % 8 == 0, "array elements lie 8 bytes apart");

struct map_kind {
	const char *name;
	enum bpf_map_type type;
	uint32_t key_bytes, value_bytes;
	uint32_t entries; /* 0: the table's capacity */
	uint32_t flags;
};

static const struct map_kind kinds[DYSCO_BPF_MAPS] = {
    [DYSCO_BPF_LEGS] = {"legs", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dysco_leg), 0, BPF_F_MMAPABLE},
    [DYSCO_BPF_COLD] = {"cold", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dysco_leg_cold), 0,
			BPF_F_MMAPABLE},
    [DYSCO_BPF_LASTING] = {"lasting", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dysco_lasting), 1,
			   BPF_F_MMAPABLE},
    [DYSCO_BPF_ATTEMPTS_MAP] = {"attempts", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dysco_attempt),
				DYSCO_BPF_ATTEMPTS, BPF_F_MMAPABLE},
    [DYSCO_BPF_KEYS] = {"keys", BPF_MAP_TYPE_HASH, sizeof(struct dysco_leg_key), 4, 0, 0},
    [DYSCO_BPF_FLOWS_MAP] = {"flows", BPF_MAP_TYPE_ARRAY, 4, 4, DYSCO_BPF_FLOWS, 0},
    [DYSCO_BPF_ATTACHMENTS_MAP] = {"attachments", BPF_MAP_TYPE_ARRAY, 4,
				   sizeof(struct dysco_bpf_attachment), DYSCO_BPF_ATTACHMENTS, 0},
    [DYSCO_BPF_STATS] = {"stats", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct dysco_bpf_stats), 1,
			 0},
    [DYSCO_BPF_CLASSIFIER] = {"classifier", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0},
    [DYSCO_BPF_AFTER] = {"after", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, DYSCO_BPF_AFTER_ENTRIES, 0},
    [DYSCO_BPF_AGENT] = {"agent", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dysco_bpf_agent), 1,
			 BPF_F_MMAPABLE},
};

const char *dysco_bpf_map_name(enum dysco_bpf_map map)
{
	return kinds[map].name;
}

static void pin_path(char *out, size_t bytes, const struct dysco_bpf *bpf, enum dysco_bpf_map map)
{
	(void)snprintf(out, bytes, "%.*s/%s", PATH_MAX - 32, bpf->path, kinds[map].name);
}

/* Each leg has a key in each direction; the core replaces keys by binding the new one first. */
static uint32_t entries_of(enum dysco_bpf_map map, uint32_t capacity)
{
	if (kinds[map].entries) {
		return kinds[map].entries;
	}
	return map == DYSCO_BPF_KEYS ? 2 * capacity + 64 : capacity;
}

static int make_directory(struct dysco_datapath *dp)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct statfs fs;

	if (strncmp(bpf->path, BPFFS "/", sizeof(BPFFS)) == 0 && statfs(BPFFS, &fs) == 0 &&
	    fs.f_type != BPF_FS_MAGIC && mount("bpf", BPFFS, "bpf", 0, "mode=0700") < 0) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot mount the BPF file system here: %s",
				      BPFFS, strerror(errno));
	}
	if (mkdir(bpf->path, 0700) < 0 && errno != EEXIST) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot make this directory: %s", bpf->path,
				      strerror(errno));
	}
	if (statfs(bpf->path, &fs) < 0 || fs.f_type != BPF_FS_MAGIC) {
		return dysco_bpf_fail(dp, -EINVAL,
				      "%s: not on a BPF file system; choose a path under " BPFFS,
				      bpf->path);
	}
	return 0;
}

/*
 * Two agents on the same maps would undo each other's policies. One that was
 * killed holds its lock until the kernel has taken it apart.
 */
static int lock_directory(struct dysco_datapath *dp)
{
	struct timespec pause = {.tv_nsec = 20 * 1000000};
	struct dysco_bpf *bpf = dysco_bpf_of(dp);

	bpf->lock_fd = open(bpf->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bpf->lock_fd < 0) {
		return dysco_bpf_fail(dp, -errno, "%s: %s", bpf->path, strerror(errno));
	}
	for (int i = 0; i < 50; i++) {
		if (flock(bpf->lock_fd, LOCK_EX | LOCK_NB) == 0) {
			return 0;
		}
		nanosleep(&pause, NULL);
	}
	return dysco_bpf_fail(
	    dp, -EBUSY, "%s: another agent's; stop it first, or choose another path", bpf->path);
}

void dysco_bpf_maps_unpin(const struct dysco_bpf *bpf)
{
	char path[PATH_MAX];

	for (int i = DYSCO_BPF_MAPS - 1; i >= 0; i--) {
		pin_path(path, sizeof(path), bpf, (enum dysco_bpf_map)i);
		unlink(path);
	}
}

static int make_map(struct dysco_datapath *dp, enum dysco_bpf_map map, uint32_t capacity)
{
	const struct map_kind *kind = &kinds[map];
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = kind->flags);
	char path[PATH_MAX];

	bpf->fds[map] = bpf_map_create(kind->type, kind->name, kind->key_bytes, kind->value_bytes,
				       entries_of(map, capacity), &opts);
	if (bpf->fds[map] < 0) {
		return dysco_bpf_fail(dp, bpf->fds[map],
				      "cannot make BPF map '%s' for %u legs: %s; a smaller "
				      "capacity (legs N) may help",
				      kind->name, capacity, strerror(errno));
	}
	pin_path(path, sizeof(path), bpf, map);
	if (bpf_obj_pin(bpf->fds[map], path) < 0) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot pin BPF map: %s", path,
				      strerror(errno));
	}
	return 0;
}

/* What an agent that died in the middle of this left is made anew: `agent` is pinned last. */
static int make_maps(struct dysco_datapath *dp, uint32_t capacity)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_bpf_agent first = {.layout = DYSCO_BPF_LAYOUT, .capacity = capacity};
	int error = 0;

	dysco_bpf_maps_unpin(bpf);
	for (enum dysco_bpf_map i = 0; i < DYSCO_BPF_AGENT && !error; i++) {
		error = make_map(dp, i, capacity);
	}
	if (error) {
		return error;
	}
	error = make_map(dp, DYSCO_BPF_AGENT, capacity);
	if (!error && bpf_map_update_elem(bpf->fds[DYSCO_BPF_AGENT], &(uint32_t){0}, &first, 0)) {
		error = dysco_bpf_fail(dp, -errno, "%s/agent: cannot write: %s", bpf->path,
				       strerror(errno));
	}
	return error;
}

static int foreign(struct dysco_datapath *dp, const char *path)
{
	return dysco_bpf_fail(dp, -EPROTO,
			      "%s: made by another version of dyscod; its sessions cannot be taken "
			      "over: run 'dyscod --wipe' to end them and start anew",
			      path);
}

static int open_map(struct dysco_datapath *dp, enum dysco_bpf_map map, uint32_t capacity)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct bpf_map_info info;
	uint32_t bytes = sizeof(info);
	char path[PATH_MAX];

	memset(&info, 0, sizeof(info));
	pin_path(path, sizeof(path), bpf, map);
	bpf->fds[map] = bpf_obj_get(path);
	if (bpf->fds[map] < 0 || bpf_obj_get_info_by_fd(bpf->fds[map], &info, &bytes) < 0) {
		return dysco_bpf_fail(dp, -errno,
				      "%s: cannot open this BPF map: %s; if it was removed by "
				      "hand, run 'dyscod --wipe'",
				      path, strerror(errno));
	}
	if (info.type != kinds[map].type || info.key_size != kinds[map].key_bytes ||
	    info.value_size != kinds[map].value_bytes ||
	    info.max_entries != entries_of(map, capacity)) {
		return foreign(dp, path);
	}
	return 0;
}

/* *capacity becomes that of the table found. */
static int open_maps(struct dysco_datapath *dp, uint32_t *capacity)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_bpf_agent found;
	int error = open_map(dp, DYSCO_BPF_AGENT, *capacity);

	if (error) {
		return error;
	}
	if (bpf_map_lookup_elem(bpf->fds[DYSCO_BPF_AGENT], &(uint32_t){0}, &found) < 0 ||
	    found.layout != DYSCO_BPF_LAYOUT) {
		return foreign(dp, bpf->path);
	}
	*capacity = found.capacity;
	for (enum dysco_bpf_map i = 0; i < DYSCO_BPF_AGENT && !error; i++) {
		error = open_map(dp, i, *capacity);
	}
	return error;
}

static void *map_memory(const struct dysco_bpf *bpf, enum dysco_bpf_map map, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf->fds[map], 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int table_bind(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot);
static void table_unbind(struct dysco_table *table, const struct dysco_leg_key *key);
static void table_move(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot);
static uint32_t table_find(struct dysco_table *table, const struct dysco_leg_key *key);

static const struct dysco_table_ops table_ops = {table_bind, table_unbind, table_move, table_find};

static struct dysco_bpf *bpf_of_table(struct dysco_table *table)
{
	struct dysco_datapath *dp =
	    (void *)((uint8_t *)table - offsetof(struct dysco_datapath, table));

	return dysco_bpf_of(dp);
}

static int table_bind(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct dysco_bpf *bpf = bpf_of_table(table);

	if (bpf_map_update_elem(bpf->fds[DYSCO_BPF_KEYS], key, &slot, BPF_NOEXIST) == 0) {
		return 0;
	}
	return errno == EEXIST ? DYSCO_TABLE_EXISTS : DYSCO_TABLE_FULL;
}

static void table_unbind(struct dysco_table *table, const struct dysco_leg_key *key)
{
	bpf_map_delete_elem(bpf_of_table(table)->fds[DYSCO_BPF_KEYS], key);
}

static void table_move(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	bpf_map_update_elem(bpf_of_table(table)->fds[DYSCO_BPF_KEYS], key, &slot, BPF_EXIST);
}

static uint32_t table_find(struct dysco_table *table, const struct dysco_leg_key *key)
{
	uint32_t slot = DYSCO_NO_SLOT;

	if (bpf_map_lookup_elem(bpf_of_table(table)->fds[DYSCO_BPF_KEYS], key, &slot) < 0) {
		return DYSCO_NO_SLOT;
	}
	return slot;
}

static int map_all(struct dysco_datapath *dp, uint32_t capacity)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_table *table = &dp->table;

	table->ops = &table_ops;
	table->capacity = capacity;
	table->legs = map_memory(bpf, DYSCO_BPF_LEGS, capacity * sizeof(*table->legs));
	table->cold = map_memory(bpf, DYSCO_BPF_COLD, capacity * sizeof(*table->cold));
	table->lasting = map_memory(bpf, DYSCO_BPF_LASTING, sizeof(*table->lasting));
	table->attempts =
	    map_memory(bpf, DYSCO_BPF_ATTEMPTS_MAP, DYSCO_BPF_ATTEMPTS * sizeof(*table->attempts));
	table->n_attempts = DYSCO_BPF_ATTEMPTS;
	table->names = calloc(capacity, sizeof(*table->names));
	bpf->agent = map_memory(bpf, DYSCO_BPF_AGENT, sizeof(*bpf->agent));
	if (!table->legs || !table->cold || !table->lasting || !table->attempts || !bpf->agent ||
	    !table->names) {
		return dysco_bpf_fail(dp, -ENOMEM, "%s: cannot map the leg table into memory: %s",
				      bpf->path, strerror(errno));
	}
	return 0;
}

int dysco_bpf_maps_open(struct dysco_datapath *dp, uint32_t capacity)
{
	char path[PATH_MAX];
	int error = make_directory(dp);

	error = error ? error : lock_directory(dp);
	if (error) {
		return error;
	}
	pin_path(path, sizeof(path), dysco_bpf_of(dp), DYSCO_BPF_AGENT);
	error = access(path, F_OK) == 0 ? open_maps(dp, &capacity) : make_maps(dp, capacity);
	return error ? error : map_all(dp, capacity);
}

void dysco_bpf_maps_read_attachments(struct dysco_bpf *bpf)
{
	const struct map_kind *kind = &kinds[DYSCO_BPF_ATTACHMENTS_MAP];
	struct bpf_map_info info;
	uint32_t bytes = sizeof(info);
	char path[PATH_MAX];
	int fd;

	memset(&info, 0, sizeof(info));
	pin_path(path, sizeof(path), bpf, DYSCO_BPF_ATTACHMENTS_MAP);
	fd = bpf_obj_get(path);
	if (fd < 0) {
		return;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && info.type == kind->type &&
	    info.value_size == kind->value_bytes && info.max_entries == kind->entries) {
		for (uint32_t i = 0; i < kind->entries; i++) {
			(void)bpf_map_lookup_elem(fd, &i, &bpf->attachments[i]);
		}
	}
	close(fd);
}

static void unmap(void *memory, size_t bytes)
{
	if (memory) {
		munmap(memory, bytes);
	}
}

void dysco_bpf_maps_close(struct dysco_datapath *dp)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_table *table = &dp->table;

	unmap(table->legs, table->capacity * sizeof(*table->legs));
	unmap(table->cold, table->capacity * sizeof(*table->cold));
	unmap(table->lasting, sizeof(*table->lasting));
	unmap(table->attempts, DYSCO_BPF_ATTEMPTS * sizeof(*table->attempts));
	unmap(bpf->agent, sizeof(*bpf->agent));
	free(table->names);
	memset(table, 0, sizeof(*table));
	bpf->agent = NULL;
	for (int i = 0; i < DYSCO_BPF_MAPS; i++) {
		if (bpf->fds[i] >= 0) {
			close(bpf->fds[i]);
		}
		bpf->fds[i] = -1;
	}
}
