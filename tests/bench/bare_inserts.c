/* SPDX-License-Identifier: Apache-2.0 */
/*     bare_inserts DATABASE GROUP SECONDS       prints rows a second */
#include "bare.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    bench_check(argc == 4, "usage: bare_inserts DATABASE GROUP SECONDS");
    printf("%.1f\n", bench_bare_inserts(argv[1], atoi(argv[2]), atof(argv[3])));
    return 0;
}
