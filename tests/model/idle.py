# SPDX-License-Identifier: Apache-2.0
"""I3: idle timeouts through two caches and a direct caller. Breadth first; all ages in ticks.

Server: token alive iff age of last_used < IDLE (dead once seen so). Cache c: entry with age since the call was sent; a hit
is counted, and reported at the latest INTERVAL ticks later (the report takes 0..TRANSIT ticks); the answer refreshes the
entry or removes it. Truth: age of the last use that was answered active (by whomever)."""
import sys
from collections import deque

IDLE, INTERVAL, TRANSIT = 6, 1, 1

def explore(margin, slide_locally=False, used_ago=True, sent_time=True, revive=False, transit=TRANSIT, anchor=False, slack=0):
    # state: srv (age of last_used at the server, IDLE = dead), truth (age of the true last use), caches:
    # each: (valid: ticks left, or -1, use: age of oldest unreported use or -1, last: age of the last unreported use,
    #        report: (kind, age since sent, used_ago) or None, answer: (valid_for, age since call sent) or None)
    empty = (-1, -1, -1, None, None, 0)
    start = (0, 0, (empty, empty))
    parent = {start: None}
    queue = deque([start])
    sat = IDLE + 4
    def trace(s, what, final):
        path = [final]
        while parent[s] is not None:
            s, label = parent[s]
            path.append(label)
        return what, path[::-1]
    while queue:
        s = queue.popleft()
        srv, truth, cs = s
        nexts = []
        # time passes: not if a report is overdue (it must be sent) or has been under way for `transit`
        ok = True
        for valid, use, last, report, answer, d in cs:
            if use >= INTERVAL or report is not None and report[0] >= transit or answer is not None and answer[2] >= transit:
                ok = False
        if ok:
            def older(c):
                valid, use, last, report, answer, d = c
                return (valid - 1 if valid > 0 else (-1 if valid == 0 else valid), use + 1 if use >= 0 else -1, last + 1 if last >= 0 else -1,
                        (report[0] + 1, report[1]) if report else None,
                        (answer[0], answer[1] + 1, answer[2] + 1) if answer else None, d)
            if truth < sat:
                nexts.append(("one tick", (min(srv + 1, IDLE) if srv < IDLE else IDLE, truth + 1, tuple(map(older, cs)))))
        # a direct call to the server
        if srv < IDLE:
            if truth >= IDLE + slack:
                return trace(s, f"active at the server {truth} ticks after the last use", "direct call"), len(parent)
            nexts.append(("direct call to the server: active", (0, 0, cs)))
        else:
            if truth < IDLE:
                return trace(s, f"called dead {truth} ticks after a use (idle timeout {IDLE})", "direct call to the server: inactive"), len(parent)
        for i, (valid, use, last, report, answer, d) in enumerate(cs):
            def put(label, c, srv=srv, truth=truth):
                other = list(cs)
                other[i] = c
                nexts.append((f"cache {i + 1}: {label}", (srv, truth, tuple(other))))
            # a hit
            if valid > margin:
                if truth >= IDLE + slack:
                    return trace(s, f"a cache answers active {truth} ticks after the last use", f"cache {i+1}: HIT"), len(parent)
                put("hit", (IDLE if slide_locally else valid, use if use >= 0 else 0, 0, report, answer, d), truth=0)
            # a miss asks at once (a use), or a report is sent
            if report is None and answer is None:
                if use >= 0:
                    put(f"sends a report (used {last} ago)", (valid, -1, -1, (0, last if used_ago else 0), None, d))
                elif valid <= margin:
                    put("miss, asks", (valid, -1, -1, (0, -1), None, d))
            if report is not None:  # comes in
                age, ago = report
                if srv < IDLE or (revive and ago >= 0):
                    used = 0 if ago < 0 else ago + age + d if anchor else ago
                    now = min(srv, used)
                    t = 0 if ago < 0 else truth
                    # valid_for
                    put("report comes in, active", (valid, use, last, None, (IDLE - now, age if sent_time else 0, 0), d), srv=now, truth=t)
                else:
                    if truth < IDLE:
                        return trace(s, f"called dead {truth} ticks after a use (idle timeout {IDLE})", f"cache {i+1}: report comes in, inactive"), len(parent)
                    put("report comes in, inactive", (-1, -1, -1, None, None, 0))
            if answer is not None:
                left = answer[0] - (answer[1] if sent_time else 0)
                put("answer arrives", (max(left, -1), use, last, None, None, answer[2] if anchor else 0))
        for label, n in nexts:
            if n not in parent:
                parent[n] = (s, label)
                queue.append(n)
    return None, len(parent)

def show(name, result, expect_bad):
    found, states = result
    good = expect_bad is None or (found is not None) == expect_bad
    print(f"{'ok  ' if good else 'WRONG'} idle: {name}: {'violated: ' + found[0] if found else 'safe'} ({states} states)")
    if found and '-t' in sys.argv:
        for n, line in enumerate(found[1], 1):
            print(f"       {n:2} {line}")
    return good

if __name__ == "__main__":
    good = show("the rules: served until valid_for less an interval; calls take no time", explore(INTERVAL, transit=0), False)
    good &= show("the rules: calls take up to a tick: margin of interval + 1, uses dated up to a tick late", explore(INTERVAL + 1, transit=1, slack=1), False)
    good &= show("as in watch.md: served until valid_until", explore(0, transit=0), True)
    good &= show("margin of the interval only, calls take a tick", explore(INTERVAL, transit=1, slack=1), True)
    good &= show("no used_ago: a report counts as a use when it comes in", explore(INTERVAL, used_ago=False, transit=0), True)
    good &= show("validity counted from the answer's arrival", explore(INTERVAL + 1, sent_time=False, transit=1, slack=1), None)
    good &= show("uses dated exactly: not to be had, a report under way makes them late", explore(INTERVAL + 1, transit=1), True)
    good &= show("uses dated from the last answer (server's time): early instead of late", explore(INTERVAL + 2, transit=1, anchor=True), True)
    sys.exit(not good)
