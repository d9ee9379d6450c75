/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_H
#define WATCH_H

#include "command.h"

/* --watch: runs the command again and again on a screen of its own, until q or Ctrl-C, or until it fails. */
enum exit_code watch_run(struct context *context);

#endif
