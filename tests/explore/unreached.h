/* SPDX-License-Identifier: BSD-2-Clause */
/* State x event pairs that no configuration reaches: role, state (0: any), event, why. */
{DYSCO_PART_KEPT, 0, DYSCO_MSG_LOCK,
 "as met by KEPT, LOCK only when the first request waits for long"},
