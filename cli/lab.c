/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco lab`: hands its words to the lab (lab/lab.h). */
#include "cli/cli.h"

#ifdef DYSCO_LAB
int dysco_lab_main(int argc, char **argv);
#endif

enum dysco_exit dysco_run_lab(const struct dysco_cli *cli, int argc, char **argv)
{
	(void)cli;
#ifdef DYSCO_LAB
	return (enum dysco_exit)dysco_lab_main(argc, argv);
#else
	(void)argc;
	return dysco_usage_error("%s: not in this build", argv[0]);
#endif
}
