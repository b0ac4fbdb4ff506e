/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dysco messages: what an agent writes into the payload of a SYN (paper II-A)
 * and into a control segment, and how it is signed (paper II-E).
 *
 * Freestanding. docs/protocol.md is the normative text; the picture:
 *
 *    0                   1                   2                   3
 *   +-------------------------------+-------------------------------+
 *   |                    magic 0xD75C0C0D                           |
 *   +---------------+---------------+-------------------------------+
 *   | version = 1   | type          | total length, bytes           |
 *   +---------------+---------------+-------------------------------+
 *   | key id (0: not signed)        | reserved, 0                   |
 *   +-------------------------------+-------------------------------+
 *   | sender: 64-bit random id of the signing agent                 |
 *   |                                                               |
 *   +---------------------------------------------------------------+
 *   | replay counter: 64 bits, grows with each message of a sender  |
 *   |                                                               |
 *   +---------------------------------------------------------------+  28
 *   | TLVs: type (8) flags (8) length of the value (16) value ...   |
 *   +---------------------------------------------------------------+
 *   | last TLV, iff key id != 0: HMAC-SHA-256 (32 bytes) over all   |
 *   | bytes of the message before its value                         |
 *   +---------------------------------------------------------------+
 *
 * All integers are big-endian. Addresses take 16 bytes (types.h). A TLV of an
 * unknown type is skipped when bit 0 of its flags is 0, else the message is
 * refused. Values are packed, not padded. Every TLV appears at most once.
 */
#ifndef DYSCO_WIRE_MESSAGE_H
#define DYSCO_WIRE_MESSAGE_H

#include "wire/types.h"

#define DYSCO_MAGIC	   0xD75C0C0Du
#define DYSCO_VERSION_WIRE 1
#define DYSCO_HEADER_BYTES 28
#define DYSCO_TLV_BYTES	   4 /* type, flags, length */
#define DYSCO_HMAC_BYTES   32
#define DYSCO_HOPS_MAX	   24 /* of one address list, the destination included */
#define DYSCO_HOP_BYTES	   24
#define DYSCO_MESSAGE_MAX  1024 /* bytes; an encoder never exceeds it */
#define DYSCO_NAME_BYTES   32	/* names of policies, hosts, boxes: NUL-padded */

/* TCP experimental option (RFC 4727, RFC 6994): kind, length, ExID, rest. */
#define DYSCO_TCPOPT_KIND  253
#define DYSCO_EXID_MARK	   0xD75C /* length 4: "the payload starts with a Dysco message" */
#define DYSCO_EXID_TAG	   0xD75D /* length 8: + 32-bit local tag, only inside a middlebox host */
#define DYSCO_OPT_MARK_LEN 4
#define DYSCO_OPT_TAG_LEN  8

enum dysco_message_type {
	DYSCO_MSG_SYN = 1,	   /* in a SYN: sets up one subsession */
	DYSCO_MSG_TRACE = 2,	   /* control: tell me about your legs of this session */
	DYSCO_MSG_TRACE_REPLY = 3, /* control: one agent's answer */
	/* reconfiguration (docs/protocol.md 12.2): struct dysco_msg_control */
	DYSCO_MSG_LOCK = 4,
	DYSCO_MSG_LOCKED,
	DYSCO_MSG_NACK,
	DYSCO_MSG_CANCEL,
	DYSCO_MSG_CANCELLED,
	DYSCO_MSG_READY,
	DYSCO_MSG_CUT,
	DYSCO_MSG_DONE,
	DYSCO_MSG_RELEASE,
	DYSCO_MSG_RELEASED,
	DYSCO_MSG_TRIGGER,
	DYSCO_MSG_TRIGGER_REPLY,
	/* health (docs/protocol.md 12.14): struct dysco_msg_trace, struct dysco_msg_probe_reply */
	DYSCO_MSG_PROBE = 16,
	DYSCO_MSG_PROBE_REPLY = 17,
	DYSCO_MSG_CHAIN = 18, /* control: the chain as my host knows it: struct dysco_msg_chain */
	/* in a SYN: that of this subsession is void (docs/protocol.md 7.7): a session id alone */
	DYSCO_MSG_WITHDRAW = 19,
};

enum dysco_tlv_type {
	DYSCO_TLV_SESSION_ID = 1, /* 16 random bytes, given by the first agent */
	DYSCO_TLV_SESSION = 2,	  /* 36: session five-tuple, initiator first */
	DYSCO_TLV_SUBSESSION = 3, /* 36: subsession five-tuple as sent; shows a NAT on the way */
	DYSCO_TLV_ADDRESSES = 4,  /* 4 + 24 n: next (8), count (8), reserved (16), then hops */
	DYSCO_TLV_TRACE = 5,	  /* 8: nonce (32), hop (8), flags (8), reserved (16) */
	DYSCO_TLV_REPORT = 6,	  /* struct dysco_report, packed big-endian */
	DYSCO_TLV_HMAC = 7,	  /* 32 */
	DYSCO_TLV_ATTEMPT = 8,	  /* 44: nonce, left and right anchor, kind, reason, flags */
	DYSCO_TLV_NUMBERS = 9,	  /* 16: seq, ts, base, edge */
	DYSCO_TLV_CHAIN = 10,	  /* as ADDRESSES; next: the right one of the message's two hosts */
	DYSCO_TLV_TYPES,
};

/* One element of the address list, 24 bytes on the wire: addr, flags, reserved(16), policy. */
#define DYSCO_HOP_EXIT                                                                             \
	0x0001 /* the list ends here, though the session goes on (partial deployment) */
#define DYSCO_HOP_MANDATORY                                                                        \
	0x0002 /* the session is not to be taken out of this box (docs/protocol.md 12.15) */
struct dysco_hop {
	struct dysco_addr addr;
	uint16_t flags;
	uint32_t
	    policy; /* tag of the policy that put it here (dysco_policy.tag); 0: the destination */
};

/*
 * The address list. It is carried whole: hops[next] is the host this SYN is
 * addressed to, hops[0 .. next-1] have been traversed.
 */
struct dysco_address_list {
	uint8_t next;
	uint8_t count; /* 1 .. DYSCO_HOPS_MAX, next < count */
	struct dysco_hop hops[DYSCO_HOPS_MAX];
};

struct dysco_session_id {
	uint8_t b[16];
};

/* What every message carries beside its type. Filled by decode; given to encode. */
struct dysco_header {
	uint8_t type;	 /* enum dysco_message_type */
	uint16_t key_id; /* 0: not signed */
	uint64_t sender;
	uint64_t counter;
	uint16_t total_bytes; /* decode only: where foreign payload (TCP Fast Open) begins */
};

/* Names an attempt to reconfigure a session (docs/protocol.md 12.2). */
struct dysco_attempt_name {
	uint64_t nonce;		       /* != 0 */
	struct dysco_addr left, right; /* the anchors' hosts */
	uint8_t kind;		       /* enum dysco_attempt_kind */
	uint8_t reason;		       /* enum dysco_nack */
	uint16_t flags;		       /* DYSCO_CONTROL_* */
};
enum dysco_attempt_kind { DYSCO_KIND_ORDINARY = 0, DYSCO_KIND_RECOVERY, DYSCO_KIND_LATE };
#define DYSCO_CONTROL_SEEN    0x0001 /* CUT, DONE: "I have yours" */
#define DYSCO_CONTROL_REFUSED 0x0002 /* CUT: a CANCEL came too late */
#define DYSCO_CONTROL_LAST    0x0004 /* RELEASE: L waits for RELEASED no longer */

/* Why an attempt is refused or has failed. X(symbol, name, text) */
#define DYSCO_NACKS(X)                                                                             \
	X(NONE, "none", "nothing is wrong")                                                        \
	X(BUSY, "busy", "another reconfiguration is under way")                                    \
	X(NO_ANCHOR, "no_anchor", "the right anchor is not on the right of the left one")          \
	X(UNKNOWN, "unknown", "no such session")                                                   \
	X(CLOSING, "closing", "the session is ending")                                             \
	X(NOT_READY, "not_ready", "not established yet, or a box has not frozen its deltas")       \
	X(INVALID, "invalid", "a host would be on both paths, or twice on one")                    \
	X(RESOURCES, "resources", "no room for legs, ports or attempts")                           \
	X(POLICY, "policy", "refused by policy")                                                   \
	X(EXPIRED, "expired", "the attempt is over")                                               \
	X(NEW_PATH, "new_path", "the new path did not come up")                                    \
	X(RENUMBERED, "renumbered", "a box of the new path changes sequence numbers")              \
	X(TIMEOUT, "timeout", "no answer")                                                         \
	X(CANCELLED, "cancelled", "cancelled on request")                                          \
	X(CHANGED, "changed", "another agent has changed the chain meanwhile")
enum dysco_nack {
#define X(sym, name, text) DYSCO_NACK_##sym,
	DYSCO_NACKS(X)
#undef X
	    DYSCO_NACK_COUNT
};

/* What the numbers mean, by type of message: docs/protocol.md 12.2. Host order. */
struct dysco_numbers {
	uint32_t seq, ts, base, edge;
};

/* DYSCO_MSG_LOCK .. DYSCO_MSG_TRIGGER_REPLY; what a type does not carry is zero. */
struct dysco_msg_control {
	struct dysco_session_id id;
	struct dysco_attempt_name attempt;
	struct dysco_tuple subsession;	 /* LOCK: of the old path, as the sender wrote it */
	struct dysco_address_list list;	 /* LOCK, TRIGGER: the new path, right anchor last */
	struct dysco_numbers numbers;	 /* LOCK, LOCKED, READY, CUT */
	struct dysco_address_list chain; /* LOCKED, NACK: as the sender knows it; count 0: none */
};

/* DYSCO_MSG_CHAIN. In a list `next` is the right one of the two hosts the message goes between. */
struct dysco_msg_chain {
	struct dysco_session_id id;
	struct dysco_address_list list;
};

struct dysco_msg_syn {
	struct dysco_session_id id;
	struct dysco_tuple session;    /* as the initiator's host wrote it */
	struct dysco_tuple subsession; /* as the sending agent wrote it */
	struct dysco_address_list list;
	struct dysco_attempt_name attempt; /* nonce 0: an ordinary SYN; else one of a new path */
};

struct dysco_msg_trace {
	struct dysco_session_id id;
	uint32_t nonce;
	uint8_t hop;   /* agents passed so far, the asking agent being 0 */
	uint8_t flags; /* DYSCO_TRACE_LEFTWARD */
};
#define DYSCO_TRACE_LEFTWARD 0x01 /* travels towards the initiator */
#define DYSCO_PROBE_NUDGE    0x02 /* PROBE: send a segment of the session from your host, too */
#define DYSCO_PROBE_CLOSE    0x04 /* PROBE: end your part of the session */
#define DYSCO_PROBE_LOOK                                                                           \
	0x08 /* PROBE: what my host sends is not acknowledged: look at the path                    \
	      */

/* One agent's report on one host of the chain (trace). */
struct dysco_report_leg {
	struct dysco_tuple host; /* host-side five-tuple, outward: source is this host's side */
	struct dysco_tuple wire; /* wire five-tuple, outward */
	uint64_t packets_out, bytes_out, packets_in, bytes_in;
	uint8_t state;	 /* enum dysco_leg_state */
	uint8_t present; /* 0: the host has no leg on this side (it is an end of the chain) */
};
struct dysco_report {
	char agent[DYSCO_NAME_BYTES];
	char host[DYSCO_NAME_BYTES];
	struct dysco_report_leg left, right; /* towards the initiator, towards the destination */
};
struct dysco_msg_trace_reply {
	struct dysco_msg_trace
	    trace; /* nonce and id copied from the question; hop: the answering agent's */
	struct dysco_report report;
};

/* DYSCO_MSG_PROBE is a struct dysco_msg_trace, id all zero: about no session. The answer: */
struct dysco_msg_probe_reply {
	struct dysco_msg_trace trace; /* copied from the question */
	bool known;		      /* the session is: what follows is there */
	struct dysco_report report;
	struct dysco_numbers numbers; /* seq, base: initial number of the SYN, left and right */
};

struct dysco_key {
	uint16_t id; /* != 0 */
	uint8_t bytes[32];
};

/* Results of decoding. Negative: the message is refused. */
enum dysco_decode {
	DYSCO_DECODE_OK = 0,
	DYSCO_DECODE_NOT_OURS = -1,  /* no magic: foreign payload, leave it alone */
	DYSCO_DECODE_TRUNCATED = -2, /* shorter than it says, or than a header */
	DYSCO_DECODE_VERSION = -3,
	DYSCO_DECODE_MALFORMED = -4, /* a length that lies, a missing or repeated TLV, a bad list */
	DYSCO_DECODE_UNSIGNED = -5,  /* a key is configured, the message has none */
	DYSCO_DECODE_KEY = -6,	     /* signed with a key id that is not configured */
	DYSCO_DECODE_FORGED = -7,    /* HMAC does not match */
};

/* The payload begins as a Dysco message does. */
DYSCO_INLINE bool dysco_message_is_ours(const uint8_t *payload, size_t bytes)
{
	return bytes >= 4 && payload[0] == (DYSCO_MAGIC >> 24) &&
	       payload[1] == ((DYSCO_MAGIC >> 16) & 0xff) &&
	       payload[2] == ((DYSCO_MAGIC >> 8) & 0xff) && payload[3] == (DYSCO_MAGIC & 0xff);
}

/*
 * Header, structure and signature. keys/n_keys: the keys configured; with
 * n_keys == 0 signatures are not looked at. Constant-time comparison.
 * On DYSCO_DECODE_OK *hdr is filled and the TLVs are known to be well-formed:
 * lengths add up, none is repeated, the required ones of this type are there.
 */
DYSCO_FUNC int dysco_message_open(struct dysco_header *hdr, const uint8_t *payload, size_t bytes,
				  const struct dysco_key *keys, size_t n_keys);

/* After dysco_message_open said OK for that type: cannot fail. */
DYSCO_FUNC void dysco_message_read_syn(struct dysco_msg_syn *msg, const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_control(struct dysco_msg_control *msg, const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_chain(struct dysco_msg_chain *msg, const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_withdraw(struct dysco_session_id *id, const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_trace(struct dysco_msg_trace *msg, const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_trace_reply(struct dysco_msg_trace_reply *msg,
					       const uint8_t *payload);
DYSCO_FUNC void dysco_message_read_probe_reply(struct dysco_msg_probe_reply *msg,
					       const uint8_t *payload);

/*
 * Encode into out[DYSCO_MESSAGE_MAX]; returns the bytes written. key NULL:
 * unsigned (hdr->key_id is ignored and written from key). Cannot fail: every
 * message of valid structures fits.
 */
DYSCO_FUNC size_t dysco_message_write_syn(uint8_t *out, const struct dysco_header *hdr,
					  const struct dysco_msg_syn *msg,
					  const struct dysco_key *key);
/* hdr->type says which. */
DYSCO_FUNC size_t dysco_message_write_control(uint8_t *out, const struct dysco_header *hdr,
					      const struct dysco_msg_control *msg,
					      const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_chain(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_chain *msg,
					    const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_withdraw(uint8_t *out, const struct dysco_header *hdr,
					       const struct dysco_session_id *id,
					       const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_trace(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_trace *msg,
					    const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_trace_reply(uint8_t *out, const struct dysco_header *hdr,
						  const struct dysco_msg_trace_reply *msg,
						  const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_probe(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_trace *msg,
					    const struct dysco_key *key);
DYSCO_FUNC size_t dysco_message_write_probe_reply(uint8_t *out, const struct dysco_header *hdr,
						  const struct dysco_msg_probe_reply *msg,
						  const struct dysco_key *key);

/* Of DYSCO_MSG_LOCK .. DYSCO_MSG_TRIGGER_REPLY? */
DYSCO_INLINE bool dysco_message_is_control(uint8_t type)
{
	return type >= DYSCO_MSG_LOCK && type <= DYSCO_MSG_TRIGGER_REPLY;
}

/* Of DYSCO_MSG_PROBE, DYSCO_MSG_PROBE_REPLY? */
DYSCO_INLINE bool dysco_message_is_probe(uint8_t type)
{
	return type == DYSCO_MSG_PROBE || type == DYSCO_MSG_PROBE_REPLY;
}

#include "wire/message_impl.h"
#include "wire/control_impl.h"
#include "wire/probe_impl.h"

#endif
