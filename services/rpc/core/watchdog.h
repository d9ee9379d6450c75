/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the process when its own port takes no connections any more. */
#ifndef RPC_CORE_WATCHDOG_H
#define RPC_CORE_WATCHDOG_H

struct core_watchdog;

/* NULL: it said in the log why there is none. The address is borrowed. */
struct core_watchdog *core_watchdog_start(const char *address, int port);
void core_watchdog_stop(struct core_watchdog *watchdog);

#endif
