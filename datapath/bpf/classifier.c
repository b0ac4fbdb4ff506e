// SPDX-License-Identifier: BSD-2-Clause
/*
 * Classic BPF, as libpcap makes it, to one eBPF program.
 *
 *   r6 skb   r7 A   r8 X   r9 bytes of the link header
 *   stack: M[0..15], then the first bytes of the packet, then one word loaded
 *
 * Classic jumps only go forward, so the program has no loop; each rule is
 * translated on its own, and ends by falling into the next.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/bpf/classifier.h"
#include "datapath/bpf/shared.h"

#define A	   BPF_REG_7
#define X	   BPF_REG_8
#define L2	   BPF_REG_9

#define HEAD_BYTES 40 /* every TCP packet has that much */
#define STACK_WORD (-8)
#define STACK_HEAD (STACK_WORD - HEAD_BYTES)
#define STACK_M(i) (STACK_HEAD - 4 * (BPF_MEMWORDS - (int)(i)))
#define FAR	   0xffff /* offsets past it are past every IP packet's end */
/* BPF_LD, BPF_IMM, BPF_ADD and BPF_K are 0. */
#define LOAD_64	     BPF_DW
#define ADD_64	     BPF_ALU64

#define ACT_UNSPEC   (-1)
#define ACT_SHOT     2
#define FILTER_INSNS 4096

_Static_assert(sizeof(struct sock_filter) == 8, "as struct bpf_insn of libpcap");

/* One rule under translation. Jumps are noted and patched when all targets are known. */
struct rule {
	struct dysco_bpf_code *code;
	const struct sock_filter *filter;
	uint32_t n_insns;
	uint32_t at; /* classic instruction in work */
	int error;
	bool reached[FILTER_INSNS + 1]; /* the kernel refuses code that nothing leads to */
	size_t start[FILTER_INSNS + 1]; /* where each begins; [n_insns]: no match */
	size_t n_jumps;
	struct jump {
		size_t insn;
		uint32_t target; /* classic index */
	} jumps[4 * FILTER_INSNS];
};

static int emit(struct dysco_bpf_code *code, struct bpf_insn insn)
{
	if (code->count == code->room) {
		size_t room = code->room ? 2 * code->room : 1024;
		struct bpf_insn *more = realloc(code->insns, room * sizeof(insn));

		if (!more) {
			return -ENOMEM;
		}
		code->insns = more;
		code->room = room;
	}
	code->insns[code->count++] = insn;
	return 0;
}

/* Within a rule the first error stays. */
static void op(struct rule *r, int code, int dst, int src, int off, uint32_t imm)
{
	struct bpf_insn insn = {.code = (uint8_t)code,
				.dst_reg = (uint8_t)(dst & 0xf),
				.src_reg = (uint8_t)(src & 0xf),
				.off = (int16_t)off,
				.imm = (int32_t)imm};
	int error = emit(r->code, insn);

	r->error = r->error ? r->error : error;
}

static void mov(struct rule *r, int dst, int src)
{
	op(r, BPF_ALU | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void mov_k(struct rule *r, int dst, uint32_t k)
{
	op(r, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, k);
}

static void load(struct rule *r, int size, int dst, int base, int off)
{
	op(r, BPF_LDX | BPF_MEM | size, dst, base, off, 0);
}

static void load_skb(struct rule *r, int dst, size_t field)
{
	load(r, BPF_W, dst, BPF_REG_6, (int)field);
}

static size_t cb(enum dysco_bpf_cb which)
{
	return offsetof(struct __sk_buff, cb) + 4 * (size_t)which;
}

/* To the classic instruction `target`; r->n_insns: no match. */
static void jump(struct rule *r, int code, int dst, int src, uint32_t imm, uint32_t target)
{
	if (r->n_jumps == sizeof(r->jumps) / sizeof(r->jumps[0])) {
		r->error = -EINVAL;
		return;
	}
	r->jumps[r->n_jumps++] = (struct jump){r->code->count, target};
	op(r, code, dst, src, 0, imm);
}

static void no_match(struct rule *r)
{
	jump(r, BPF_JMP | BPF_JA, 0, 0, 0, r->n_insns);
}

/* after[cb[AFTER]], and what becomes of the packet when nothing is there. */
static void go_on(struct rule *r, int after_fd, int verdict)
{
	mov_k(r, BPF_REG_0, 0);
	op(r, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
	op(r, LOAD_64, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, (uint32_t)after_fd);
	op(r, 0, 0, 0, 0, 0);
	load_skb(r, BPF_REG_3, cb(DYSCO_BPF_CB_AFTER));
	op(r, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
	mov_k(r, BPF_REG_0, (uint32_t)verdict);
	op(r, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void leave(struct rule *r, uint32_t rule, enum dysco_fail fail, int after_fd)
{
	mov_k(r, BPF_REG_0, rule);
	op(r, BPF_STX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_0, (int)cb(DYSCO_BPF_CB_RULE), 0);
	mov_k(r, BPF_REG_0, fail);
	op(r, BPF_STX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_0, (int)cb(DYSCO_BPF_CB_FAIL), 0);
	go_on(r, after_fd,
	      rule == DYSCO_BPF_NO_RULE || fail == DYSCO_FAIL_OPEN ? ACT_UNSPEC : ACT_SHOT);
}

/* r2 = where, from the IP header on; the word, as it is in the packet, to dst in host order. */
static void load_packet(struct rule *r, int size, int dst)
{
	uint32_t bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	jump(r, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, FAR, r->n_insns);
	op(r, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, L2, 0, 0);
	op(r, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
	op(r, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0);
	op(r, ADD_64, BPF_REG_3, 0, 0, (uint32_t)STACK_WORD);
	mov_k(r, BPF_REG_4, bytes);
	op(r, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
	jump(r, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, r->n_insns);
	load(r, size, dst, BPF_REG_10, STACK_WORD);
}

static void host_order(struct rule *r, int size, int dst)
{
	if (size != BPF_B) {
		op(r, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, size == BPF_W ? 32 : 16);
	}
}

static void load_absolute(struct rule *r, int size, int dst, uint32_t k)
{
	uint32_t bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	if (k <= HEAD_BYTES - bytes && k % bytes == 0) {
		load(r, size, dst, BPF_REG_10, STACK_HEAD + (int)k);
	} else {
		mov_k(r, BPF_REG_2, k);
		load_packet(r, size, dst);
	}
	host_order(r, size, dst);
}

static void load_indirect(struct rule *r, int size, uint32_t k)
{
	mov(r, BPF_REG_2, X);
	mov_k(r, BPF_REG_3, k);
	op(r, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_3, 0, 0);
	load_packet(r, size, A);
	host_order(r, size, A);
}

static void load_length(struct rule *r, int dst)
{
	load_skb(r, dst, offsetof(struct __sk_buff, len));
	op(r, BPF_ALU | BPF_SUB | BPF_X, dst, L2, 0, 0);
}

static void bad(struct rule *r)
{
	r->error = r->error ? r->error : -EINVAL;
}

/* LD and LDX; dst is A or X. */
static void translate_load(struct rule *r, const struct sock_filter *f, int dst)
{
	int size = BPF_SIZE(f->code);

	if (size != BPF_W && size != BPF_H && size != BPF_B) {
		bad(r);
		return;
	}
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		mov_k(r, dst, f->k);
		break;
	case BPF_ABS:
		load_absolute(r, size, dst, f->k);
		break;
	case BPF_IND:
		load_indirect(r, size, f->k);
		break;
	case BPF_MEM:
		if (f->k >= BPF_MEMWORDS) {
			bad(r);
			return;
		}
		load(r, BPF_W, dst, BPF_REG_10, STACK_M(f->k));
		break;
	case BPF_LEN:
		load_length(r, dst);
		break;
	case BPF_MSH:
		load_absolute(r, BPF_B, X, f->k);
		op(r, BPF_ALU | BPF_AND | BPF_K, X, 0, 0, 0xf);
		op(r, BPF_ALU | BPF_LSH | BPF_K, X, 0, 0, 2);
		break;
	default:
		bad(r);
	}
}

static void translate_store(struct rule *r, const struct sock_filter *f, int src)
{
	if (f->k >= BPF_MEMWORDS) {
		bad(r);
		return;
	}
	op(r, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, src, STACK_M(f->k), 0);
}

static void arithmetic(struct rule *r, const struct sock_filter *f)
{
	bool by_x = BPF_SRC(f->code) == BPF_X;

	op(r, f->code, A, by_x ? X : 0, 0, by_x ? 0 : f->k);
}

/* By 32 and more, classic BPF gives 0. */
static void translate_shift(struct rule *r, const struct sock_filter *f)
{
	int code = BPF_OP(f->code);

	if (BPF_SRC(f->code) == BPF_K) {
		if (f->k > 31) {
			mov_k(r, A, 0);
		} else {
			op(r, BPF_ALU | code | BPF_K, A, 0, 0, f->k);
		}
		return;
	}
	op(r, BPF_JMP32 | BPF_JLE | BPF_K, X, 0, 2, 31);
	mov_k(r, A, 0);
	op(r, BPF_JMP | BPF_JA, 0, 0, 1, 0);
	op(r, BPF_ALU | code | BPF_X, A, X, 0, 0);
}

static bool divides_by_zero(const struct sock_filter *f)
{
	return (f->code == (BPF_ALU | BPF_DIV | BPF_K) || f->code == (BPF_ALU | BPF_MOD | BPF_K)) &&
	       f->k == 0;
}

static void translate_division(struct rule *r, const struct sock_filter *f)
{
	if (BPF_SRC(f->code) == BPF_X) {
		jump(r, BPF_JMP32 | BPF_JEQ | BPF_K, X, 0, 0, r->n_insns);
	} else if (divides_by_zero(f)) {
		no_match(r);
		return;
	}
	arithmetic(r, f);
}

static void translate_alu(struct rule *r, const struct sock_filter *f)
{
	switch (BPF_OP(f->code)) {
	case BPF_DIV:
	case BPF_MOD:
		translate_division(r, f);
		break;
	case BPF_LSH:
	case BPF_RSH:
		translate_shift(r, f);
		break;
	case BPF_NEG:
		op(r, BPF_ALU | BPF_NEG, A, 0, 0, 0);
		break;
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		arithmetic(r, f);
		break;
	default:
		bad(r);
	}
}

static void translate_jump(struct rule *r, const struct sock_filter *f)
{
	uint32_t next = r->at + 1;
	int code = BPF_OP(f->code);
	bool k = BPF_SRC(f->code) == BPF_K;

	if (code == BPF_JA) {
		jump(r, BPF_JMP | BPF_JA, 0, 0, 0, next + f->k);
		return;
	}
	if (code != BPF_JEQ && code != BPF_JGT && code != BPF_JGE && code != BPF_JSET) {
		bad(r);
		return;
	}
	jump(r, BPF_JMP32 | code | BPF_SRC(f->code), A, k ? 0 : X, k ? f->k : 0, next + f->jt);
	if (f->jf) {
		jump(r, BPF_JMP | BPF_JA, 0, 0, 0, next + f->jf);
	}
}

static void translate_return(struct rule *r, const struct sock_filter *f, uint32_t index,
			     enum dysco_fail fail, int after_fd)
{
	if (BPF_RVAL(f->code) == BPF_A) {
		jump(r, BPF_JMP32 | BPF_JEQ | BPF_K, A, 0, 0, r->n_insns);
	} else if (f->k == 0) {
		no_match(r);
		return;
	}
	leave(r, index, fail, after_fd);
}

static void translate(struct rule *r, const struct sock_filter *f)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		translate_load(r, f, A);
		break;
	case BPF_LDX:
		translate_load(r, f, X);
		break;
	case BPF_ST:
		translate_store(r, f, A);
		break;
	case BPF_STX:
		translate_store(r, f, X);
		break;
	case BPF_ALU:
		translate_alu(r, f);
		break;
	case BPF_JMP:
		translate_jump(r, f);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX) {
			mov(r, X, A);
		} else {
			mov(r, A, X);
		}
		break;
	default:
		bad(r);
	}
}

/* This rule's hosts; with none, every host's. */
static void only_at(struct rule *r, const struct dysco_classifier_rule *rule)
{
	if (rule->n_at == 0) {
		return;
	}
	load_skb(r, BPF_REG_0, cb(DYSCO_BPF_CB_HOST));
	for (uint8_t i = 0; i < rule->n_at; i++) {
		/* Over the tests that follow and the jump behind them. */
		op(r, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, rule->n_at - i, rule->at[i]);
	}
	no_match(r);
}

/* Registers as classic BPF has them at its start; M[] is zeroed for the verifier's sake. */
static void begin(struct rule *r)
{
	mov_k(r, A, 0);
	mov_k(r, X, 0);
	for (uint32_t i = 0; i < r->n_insns; i++) {
		const struct sock_filter *f = &r->filter[i];

		if ((f->code == BPF_ST || f->code == BPF_STX) && f->k < BPF_MEMWORDS) {
			op(r, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, STACK_M(f->k), 0);
		}
	}
}

static void patch(struct rule *r)
{
	for (size_t i = 0; i < r->n_jumps && !r->error; i++) {
		const struct jump *j = &r->jumps[i];
		size_t target;

		target = r->start[j->target] - j->insn - 1;
		if (target > INT16_MAX) {
			bad(r);
			return;
		}
		r->code->insns[j->insn].off = (int16_t)target;
	}
}

static void reach(struct rule *r, uint64_t target)
{
	if (target < r->n_insns) {
		r->reached[target] = true;
	} else {
		bad(r);
	}
}

/* Jumps only go forward: one pass finds all that can be reached. */
static void find_reached(struct rule *r)
{
	memset(r->reached, 0, sizeof(r->reached));
	r->reached[0] = true;
	for (uint32_t i = 0; i < r->n_insns && !r->error; i++) {
		const struct sock_filter *f = &r->filter[i];
		uint64_t next = (uint64_t)i + 1;

		if (!r->reached[i] || BPF_CLASS(f->code) == BPF_RET || divides_by_zero(f)) {
			continue;
		}
		if (BPF_CLASS(f->code) != BPF_JMP) {
			reach(r, next);
		} else if (BPF_OP(f->code) == BPF_JA) {
			reach(r, next + f->k);
		} else {
			reach(r, next + f->jt);
			reach(r, next + f->jf);
		}
	}
}

/* Does any way through this rule end without a match? */
static bool falls_through(const struct rule *r)
{
	for (size_t i = 0; i < r->n_jumps; i++) {
		if (r->jumps[i].target == r->n_insns) {
			return true;
		}
	}
	return false;
}

static int make_rule(struct rule *r, const struct dysco_classifier_rule *rule, uint32_t index,
		     int after_fd)
{
	r->filter = rule->insns;
	r->n_insns = rule->n_insns;
	r->n_jumps = 0;
	r->error = 0;
	if (rule->n_insns == 0 || rule->n_insns > FILTER_INSNS) {
		return -EINVAL;
	}
	find_reached(r);
	only_at(r, rule);
	begin(r);
	for (r->at = 0; r->at < r->n_insns && !r->error; r->at++) {
		const struct sock_filter *f = &r->filter[r->at];

		r->start[r->at] = r->code->count;
		if (!r->reached[r->at]) {
			continue;
		}
		if (BPF_CLASS(f->code) == BPF_RET) {
			translate_return(r, f, index, rule->fail, after_fd);
		} else {
			translate(r, f);
		}
	}
	r->start[r->n_insns] = r->code->count;
	patch(r);
	return r->error;
}

/* Registers that stay, and the head of the packet. */
static void prologue(struct rule *r, int after_fd)
{
	op(r, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
	load_skb(r, L2, cb(DYSCO_BPF_CB_L2));
	mov(r, BPF_REG_2, L2);
	op(r, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0);
	op(r, ADD_64, BPF_REG_3, 0, 0, (uint32_t)STACK_HEAD);
	mov_k(r, BPF_REG_4, HEAD_BYTES);
	op(r, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
	/* Too short for TCP: over the end, which is 12 instructions. */
	op(r, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 12, 0);
	leave(r, DYSCO_BPF_NO_RULE, DYSCO_FAIL_CLOSED, after_fd);
}

int dysco_bpf_classifier_make(struct dysco_bpf_code *code,
			      const struct dysco_classifier_rule *rules, uint32_t n, int after_fd,
			      uint32_t *bad_rule)
{
	struct rule *r = calloc(1, sizeof(*r));
	bool more = true;
	int error;

	memset(code, 0, sizeof(*code));
	if (!r) {
		return -ENOMEM;
	}
	r->code = code;
	prologue(r, after_fd);
	for (uint32_t i = 0; i < n && more && !r->error; i++) {
		*bad_rule = i;
		r->error = make_rule(r, &rules[i], i, after_fd);
		more = falls_through(r);
	}
	if (more && !r->error) {
		leave(r, DYSCO_BPF_NO_RULE, DYSCO_FAIL_CLOSED, after_fd);
	}
	error = r->error;
	free(r);
	return error;
}
