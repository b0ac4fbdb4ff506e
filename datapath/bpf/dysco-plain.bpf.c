// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The tc programs, for all other kernels. */
#include "datapath/bpf/prog_sum_helper.h"
#include "datapath/bpf/prog_hooks.h"
