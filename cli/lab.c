/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco lab`: hands its words to the lab. */
#include "cli/cli.h"
#include "lab/run.h"

enum dysco_exit dysco_run_lab(const struct dysco_cli *cli, int argc, char **argv)
{
	(void)cli;
	return (enum dysco_exit)dysco_lab_main(argc, argv);
}
