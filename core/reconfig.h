/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of reconfiguration share (docs/protocol.md 12). One file a concept:
 *
 *   attempt.c  records, nonces that are over     newpath.c  SYN, SYN-ACK, ACKs of the new path
 *   control.c  control sessions                  anchor.c   states of the two anchors
 *   lock.c     locks between the anchors         relay.c    packets of a session in two paths
 *   reconfig.c commands, messages and timers to whom they concern
 */
#ifndef DYSCO_CORE_RECONFIG_H
#define DYSCO_CORE_RECONFIG_H

#include "core/internal.h"

#define DYSCO_RETRY_FIRST_NS (DYSCO_NS_PER_S / 4)
#define DYSCO_RETRY_MAX_NS   (2 * DYSCO_NS_PER_S)
#define DYSCO_TRIES_MAX	     8
#define DYSCO_LEASE_NS	     (30 * DYSCO_NS_PER_S)
#define DYSCO_RENEW_NS	     (10 * DYSCO_NS_PER_S)

/* A message of an attempt that came in. */
struct dysco_mail {
	struct dysco_work *w;
	uint32_t via; /* the control leg, or the leg of the new path, that it came by */
	uint16_t host;
	uint8_t type;  /* enum dysco_message_type */
	bool new_path; /* by a control segment: on the new path, but for what renews a lock */
	struct dysco_msg_control msg;
};

/* ---- attempt.c ---- */
DYSCO_INLINE struct dysco_attempt *dysco_attempt_at(const struct dysco_core *core, uint32_t index)
{
	return &core->table->attempts[index];
}
/* Of this message; DYSCO_NO_ATTEMPT: no room. */
uint32_t dysco_attempt_make(struct dysco_core *core, enum dysco_attempt_role role, uint16_t host,
			    const struct dysco_msg_control *msg);
void dysco_attempt_enter(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			 enum dysco_attempt_state state);
/* Its lease begins anew. */
void dysco_attempt_heard(struct dysco_core *core, uint64_t now_ns, uint32_t index);
/* From the left, by this control session: answers go there from now on. */
void dysco_attempt_heard_by(struct dysco_core *core, uint32_t index, uint32_t via, uint64_t now_ns);
uint32_t dysco_attempt_find(const struct dysco_core *core, uint16_t host, uint64_t nonce);
void dysco_attempt_end(struct dysco_core *core, uint64_t now_ns, uint32_t index);
enum dysco_nonce_fate { DYSCO_NONCE_UNKNOWN = 0, DYSCO_NONCE_FAILED, DYSCO_NONCE_COMPLETED };
void dysco_nonce_over(struct dysco_core *core, uint64_t nonce, bool completed);
enum dysco_nonce_fate dysco_nonce_fate(const struct dysco_core *core, uint64_t nonce);
/* An empty message of the attempt. */
struct dysco_msg_control dysco_attempt_message(const struct dysco_core *core, uint32_t index);

/* ---- control.c ---- */
/*
 * A control session beside the subsession of a leg, or (to != NULL) directly to
 * another host; its slot, DYSCO_NO_SLOT: no room.
 */
uint32_t dysco_ctl_open(struct dysco_core *core, uint64_t now_ns, uint32_t session_slot,
			uint32_t index, const struct dysco_addr *to);
/* Sends on it: as SYN, SYN-ACK or data, whatever it is ready for. */
void dysco_ctl_send(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		    enum dysco_message_type type, const struct dysco_msg_control *msg);
/* The attempt is over; the session lingers. */
void dysco_ctl_close(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint32_t index);
/* A SYN with a message of reconfiguration; slot: the leg of its five-tuple, if there is one. */
void dysco_ctl_syn_arrived(struct dysco_core *core, struct dysco_work *w,
			   const struct dysco_header *hdr, uint32_t slot);
void dysco_ctl_segment_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot);
/* The leg of this session at a host: of the message's subsession, or any. */
uint32_t dysco_leg_of_session(const struct dysco_core *core, uint16_t host,
			      const struct dysco_msg_control *msg);
/*
 * A SYN of another session has the five-tuple of this leg. true: it may have it (a
 * control session that only lingers is gone, *slot none); false: an attempt needs it.
 */
bool dysco_ctl_gives_way(struct dysco_core *core, uint32_t *slot);
/* As a control segment on a leg of the new path. */
void dysco_ctl_along(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		     enum dysco_message_type type, const struct dysco_msg_control *msg);

/* Sends FIN; what still comes is answered while it lingers. */
void dysco_ctl_finish(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out);
/* A message of health on it. */
void dysco_ctl_say(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		   const uint8_t *message, size_t bytes);

/* ---- probe.c ---- */
#define DYSCO_CHANNEL_IDLE_NS (60 * DYSCO_NS_PER_S)
/* Is this leg an end of a channel, and has none of its sides ended it? */
bool dysco_channel_is_open(const struct dysco_core *core, uint32_t slot);
/* Has anything come by this channel? */
bool dysco_channel_is_heard(const struct dysco_core *core, uint32_t slot);
/* Have both its sides ended it? */
bool dysco_channel_is_over(const struct dysco_core *core, uint32_t slot);
/* A SYN that ends there opens another one on the same ports. */
bool dysco_channel_is_old(const struct dysco_core *core, uint32_t slot, uint32_t syn_end);
/* PROBE or PROBE_REPLY came by it. */
void dysco_probe_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			 uint8_t type);

/* ---- lock.c ---- */
/* A LOCK that is new to this host. */
void dysco_lock_requested(struct dysco_core *core, const struct dysco_mail *mail);
void dysco_between_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
void dysco_kept_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
/* Nobody has it waiting any more. */
void dysco_kept_forget(struct dysco_core *core, uint32_t kept);
/* The request that waits for this one is looked at again. */
void dysco_kept_resume(struct dysco_core *core, struct dysco_work *w, uint32_t kept);
void dysco_kept_refuse(struct dysco_core *core, struct dysco_actions *out, uint64_t now_ns,
		       uint32_t kept, enum dysco_nack reason);
void dysco_lease_over(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		      struct dysco_actions *out);
/* Why a session cannot be reconfigured at this leg now. */
enum dysco_nack dysco_leg_not_ready(const struct dysco_leg *leg);
/* The same, but for what its SYNs said: that the other end may tell (late attach). */
enum dysco_nack dysco_leg_not_settled(const struct dysco_leg *leg);

/* ---- newpath.c ---- */
/* L: makes the new leg and sends the SYN; false: no room. */
bool dysco_new_path_begin(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			  struct dysco_actions *out);
/* Sends again what the state asks for: SYN (L), SYN-ACK (R), ACK (both). */
void dysco_new_path_syn(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
void dysco_new_path_ack(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
/* L, again, after the handshake: the window of now. */
void dysco_new_path_show(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
/* L, when the peer's cut is known: a peer that waits for a window is told of it. */
void dysco_new_path_grant(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
void dysco_new_path_reset(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
/* A SYN of a new path arrived at a host; true: dealt with (R, or refused). */
bool dysco_new_path_arrived(struct dysco_core *core, struct dysco_work *w,
			    const struct dysco_msg_syn *msg, uint32_t slot);
/* A box's legs on a new path were made: they begin locked (docs/protocol.md 12.4). */
void dysco_new_path_joined(struct dysco_core *core, struct dysco_work *w,
			   const struct dysco_msg_syn *msg, uint32_t left);

/* ---- anchor.c ---- */
void dysco_anchor_requested(struct dysco_core *core, const struct dysco_mail *mail, uint32_t left);
void dysco_left_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
void dysco_right_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
/* R: the SYN of the new path is here: SYN-ACK, opening ACK, READY. */
void dysco_right_answer_syn(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
/* A packet on the new leg of an anchor, or on its old one in two paths. */
void dysco_anchor_packet(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			 uint32_t index);
void dysco_anchor_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		      struct dysco_actions *out);
/* The session of this anchor is being reset: its attempt ends first. */
void dysco_anchor_session_over(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			       struct dysco_actions *out);
/* L: sends LOCK, again or for the first time. */
void dysco_anchor_lock(struct dysco_core *core, uint32_t index, struct dysco_actions *out);
void dysco_anchor_cancel(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			 enum dysco_nack reason, struct dysco_actions *out);

/* ---- trigger.c ---- */
void dysco_trigger_arrived(struct dysco_core *core, const struct dysco_mail *mail);
void dysco_trigger_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
void dysco_trigger_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		       struct dysco_actions *out);
void dysco_trigger_answer(struct dysco_core *core, uint32_t index, enum dysco_nack reason,
			  struct dysco_actions *out);
/* Would it take the session out of a box that it must go through (12.15)? */
bool dysco_leaves_mandatory(const struct dysco_core *core, uint32_t slot,
			    const struct dysco_address_list *path);

/* ---- recovery.c ---- */
/* L, before LOCK: the old path is left alone from here on; false: not at an end of the session. */
bool dysco_recovery_begin(struct dysco_core *core, uint32_t index);
/* What LOCK and LOCKED say of the own host's numbers. */
struct dysco_numbers dysco_recovery_numbers(const struct dysco_core *core, uint32_t slot);
/* R: do the two ends' numbers belong to one stream each, unchanged by boxes? */
bool dysco_recovery_fits(const struct dysco_core *core, const struct dysco_mail *mail,
			 uint32_t left);

/* ---- late.c ---- */
/* R: a leg for the session that LOCK names; DYSCO_NO_SLOT: not one of this host. */
uint32_t dysco_late_arrived(struct dysco_core *core, const struct dysco_mail *mail);
/* A keepalive: an idle peer answers, and R's agent sees a packet each way. */
void dysco_late_probe(struct dysco_core *core, uint32_t slot, struct dysco_actions *out);
/* The options of the session's SYNs, as LOCK carries them. */
struct dysco_numbers dysco_late_numbers(const struct dysco_core *core, uint32_t slot);
/* At the left anchor: what LOCKED tells of the SYNs, if it is not known there. */
void dysco_late_locked(struct dysco_core *core, uint32_t slot, const struct dysco_numbers *numbers);
/* A leg that waits for its first packet to see where and how its host's packets go by. */
bool dysco_late_learns(const struct dysco_core *core, uint32_t slot);
void dysco_late_learn(struct dysco_core *core, struct dysco_work *w, uint32_t slot);

/* ---- reconfig.c ---- */
/* As left anchor; DYSCO_NO_ATTEMPT and why not. nonce 0: a new one. */
uint32_t dysco_left_start(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint64_t nonce,
			  uint8_t kind, const struct dysco_address_list *path,
			  struct dysco_actions *out, enum dysco_nack *reason);
void dysco_mail_arrived(struct dysco_core *core, const struct dysco_mail *mail);
/* Answers with an empty message of the same attempt. */
void dysco_reply(struct dysco_core *core, const struct dysco_mail *mail,
		 enum dysco_message_type type, enum dysco_nack reason, uint16_t flags);
bool dysco_attempt_is_two_paths(const struct dysco_attempt *a);
bool dysco_attempt_is_anchor(const struct dysco_core *core, uint32_t index);
/* The session negotiated timestamps. */
bool dysco_leg_has_timestamps(const struct dysco_leg *leg);
/* TSval of a packet, 0: it has none. */
uint32_t dysco_packet_tsval(const struct dysco_packet *p, const uint8_t *data, const uint8_t *end);

#endif
