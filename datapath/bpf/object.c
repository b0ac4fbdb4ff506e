// SPDX-License-Identifier: BSD-2-Clause
/*
 * The compiled programs, carried inside the agent, and their loading: once an
 * attachment, with its constants in the instructions and in .rodata, so that the
 * verifier cuts what does not concern it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/bpf/provider.h"

/*
 * Two variants, ELF files both (libbpf wants them aligned): the first reads
 * kernel structures and is faster, the second is for kernels without BTF, or
 * older than Linux 6.2 in some other way that matters.
 */
static const uint8_t fast_object[] __attribute__((aligned(8))) = {
#include "dysco.bpf.o.inc"
};
static const uint8_t plain_object[] __attribute__((aligned(8))) = {
#include "dysco-plain.bpf.o.inc"
};

static const char *const host_programs[] = {"host_out", "host_in", "host_classified"};
#define HOST_PROGRAMS (sizeof(host_programs) / sizeof(host_programs[0]))

static uint32_t after_index(size_t program, uint32_t id)
{
	const uint32_t indices[] = {DYSCO_BPF_AFTER_OUT(id), DYSCO_BPF_AFTER_IN(id),
				    DYSCO_BPF_AFTER_CLASSIFIED(id)};

	return indices[program];
}

static bool is_host_program(const char *name)
{
	for (size_t i = 0; i < HOST_PROGRAMS; i++) {
		if (strcmp(name, host_programs[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* A field of up to four bytes; `what` says which. */
static uint32_t constant(const struct dysco_bpf_attachment *self, uint32_t what)
{
	const uint8_t *at = (const uint8_t *)self + ((what & ~DYSCO_BPF_CONSTANT_MASK) >> 4);
	uint16_t of_two;
	uint32_t of_four;

	switch (what & 0xf) {
	case 1:
		return *at;
	case 2:
		memcpy(&of_two, at, sizeof(of_two));
		return of_two;
	default:
		memcpy(&of_four, at, sizeof(of_four));
		return of_four;
	}
}

/*
 * Numbers of `self` become operands of the instructions (SELF() in prog_maps.h).
 * Done to the file's bytes, whose sections are aligned to instructions: libbpf
 * hands out those of the programs, but not of the functions they call.
 */
static void set_numbers(uint8_t *file, size_t bytes, const struct dysco_bpf_attachment *self)
{
	struct bpf_insn insn;

	for (size_t i = 0; i + sizeof(insn) <= bytes; i += sizeof(insn)) {
		memcpy(&insn, file + i, sizeof(insn));
		if (insn.code == (BPF_ALU64 | BPF_MOV | BPF_K) && insn.off == 0 &&
		    ((uint32_t)insn.imm & DYSCO_BPF_CONSTANT_MASK) == DYSCO_BPF_CONSTANT_MAGIC) {
			insn.imm = (int32_t)constant(self, (uint32_t)insn.imm);
			memcpy(file + i, &insn, sizeof(insn));
		}
	}
}

static int set_constants(struct bpf_object *object, const struct dysco_bpf_attachment *self)
{
	struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
	/* `self` is all there is. */
	return rodata ? bpf_map__set_initial_value(rodata, self, sizeof(*self)) : -EPROTO;
}

static int use_pinned_maps(struct bpf_object *object, const struct dysco_bpf *bpf)
{
	for (enum dysco_bpf_map i = 0; i < DYSCO_BPF_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, dysco_bpf_map_name(i));
		int error = map ? bpf_map__reuse_fd(map, bpf->fds[i]) : 0;

		if (error) {
			return error;
		}
	}
	return 0;
}

static int prepare(struct bpf_object *object, const struct dysco_bpf *bpf,
		   const struct dysco_bpf_attachment *self, bool for_tap)
{
	struct bpf_program *program;
	int error;

	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(program,
					  is_host_program(bpf_program__name(program)) != for_tap);
	}
	error = set_constants(object, self);
	return error ? error : use_pinned_maps(object, bpf);
}

static int load(struct bpf_object **object, const struct dysco_bpf *bpf, const uint8_t *file,
		size_t bytes, const struct dysco_bpf_attachment *self, bool for_tap)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "dysco");
	uint8_t *copy = malloc(bytes);
	int error;

	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, file, bytes);
	set_numbers(copy, bytes, self);
	*object = bpf_object__open_mem(copy, bytes, &opts);
	error = *object ? 0 : -errno;
	free(copy); /* libbpf has its own */
	if (error) {
		return error;
	}
	error = prepare(*object, bpf, self, for_tap);
	if (!error) {
		error = bpf_object__load(*object);
	}
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
	}
	return error;
}

struct bpf_object *dysco_bpf_object_load(struct dysco_datapath *dp,
					 const struct dysco_bpf_attachment *self, bool for_tap,
					 enum dysco_bpf_variant variant)
{
	const struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct bpf_object *object = NULL;
	int error = -EINVAL;

	if (variant == DYSCO_BPF_ANY) {
		error = load(&object, bpf, fast_object, sizeof(fast_object), self, for_tap);
	}
	if (error) {
		error = load(&object, bpf, plain_object, sizeof(plain_object), self, for_tap);
	}
	if (error) {
		dysco_bpf_fail(dp, error,
			       "the kernel does not load the BPF programs: %s; Linux 5.15 "
			       "(arm64: 5.18) or later with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF "
			       "and root are needed",
			       strerror(-error));
	}
	return object;
}

int dysco_bpf_object_program(const struct bpf_object *object, const char *name)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__fd(program) : -ENOENT;
}

int dysco_bpf_object_offer(const struct dysco_bpf *bpf, const struct bpf_object *object,
			   uint32_t id)
{
	for (size_t i = 0; i < HOST_PROGRAMS; i++) {
		uint32_t index = after_index(i, id);
		int fd = dysco_bpf_object_program(object, host_programs[i]);
		int error = bpf_map_update_elem(bpf->fds[DYSCO_BPF_AFTER], &index, &fd, 0);

		if (error) {
			return error;
		}
	}
	return 0;
}

void dysco_bpf_object_withdraw(const struct dysco_bpf *bpf, uint32_t id)
{
	for (size_t i = 0; i < HOST_PROGRAMS; i++) {
		uint32_t index = after_index(i, id);

		bpf_map_delete_elem(bpf->fds[DYSCO_BPF_AFTER], &index);
	}
}
