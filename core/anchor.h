/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the anchors share: anchor.c has what both do, anchor_left.c and
 * anchor_right.c what each does alone. States and messages: docs/protocol.md 12.
 */
#ifndef DYSCO_CORE_ANCHOR_H
#define DYSCO_CORE_ANCHOR_H

#include "core/reconfig.h"

void dysco_anchor_tell_plain(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			     enum dysco_message_type type, uint16_t flags, bool both);
void dysco_anchor_tell_cut(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			   uint16_t flags);
void dysco_anchor_answer_cut(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index,
			     uint16_t flags);
/* What renews a lock, on both paths: NATs on them may see nothing of the session for long. */
void dysco_anchor_keep_warm(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			    enum dysco_message_type type, const struct dysco_msg_control *msg);
void dysco_anchor_tell_done(struct dysco_core *core, struct dysco_actions *out, uint32_t index);
void dysco_anchor_set_mode(struct dysco_core *core, uint32_t slot, enum dysco_leg_mode mode);
void dysco_anchor_end_failed(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			     struct dysco_actions *out);
void dysco_anchor_end_request(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			      struct dysco_actions *out);
void dysco_anchor_end_completed(struct dysco_core *core, uint64_t now_ns, uint32_t index,
				struct dysco_actions *out);
void dysco_anchor_make_cut(struct dysco_core *core, uint32_t index);
/* An ACK of the peer's agent came by the new path: its boxes have seen this window. */
void dysco_anchor_window_came(struct dysco_core *core, const struct dysco_packet *p,
			      uint32_t index);
/* The right edge that the peer's host has granted on the old path, as far as is known here. */
uint32_t dysco_anchor_edge(const struct dysco_core *core, uint32_t index);
/* No byte that may follow an own cut made now lies beyond the window that the boxes have seen. */
bool dysco_anchor_window_shown(const struct dysco_core *core, uint32_t index);
bool dysco_anchor_is_closing(const struct dysco_leg *leg);
void dysco_anchor_finish(struct dysco_core *core, struct dysco_work *w, uint32_t index);
void dysco_anchor_progress(struct dysco_core *core, struct dysco_work *w, uint32_t index);
void dysco_anchor_peer_gone(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
void dysco_anchor_peer_done(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index);
void dysco_left_handshake(struct dysco_core *core, struct dysco_work *w, uint32_t index);
void dysco_right_handshake(struct dysco_core *core, struct dysco_work *w, uint32_t index);
void dysco_left_repeat(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		       struct dysco_actions *out);
void dysco_left_too_often(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			  struct dysco_actions *out);
void dysco_right_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		     struct dysco_actions *out);

#endif
