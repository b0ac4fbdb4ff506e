// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The tc programs, for kernels that let them read their own structures. */
#include "datapath/bpf/prog_sum_btf.h"
#include "datapath/bpf/prog_hooks.h"
