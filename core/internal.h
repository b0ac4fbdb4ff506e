/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the core share. One file a concept:
 *
 *   core.c     start, dispatch of punted packets          legs.c   slots, keys, pairs
 *   depart.c   SYN leaves a host                          ports.c  five-tuples of subsessions
 *   arrive.c   SYN arrives at a host                      chain.c  address lists from policies
 *   time.c     expiry, state reports, kill                replay.c counters of signed messages
 *   trace.c    control segments                           policy.c checks of a setup
 *   twopath.c  what goes where in two paths (pure)        segment.c packets and their numbers
 *   relay.c    packets of a session in two paths          names.c  legs by their session
 *   probe.c    health of hosts and of sessions' paths     known.c  what others made of the chain
 *   withdraw.c chains that were given up              reconfig.h the files of reconfiguration
 */
#ifndef DYSCO_CORE_INTERNAL_H
#define DYSCO_CORE_INTERNAL_H

#include "core/attempt.h"
#include "core/core.h"
#include "datapath/step.h"
#include "rewrite/numbers.h"

#define DYSCO_NS_PER_S	  1000000000ull
#define DYSCO_MTU_DEFAULT 1500u

/* A packet being worked on: the parsed input, and where it is copied to be changed. */
struct dysco_work {
	struct dysco_core *core;
	const struct dysco_input *in;
	struct dysco_actions *out;
	struct dysco_packet p;
	uint64_t now_ns;
};

/* An editable copy of a packet in the actions' arena. */
struct dysco_copy {
	uint8_t *data;
	size_t bytes, capacity;
	struct dysco_packet p;
};

/* ---- legs.c ---- */
DYSCO_INLINE struct dysco_leg *dysco_leg_at(const struct dysco_core *core, uint32_t slot)
{
	return &core->table->legs[slot];
}
DYSCO_INLINE struct dysco_leg_cold *dysco_cold_at(const struct dysco_core *core, uint32_t slot)
{
	return &core->table->cold[slot];
}
DYSCO_INLINE uint32_t dysco_find(const struct dysco_core *core, const struct dysco_tuple *tuple,
				 uint16_t host, enum dysco_direction direction)
{
	struct dysco_leg_key key = {*tuple, host, (uint8_t)direction, 0};

	return core->table->ops->find(core->table, &key);
}
struct dysco_leg_key dysco_leg_key_out(const struct dysco_leg *leg);
struct dysco_leg_key dysco_leg_key_in(const struct dysco_leg *leg);
void dysco_legs_start(struct dysco_core *core);
/* n_free(core) slots can be had; slot comes zeroed, DEAD, not bound. DYSCO_NO_SLOT: full. */
uint32_t dysco_leg_alloc(struct dysco_core *core);
bool dysco_legs_available(const struct dysco_core *core, uint32_t n);
int dysco_leg_bind(struct dysco_core *core, uint32_t slot, enum dysco_direction direction);
void dysco_leg_unbind(struct dysco_core *core, uint32_t slot, enum dysco_direction direction);
/* Unbinds, frees the slot; the partner stays without a partner. */
void dysco_leg_free(struct dysco_core *core, uint32_t slot);
/* The session ends here: both legs DEAD, keys kept, so that what still comes is dropped. */
void dysco_leg_stop(struct dysco_core *core, uint64_t now_ns, uint32_t slot);
/* The session gives way to another: as above, but the OUT keys are free. */
void dysco_leg_retire(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out);
/* From the core (mode PUNT) to the fast path. */
void dysco_leg_set_fast(struct dysco_core *core, uint32_t slot);
/* Marks the end of a leg once: counts, and gives back the boxes' session counts. */
void dysco_leg_ended(struct dysco_core *core, uint64_t now_ns, uint32_t slot);
/* The SYN is tried again after a RST had answered it: what the RST said of this leg is void. */
void dysco_leg_revive(struct dysco_core *core, uint32_t slot);
bool dysco_leg_is_over(const struct dysco_leg *leg);
/*
 * Whoever sends in this direction has acknowledged the answer to its SYN: a copy of that is one
 * which was overtaken, since SYNs go through agents and the rest does not.
 */
bool dysco_leg_outran_syn(const struct dysco_leg *leg, enum dysco_direction direction);
/* Its subsession carries data: in mode FAST, or by way of the core in two paths. */
bool dysco_leg_runs(const struct dysco_leg *leg);
bool dysco_leg_is_embryonic(const struct dysco_leg *leg);
void dysco_count_boxes(struct dysco_core *core, uint32_t slot, int by);
void dysco_recount_boxes(struct dysco_core *core);

/* The OUT key passes from one leg to another, without a moment in which nobody has it. */
void dysco_leg_move(struct dysco_core *core, uint32_t from, uint32_t to);

/* ---- names.c ---- */
/* From the legs as the table has them. */
void dysco_names_start(struct dysco_core *core);
/* The leg has its role, host, id and session; or has others now. */
void dysco_leg_named(struct dysco_core *core, uint32_t slot);
void dysco_leg_unnamed(struct dysco_core *core, uint32_t slot);
bool dysco_leg_is_named(const struct dysco_core *core, uint32_t slot);
/* The next leg of a host behind `after` (DYSCO_NO_SLOT: the first), in whatever state it is. */
uint32_t dysco_leg_by_id(const struct dysco_core *core, uint16_t host,
			 const struct dysco_session_id *id, uint32_t after);
/* Likewise; the session's five-tuple in either direction. */
uint32_t dysco_leg_by_session(const struct dysco_core *core, uint16_t host,
			      const struct dysco_tuple *session, uint32_t after);

/* ---- core.c: answers ---- */
void dysco_count(struct dysco_core *core, enum dysco_counter counter);
struct dysco_action *dysco_act(struct dysco_actions *out, enum dysco_action_kind kind,
			       uint32_t slot);
void dysco_event(struct dysco_actions *out, enum dysco_event_kind event, uint32_t slot,
		 enum dysco_reason reason);
void dysco_drop(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		enum dysco_reason reason);
void dysco_pass(struct dysco_work *w, uint32_t slot);
/* Copies the input to the arena; false when it is too large (nothing done). */
bool dysco_copy_input(struct dysco_work *w, struct dysco_copy *copy);
/* The copy goes out as SEND or DELIVER. */
void dysco_emit(struct dysco_work *w, enum dysco_action_kind kind, uint32_t slot,
		const struct dysco_copy *copy);
/* Plain translation along a leg, as the fast path does it. */
void dysco_forward(struct dysco_core *core, struct dysco_work *w, uint32_t slot);
/* A segment of our own, without input, in host numbers; false: no room left in the actions. */
bool dysco_emit_segment(struct dysco_core *core, struct dysco_actions *out,
			enum dysco_action_kind kind, uint32_t slot, uint8_t flags, uint32_t seq,
			uint32_t ack, uint16_t exid, const uint8_t *payload, size_t bytes);

/* The same with TCP options, the first `options` of the n bytes in rest, and in wire numbers. */
bool dysco_emit_tcp(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		    uint8_t flags, uint32_t seq, uint32_t ack, const uint8_t *rest, size_t options,
		    size_t n);
/* In place of the peer: an empty segment for the host, with these numbers, window and n bytes of
 * TCP options. */
bool dysco_emit_ack(struct dysco_core *core, struct dysco_actions *out, uint32_t slot, uint32_t seq,
		    uint32_t ack, uint16_t window, const uint8_t *options, size_t n);
/* A RST that belongs to no leg, back along the input's link. */
void dysco_emit_reset(struct dysco_work *w, const struct dysco_tuple *tuple, uint32_t seq,
		      uint32_t ack);

/* ---- depart.c, arrive.c ---- */
void dysco_syn_departed(struct dysco_core *core, struct dysco_work *w);
void dysco_syn_arrived(struct dysco_core *core, struct dysco_work *w);
void dysco_syn_refused(struct dysco_core *core, struct dysco_work *w, uint32_t slot);
void dysco_syn_superseded(struct dysco_core *core, struct dysco_work *w, uint32_t slot);
uint32_t dysco_tag_of(const struct dysco_core *core, uint32_t slot);

/* ---- withdraw.c ---- */
/* The chain behind this leg was given up: its hosts will be told, as time passes. */
void dysco_withdraw(struct dysco_core *core, uint32_t slot);
/*
 * The same where the leg goes on with another subsession: the one that it has gets a leg
 * of its own, which is over, and has the IN key.
 */
void dysco_withdraw_apart(struct dysco_core *core, uint64_t now_ns, uint32_t slot);
/* Says it, if it is time to. */
void dysco_withdraw_due(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			struct dysco_actions *out);
/*
 * A SYN comes OUT without a tag; slot: the leg on its five-tuple, or none. Is it one that a
 * box got by a chain that was given up? It got so many; further ones are somebody else's.
 */
bool dysco_withdraw_owed(struct dysco_core *core, const struct dysco_work *w, uint32_t slot);
/* WITHDRAW came by a SYN; slot: the leg on its five-tuple. */
void dysco_withdraw_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot);

/* ---- ports.c ---- */
/* Chooses ports for wire->src/dst so that the IN key is free; false: none left. */
bool dysco_ports_choose(struct dysco_core *core, uint16_t host, struct dysco_tuple *wire);
uint64_t dysco_random(struct dysco_core *core);
void dysco_session_id_make(struct dysco_core *core, struct dysco_session_id *id);

/* ---- chain.c ---- */
struct dysco_text { /* a bounded text */
	char *at;
	size_t used, size;
};
void dysco_text_add(struct dysco_text *text, const char *s);
/*
 * Puts the hops of a policy at list->hops[at...] and counts them in *own. Boxes
 * already listed and this host itself are left out. DYSCO_REASON_NONE or why not
 * (the list is then unusable).
 */
enum dysco_reason dysco_chain_add(const struct dysco_core *core, uint16_t policy,
				  const struct dysco_host *host, const struct dysco_tuple *session,
				  struct dysco_address_list *list, uint8_t at, uint8_t *own,
				  bool *exit, char *why, size_t why_bytes);
enum dysco_reason dysco_chain_first(const struct dysco_core *core, uint16_t policy,
				    const struct dysco_host *host,
				    const struct dysco_tuple *session,
				    struct dysco_address_list *list, uint8_t *own, char *why,
				    size_t why_bytes);
void dysco_chain_advance(struct dysco_core *core, uint16_t policy);
bool dysco_chain_has_policy(const struct dysco_address_list *list, uint32_t tag);
/* The host's own address in this family, NULL: it has none. */
const struct dysco_addr *dysco_host_address(const struct dysco_host *host, bool ip4);

/* ---- known.c: the chain as others have made it ---- */
/* As the host of this leg knows it; next: the right one of the two hosts of its subsession. */
void dysco_chain_at(const struct dysco_core *core, uint32_t slot, struct dysco_address_list *list);
/* The neighbour on this leg has told it (empty: it has not): what lies on its side is so. */
void dysco_chain_learn(struct dysco_core *core, uint32_t slot,
		       const struct dysco_address_list *told);
/* Is all known that lies between this leg's host and the right anchor? */
bool dysco_chain_is_known(const struct dysco_core *core, uint32_t slot,
			  const struct dysco_address_list *told, const struct dysco_addr *right);
/* The list of this leg, which faces right, has changed: its partner has the same one. */
void dysco_chain_share(struct dysco_core *core, uint32_t slot);
/* CHAIN on this leg, once; it may be lost. */
void dysco_chain_tell(struct dysco_core *core, struct dysco_actions *out, uint32_t slot);
/* CHAIN came by this leg: learned, and passed on. */
void dysco_chain_told(struct dysco_core *core, struct dysco_work *w, uint32_t slot);

/* ---- relay.c: two paths ---- */
/* The own cut, if it were made now. */
uint32_t dysco_relay_next_cut(const struct dysco_core *core, const struct dysco_attempt *a);
/* Own cut is made: fills a->two from the old leg's running fields, and the new leg's numbers. */
void dysco_relay_begin(struct dysco_core *core, struct dysco_attempt *a);
/* The peer's cut is there, in the peer's host numbers. */
void dysco_relay_peer_cut(struct dysco_core *core, struct dysco_attempt *a, uint32_t cut);
/* The peer has said DONE: all that our host sent on the old path is acknowledged. */
void dysco_relay_peer_done(struct dysco_core *core, uint64_t now_ns, struct dysco_attempt *a,
			   struct dysco_actions *out);
/* One path is left: NEW when all is done, OLD after a roll-back. The caller sets modes. */
void dysco_relay_end(struct dysco_core *core, struct dysco_attempt *a, enum dysco_path path);
/* A packet of the host; one that came by a path, not a control segment. Each answers w->in. */
void dysco_relay_out(struct dysco_core *core, struct dysco_work *w, struct dysco_attempt *a);
void dysco_relay_in(struct dysco_core *core, struct dysco_work *w, struct dysco_attempt *a,
		    enum dysco_path path);
uint8_t dysco_shift_of(const struct dysco_leg *leg, enum dysco_direction direction);
uint32_t dysco_window_of(const struct dysco_leg *leg, enum dysco_direction direction);
/*
 * The same, but 0 where only the handshake of a new path has shown one: that was counted from
 * another number, and nobody has granted it.
 */
uint32_t dysco_granted(const struct dysco_leg *leg, enum dysco_direction direction);
/* A packet of the host that begins below the floor of its leg (mode FAST). */
void dysco_relay_floor(struct dysco_core *core, struct dysco_work *w, uint32_t slot);

/* ---- newpath.c ---- */
/* A SYN-ACK has come to a leg that was changed. */
void dysco_handshake_is_over(struct dysco_core *core, struct dysco_work *w, uint32_t slot);

#define DYSCO_TIMESTAMP_BYTES 12
/* The option, with what aligns it; its bytes. */
size_t dysco_put_timestamp(uint8_t *at, uint32_t tsval, uint32_t tsecr);

/* ---- replay.c ---- */
enum dysco_reason dysco_replay_check(struct dysco_core *core, uint64_t sender, uint64_t counter);

/* ---- trace.c ---- */
void dysco_control_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot);
enum dysco_reason dysco_open_message(struct dysco_core *core, struct dysco_header *hdr,
				     const uint8_t *payload, size_t bytes);
const struct dysco_key *dysco_sign(struct dysco_core *core, struct dysco_header *hdr);
/* A control segment on a leg: inside every strict window. */
bool dysco_send_control(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
			const uint8_t *message, size_t bytes);

void dysco_report_fill(const struct dysco_core *core, uint32_t slot, struct dysco_report *report);

/* ---- time.c ---- */
/* RST both ways, and the event; false: it has ended already. */
bool dysco_kill_session(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			struct dysco_actions *out);
/* RST with exact numbers, to both neighbours and the host. */
void dysco_reset_session(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			 struct dysco_actions *out);
/* The box of this pair of legs is told, from either side, that its session is over; legs end. */
void dysco_leave_box(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		     struct dysco_actions *out);

/* ---- reconfiguration, as the other files see it (core/reconfig.h) ---- */
struct dysco_attempt_name dysco_attempt_name_of(const struct dysco_core *core, uint32_t index);
/* Of the attempt that made this RIGHT leg, if one did: what its SYNs carry on. */
struct dysco_attempt_name dysco_new_path_name(const struct dysco_core *core, uint32_t slot);
/* A leg is gone for good: attempts that pass through its host have ended there. */
void dysco_attempt_leg_gone(struct dysco_core *core, uint32_t slot);
/* The session of this leg is being reset. */
void dysco_attempt_session_over(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
				struct dysco_actions *out);
/* The same of both legs of a pair: an anchor without its leg would wait for ever. */
void dysco_attempts_over(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			 struct dysco_actions *out);
bool dysco_attempt_due_at(const struct dysco_core *core, uint64_t now_ns, uint32_t index);

#endif
