/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State x event pairs that no configuration meets, and why not: role, state (0:
 * any), event. Included by cover.c.
 */
#define LEFT	DYSCO_PART_LEFT_ANCHOR
#define RIGHT	DYSCO_PART_RIGHT_ANCHOR
#define BETWEEN DYSCO_PART_BETWEEN
#define KEPT	DYSCO_PART_KEPT
#define PAIR(role, state, msg, why)                                                                \
	{                                                                                          \
		role, DYSCO_ATTEMPT_##state, DYSCO_MSG_##msg, why                                  \
	}

/* A nonce is used once, and each of these answers something that L says in a later state only. */
#define NOT_YET "R says it only after what L does in a later state"
PAIR(LEFT, REQUESTING, CANCELLED, NOT_YET), PAIR(LEFT, REQUESTING, READY, NOT_YET),
    PAIR(LEFT, REQUESTING, CUT, NOT_YET), PAIR(LEFT, REQUESTING, DONE, NOT_YET),
    PAIR(LEFT, REQUESTING, RELEASED, NOT_YET), PAIR(LEFT, SETTING_UP, CANCELLED, NOT_YET),
    PAIR(LEFT, SETTING_UP, CUT, NOT_YET), PAIR(LEFT, SETTING_UP, DONE, NOT_YET),
    PAIR(LEFT, SETTING_UP, RELEASED, NOT_YET), PAIR(LEFT, PROVING, CANCELLED, NOT_YET),
    PAIR(LEFT, PROVING, CUT, NOT_YET), PAIR(LEFT, PROVING, DONE, NOT_YET),
    PAIR(LEFT, PROVING, RELEASED, NOT_YET), PAIR(LEFT, CUTTING, CANCELLED, NOT_YET),
    PAIR(LEFT, CUTTING, RELEASED, NOT_YET), PAIR(LEFT, TWO_PATHS, RELEASED, NOT_YET),
    PAIR(LEFT, DONE, RELEASED, NOT_YET),

/* CANCEL is agreed to only by an R that then ends: L, which has both cuts, never asked. */
#define NEVER_ASKED "L is past CANCEL, and R agrees to it once"
    PAIR(LEFT, TWO_PATHS, CANCELLED, NEVER_ASKED), PAIR(LEFT, DONE, CANCELLED, NEVER_ASKED),
    PAIR(LEFT, RELEASING, CANCELLED, NEVER_ASKED),
    PAIR(LEFT, CANCELLING, RELEASED, "a L that cancels has said no RELEASE"),

/* A box that resets the new path by itself, after its SYN-ACK, is in no configuration. */
#define NO_SUCH_BOX "needs a box that resets a connection by itself"
    PAIR(LEFT, PROVING, NACK, NO_SUCH_BOX),

    /* R has ended by a RST while L still is in two paths: the NACK needs L to speak before that RST
       comes by either path. */
    PAIR(LEFT, TWO_PATHS, NACK, "L speaks in two paths only to renew leases"),
    PAIR(LEFT, DONE, NACK, "needs both RSTs lost and DONE repeated: beyond the cost explored"),

/* What L says only when R has gone on. */
#define NOT_BEFORE "L says it only after what R does in a later state"
    PAIR(RIGHT, REQUESTED, CUT, NOT_BEFORE), PAIR(RIGHT, REQUESTED, DONE, NOT_BEFORE),
    PAIR(RIGHT, REQUESTED, RELEASE, NOT_BEFORE), PAIR(RIGHT, WAITING, DONE, NOT_BEFORE),
    PAIR(RIGHT, WAITING, RELEASE, NOT_BEFORE), PAIR(RIGHT, READY, DONE, NOT_BEFORE),
    PAIR(RIGHT, READY, RELEASE, NOT_BEFORE), PAIR(RIGHT, TWO_PATHS, RELEASE, NOT_BEFORE),
    PAIR(RIGHT, FREED, CANCEL,
	 "L has said DONE, and cancels no more; an old CANCEL was never sent"),
    PAIR(BETWEEN, REQUESTING, READY, "the lock is LOCKED when R goes on"),
    PAIR(BETWEEN, REQUESTING, CUT, "the lock is LOCKED when R goes on"),
    PAIR(BETWEEN, REQUESTING, DONE, "the lock is LOCKED when R goes on"),
    PAIR(BETWEEN, REQUESTING, RELEASE, "the lock is LOCKED when R goes on"),
    PAIR(BETWEEN, REQUESTING, RELEASED, "the lock is LOCKED when R goes on"),

    /* Events that the explorer does not produce, since nothing would happen. */
    {RIGHT, DYSCO_ATTEMPT_REQUESTED, XP_EVENT_TIMER, "it has nothing to repeat"},
    {RIGHT, DYSCO_ATTEMPT_FREED, XP_EVENT_TIMER, "it has nothing to repeat"},
    {RIGHT, DYSCO_ATTEMPT_TWO_PATHS, XP_EVENT_LEASE, "from the cut on R has no lease"},
    {RIGHT, DYSCO_ATTEMPT_DONE, XP_EVENT_LEASE, "from the cut on R has no lease"},

    /* Beyond the cost explored, where it would be like other states. */
    PAIR(LEFT, TWO_PATHS, PROBE, "answers to questions of health do not look at attempts"),
    PAIR(LEFT, CANCELLING, PROBE, "answers to questions of health do not look at attempts"),
    PAIR(RIGHT, TWO_PATHS, PROBE, "answers to questions of health do not look at attempts"),
    PAIR(LEFT, TWO_PATHS, CHAIN, "CHAIN makes a difference to an attempt in REQUESTING only"),
    PAIR(BETWEEN, LAPSED, CHAIN, "CHAIN makes a difference to an attempt in REQUESTING only"),
