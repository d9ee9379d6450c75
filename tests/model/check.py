#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of Watch and its caches (client/README.md), searched exhaustively for small bounds by model.c, and each shown to
be needed: `check.py MODEL` (all; some minutes), `check.py MODEL --quick`, `check.py MODEL -t NAME` (those, with a trace).
SAFE: every reachable state was looked at. Otherwise a shortest trace is printed.

By default model.c has all the rules. A word in capitals takes one out or puts a worse one in. `merged` runs leave out the
queues of the network: what arrives late there, is sent late here: only the sending times of pings and the order of messages
matter. The first runs have all queues, and give the same verdicts. `caches=2` is a model of its own, MODEL_two: caches meet
only in `everywhere`, which waits for all of them."""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = sys.argv[1]
QUICK = 100000  # states: what has more is left to the long run
ONE = "merged=1 commits=2 R=2"
RESTORE = "merged=1 commits=3 R=3 failovers=1 trims=1"
TWO = "merged=1 replicas=1 LS=2 LC=2 commits=1 R=2"
SLOW = "merged=1 replicas=1 LS=2 LC=1 slow_looks=1 cuts=0"
TWICE = "merged=1 commits=3 R=2 failovers=2"
CACHES = "caches=2 merged=1 everywhere=1 commits=1 R=1 LC=1 EW_SIMPLE"
TWO2 = "merged=1 replicas=1 LS=2 LC=2 commits=2 R=2"
LOST = "merged=1 replicas=1 LS=2 LC=1 commits=2 R=2 failovers=1"
ALL = "merged=1 everywhere=1 commits=1 R=2 restarts=1 server_ends=1"
SAFE, BAD = "SAFE", "VIOLATED"

RUNS = [
    # name, arguments, what is expected
    ("all rules, one server, all queues", "", SAFE),
    ("all rules, one server, restored backup, all queues", "commits=2 R=2 failovers=1", SAFE),
    ("all rules, one server", "merged=1 commits=3 R=3 cuts=3 resets=1 trims=1", SAFE),
    ("all rules, one server, two calls at once", ONE + " flights=2 cuts=2", SAFE),
    ("all rules, one server, restored backup", RESTORE + " cuts=2 resets=1", SAFE),
    ("all rules, one server, the cache's clock slow", "merged=1 commits=2 R=2 drift=2 cuts=2", SAFE),
    ("all rules, two replicas", TWO2 + " cuts=2", SAFE),
    ("all rules, two replicas, lost commits", LOST + " cuts=2", SAFE),
    ("all rules, two replicas, everywhere", TWO + " everywhere=1", SAFE),
    ("all rules, two replicas, everywhere, lost commits", "merged=1 replicas=1 LS=2 LC=1 commits=1 R=2 failovers=1 everywhere=1", SAFE),
    ("all rules, everywhere (lease by stream)", ALL + " cuts=2", SAFE),
    ("all rules, everywhere (acknowledged, or the longest lease)", ALL + " cuts=2 EW_SIMPLE", SAFE),
    ("all rules, everywhere, two changes", "merged=1 everywhere=1 commits=2 R=2 restarts=1 server_ends=1 EW_SIMPLE", SAFE),
    ("all rules, everywhere, the cache's clock slow", "merged=1 everywhere=1 commits=1 R=2 server_ends=1 EW_SIMPLE drift=2", SAFE),
    ("Confirm as a call of its own, position and id compared", RESTORE + " CONFIRM_UNARY", SAFE),
    ("Confirm as a call of its own, two replicas", "merged=1 replicas=1 LS=2 LC=1 commits=1 R=2 failovers=1 CONFIRM_UNARY", SAFE),
    ("trust runs on over a cut, a replica's first answer while it is current", LOST + " cuts=2 TRUST_KEPT NO_SUSPEND FIRST_CURRENT", SAFE),
    ("   ... everywhere", "merged=1 replicas=1 LS=2 LC=1 commits=1 R=2 failovers=1 everywhere=1 TRUST_KEPT NO_SUSPEND FIRST_CURRENT", SAFE),
    ("   ... one server, restored backup", RESTORE + " cuts=2 TRUST_KEPT NO_SUSPEND", SAFE),
    ("   ... one server, everywhere", ALL + " cuts=2 EW_SIMPLE TRUST_KEPT NO_SUSPEND", SAFE),
    ("   ... one server, all queues", "TRUST_KEPT NO_SUSPEND", SAFE),
    ("all rules, one server, two restored backups", TWICE, SAFE),
    ("all rules, two replicas whose looks at the log take time", SLOW + " commits=1 R=1", SAFE),
    ("all rules, everywhere, two caches", CACHES + " cuts=0", SAFE),
    # what the first version of these rules said, or left open
    ("first version: everywhere counts a ping that came in after the event was sent, all queues", "everywhere=1 commits=1 R=2 EW_PINGAFTER", BAD),
    ("first version: answers without a change id, restored backup, all queues", "commits=2 R=2 failovers=1 NO_ID", BAD),
    ("first version: answers without a change id, two replicas, lost commits", LOST + " NO_ID", BAD),
    ("first version, mended: without id, but asked for on this stream", LOST + " NO_ID ASKED_STREAM", BAD),
    ("first version: one call under way for a token, later callers join", ONE + " JOIN", BAD),
    ("first version, silent: trust outlives the stream, lost commits", LOST + " TRUST_KEPT", BAD),
    ("first version, silent: `resumed` taken for a pong", "merged=0 RESUME_TRUST", BAD),
    ("first version, silent: stream goes on when a replica finds another history", LOST + " NO_HISTRESET", BAD),
    ("first version, silent: Revoke of a token that the store has lost leaves no change", "merged=1 issue_lost=1 commits=1 failovers=1 R=2 REVOKE_UNKNOWN", BAD),
    ("   ... and with one", "merged=1 issue_lost=1 commits=1 failovers=1 R=2", SAFE),
    ("first version, silent: everywhere on replicas, not looked whether the change is still there", "merged=1 replicas=1 LS=2 LC=1 commits=1 R=2 failovers=1 everywhere=1 EW_NO_CONFIRM", BAD),
    ("first version: clocks that run differently, no allowance (bound)", "merged=1 drift=2 EW_SLACK", BAD),
    ("first version: clocks that run differently, no allowance (everywhere)", "merged=1 everywhere=1 commits=1 R=2 EW_SIMPLE drift=2 EW_SLACK", BAD),
    # each rule taken out
    ("without: revision read before the look-up", ONE + " REV_AFTER", BAD),
    ("without: window of events looked at for a fill", ONE + " NO_EVCHK", BAD),
    ("without: older than the window is not kept", ONE + " NO_WINDOW", BAD),
    ("without: an event removes the entry", ONE + " NO_KILL", BAD),
    ("without: pong behind the events", ONE + " PONG_OVERTAKES", BAD),
    ("without: trust from the time of sending", ONE + " RECEIPT", BAD),
    ("without: in the ring before it is acknowledged", ONE + " ACK_FIRST", BAD),
    ("without: change id compared at `since`", RESTORE + " NO_RESUMEID", BAD),
    ("without: since's own row must be there", RESTORE + " RESUME_OFF1", BAD),
    ("without: `since` ahead is reset", RESTORE + " NO_AHEAD", BAD),
    ("without: reset forgets", RESTORE + " RESET_KEEPS", BAD),
    ("without: served only once the stream is there", RESTORE + " NO_REACHED", BAD),
    ("without: replica current when a ping comes in", TWO + " NO_CONFIRM", BAD),
    ("without: replica current when asked", TWO + " NO_UCONFIRM", BAD),
    ("without: a replica compares ids when it looks", LOST + " NO_LOOKID", BAD),
    ("without: everywhere waits for leases", ALL + " EW_NO_LEASE", BAD),
    ("without: everywhere remembers ended streams", ALL + " EW_FORGET_ENDED", BAD),
    ("without: everywhere waits after a start", ALL + " EW_NO_START", BAD),
    ("without: everywhere on replicas waits L_s too", TWO + " everywhere=1 EW_NO_LS", BAD),
    ("without: a change id that never comes again (two restored backups)", TWICE + " ID_REPEATS", BAD),
    ("   ... which one restored backup does not show", "merged=1 commits=2 R=2 failovers=1 ID_REPEATS", SAFE),
    ("without: a look holds from when it was asked for", SLOW + " commits=1 R=1 LOOK_RECEIPT", BAD),
    ("without: a look is taken in only where memory has not moved on", SLOW + " commits=2 R=2 LOOK_BLIND", BAD),
    ("without: everywhere waits for each of two caches", CACHES + " EW_ONE", BAD),
    ("   ... which one cache does not show", "merged=1 everywhere=1 commits=1 R=1 LC=1 EW_SIMPLE EW_ONE", SAFE),
    ("Confirm without position", ONE + " CONFIRM_UNARY CONFIRM_NOPOS", BAD),
    ("Confirm without change id", RESTORE + " CONFIRM_UNARY CONFIRM_NOID", BAD),
    # rules of the first version that nothing needs
    ("not needed: entries suspended at a cut (trust ends with the stream)", LOST + " NO_SUSPEND", SAFE),
    ("not needed: asked for after the last reset (given change ids)", LOST, SAFE),
]
DEEP = [
    ("two replicas, lost commits, three revisions", "merged=1 limit=60000000 replicas=1 LS=2 LC=1 commits=3 R=3 failovers=1", SAFE),
    ("two replicas, lost commits, log trimmed", "merged=1 limit=60000000 replicas=1 LS=2 LC=2 commits=2 R=2 failovers=1 trims=1", SAFE),
    ("   ... trust runs on", "merged=1 limit=60000000 replicas=1 LS=2 LC=2 commits=2 R=2 failovers=1 TRUST_KEPT NO_SUSPEND FIRST_CURRENT", SAFE),
    ("everywhere, all queues", "limit=60000000 everywhere=1 commits=1 R=2", SAFE),
]


def run(name, arguments, expected, trace):
    begin = time.time()
    is_quick = "--quick" in sys.argv
    limit = [] if "limit=" in arguments else [f"limit={QUICK if is_quick else 30000000}"]
    model = MODEL + "_two" if "caches=2" in arguments else MODEL
    words = [word for word in arguments.split() if word != "caches=2"]
    out = subprocess.run([model, *limit, *words], capture_output=True, text=True).stdout
    first, *rest = out.splitlines() or ["nothing"]
    if is_quick and first.startswith("LIMIT"):
        return None, 0
    good = first.startswith(expected) and ("hits=0" not in first) and not ("everywhere=1" in arguments and "everywhere=0" in first)
    if expected == SAFE and "hits-after-resume=0" in first and "cuts=0" not in arguments:
        good = False  # the cache must be of use: it is trusted, serves, and keeps what it has over a new connection
    print(f"{'ok   ' if good else 'WRONG'} {name}\n      {arguments}\n      {first}  [{time.time() - begin:.1f} s]", flush=True)
    if trace or not good:
        print("\n".join(rest))
    states = re.search(r"states=(\d+)", first)
    return good, int(states.group(1)) if states else 0


def main():
    trace = "-t" in sys.argv
    runs = DEEP if "--deep" in sys.argv else RUNS
    wanted = [a for a in sys.argv[2:] if not a.startswith("-")]
    good, total, count = True, 0, 0
    for name, arguments, expected in runs:
        if wanted and not any(w in name for w in wanted):
            continue
        one, states = run(name, arguments, expected, trace)
        if one is None:
            continue
        good &= one
        total += states
        count += 1
    good &= count > 0
    if not wanted and runs is RUNS:
        good &= subprocess.run([sys.executable, os.path.join(HERE, "idle.py")] + (["-t"] if trace else [])).returncode == 0
    print(f"{count} runs, {total} states: {'all as expected' if good else 'NOT AS EXPECTED'}")
    sys.exit(not good)


main()
