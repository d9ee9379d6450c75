#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is the simulator worth anything? Takes the repairs of known faults out of a copy of the sources, one after the other,
and has each fault found by it: `mutants.py SOURCE WORK [NAME...]` (WORK: a folder that may stay, for the next time).

A fault is a few exact texts of the sources and what stood there, or might have stood there, before it was repaired. One
whose text is gone fails: follow the code that moved, the fault is still worth being found. Each names a seed that found
it; where a change elsewhere has moved the seeds, those of its kind of world are searched (SIM_WIDE of world.h), and it
says which seed to write down here.

The exit status is 1 where a fault is not found, and where the sources as they are do not pass the same seeds."""
import dataclasses
import filecmp
import os
import re
import shutil
import subprocess
import sys
import time

MIXED, DENSE, OWN = range(1, 4001), range(4001, 5001), range(5001, 6001)
PARTS = ("CMakeLists.txt", "proto", "client", "services", "tests", "deploy")
LEFT_OUT = {"node_modules", "build", "__pycache__"}


@dataclasses.dataclass
class Fault:
    name: str
    seed: int
    says: str  # the violation, a regular expression
    edits: list  # of (file, text, what comes in its place)
    seeds: range = MIXED  # where it is looked for


NOT_SPARED = "    if (used > facts.last_used)\n        facts.last_used = used;\n"  # because memory knows of a later use
FLUSHED = "if (flush_and_wait(background) != STATUS_OK || !may_reap(background))"
FAULTS = [
    Fault("the reaper takes tokens in use after a flush has failed", 105, "inactive",
          [("services/domain/background.c",
            FLUSHED, "(void)!flush_and_wait(background);\n    if (!may_reap(background))"),
           ("services/domain/reap.c", NOT_SPARED, "    (void)used;\n")]),
    Fault("the reaper takes tokens in use between the parts of a flush", 39, "inactive",
          [("services/domain/background.c",
            FLUSHED, "(void)flush_and_wait;\n    flush_begin(background->parts.flush, FLUSH_ROUND, NULL, NULL);\n"
            "    if (!may_reap(background))"),
           ("services/domain/reap.c", NOT_SPARED, "    (void)used;\n")]),
    Fault("what is reaped, or missing, stays in memory", 276, r"\bactive",
          [("services/memory/change.c",
            "void change_forget_token(struct memory *memory, const struct token_key *key)\n{\n"
            "    token_table_remove(memory->tokens, key);\n",
            "void change_forget_token(struct memory *memory, const struct token_key *key)\n{\n"
            "    (void)memory, (void)key;\n")]),
    Fault("a replica reaps what another could not store", 7, "inactive",
          [("services/domain/reap.c", "(stored < now ? stored : now) - REAP_DEAD_FOR", "(false ? stored : now) - REAP_DEAD_FOR")]),
    Fault("after an outage those that were silent in it are gone at once", 7, "inactive",
          [("services/domain/group.c", "    if (could_write)\n", "    (void)could_write;\n")]),
    Fault("revoking what the store does not have changes nothing", 268, r"\bactive",
          [("services/domain/revoke.c",
            "    return work_change_token(work, key);\n",
            "    return status == STATUS_NOT_FOUND ? STATUS_OK : work_change_token(work, key);\n")]),
    Fault("another history is not known by its change ids", 201, r"\bactive|refused",
          [("services/domain/news.c",
            "    return found.change_id != 0 && position_equal(found, known);\n",
            "    return true;\n")]),
    Fault("what was obeyed early is not looked for in the log", 201, "active|carries|refused",
          [("services/domain/news.c",
            "        is_continued = is_continued && continues(news, news->own[i]);\n",
            "        (void)i;\n")]),
    Fault("what is read anew is merged by version", 203, "active|carries|refused",
          [("services/memory/directory.c",
            "        atomic_store(&present->last_used, facts->last_used);\n        set_facts(directory, present, packed);\n",
            "        atomic_store(&present->last_used, facts->last_used);\n"
            "        if (facts->version >= packed_facts_version(atomic_load(&present->facts)))\n"
            "            set_facts(directory, present, packed);\n")]),
    Fault("the reaper goes by the process's own clock", 120, "inactive",
          [("services/domain/reap.c",
            "    if (database < now)\n        now = database;\n", ""),
           ("services/domain/reap.c",
            "int64_t database = 0, now = clock_settled(clock), latest",
            "int64_t database = 0, now = clock_now(clock), latest")]),
    Fault("the stored floor is what the clock shows", 4, r"\bactive|refused",
          [("services/domain/flush.c",
            "return floor_raise(tx, clock_settled(flushing->flush->clock));",
            "return floor_raise(tx, clock_now(flushing->flush->clock));")]),
    Fault("a replica calls a token idle without asking the store", 10, "inactive",
          [("services/domain/introspect.c",
            "if (introspect->follow != NULL && (!introspection->is_active || introspection->must_store))",
            "if (introspect->follow != NULL && introspection->must_store)")]),
    Fault("a use near the end of the idle time is stored later", 7, "inactive",
          [("services/domain/introspect.c",
            "if (introspect->follow != NULL && (!introspection->is_active || introspection->must_store))",
            "if (introspect->follow != NULL && !introspection->is_active)")]),
    Fault("a grace of two seconds past the idle time", 113, "expire_time|idle",
          [("services/rules/settings.c",
            "settings_after_floor(now - settings->idle_timeout,",
            "settings_after_floor(now - settings->idle_timeout - 2000000,")]),
    Fault("the position is read after the look-up", 71, "as of revision",
          [("services/memory/memory.c",
            "    ret_view->position = directory_position(directory); /* W3: before the token, a lower bound */\n"
            "    ret_view->is_known = token_table_get(memory->tokens, key, &ret_view->token, &ret_view->generation);\n",
            "    ret_view->is_known = token_table_get(memory->tokens, key, &ret_view->token, &ret_view->generation);\n"
            "    ret_view->position = directory_position(directory);\n")]),
    Fault("after a long load nobody asks for the lease", 1502, r"\bactive",
          [("services/domain/introspect.c",
            "follow != NULL && (!follow_has_lease(follow) || (introspection->catch_ups == 0 && is_ahead(introspection)));",
            "follow != NULL && introspection->catch_ups == 0 && is_ahead(introspection);")]),
    Fault("a use that is being stored is protected for one sweep only", 182, "inactive",
          [("services/memory/token_part.c",
            "        if (entry->stored != entry->last_used && entry->is_carried)\n            continue;\n"
            "        if (entry->stored != entry->last_used)\n            token_part_mark_dirty(",
            "        if (entry->stored != entry->last_used && !entry->is_carried)\n            token_part_mark_dirty(")]),
    Fault("a use of a token that is dropped meanwhile is noted nowhere", 540, "inactive",
          [("services/memory/token_table.c",
            "            note_unstored(table, part, entry, index);\n        }\n    }\n"
            "    pthread_mutex_unlock(&part->lock);\n    return index != TOKEN_PART_NONE;\n",
            "            note_unstored(table, part, entry, index);\n        }\n    }\n"
            "    pthread_mutex_unlock(&part->lock);\n    return true;\n")]),
    Fault("a failed flush gives nothing back", 71, "inactive",
          [("services/domain/flush.c",
            "    token_table_give_back(tokens, flushing->uses + flushing->stored, flushing->use_count - flushing->stored);\n",
            "")]),
    # Of Watch and its caches; the rules' numbers are those of client/README.md.
    Fault("C5: what ended an answer's token while it was under way is not looked for", 34, "in cache",
          [("client/memory.c",
            "place == PLACE_UNKNOWN || is_named_after(memory, entry, index) ||",
            "((void)is_named_after, place == PLACE_UNKNOWN) ||")]),
    Fault("C6: an event removes nothing", 2, "in cache",
          [("client/memory.c", "        remove_named(memory, event);", "        (void)remove_named;")]),
    Fault("W7: a replica does not look before its pong", 222, "in cache",
          [("services/api/watch_begin.c",
            "current_wait(watcher->watch->api, false, answer_ping, watcher)", "true")]),
    Fault("a daemon that could not write counts as gone when it is copied", 4001, "though process . serves",
          [("services/store/copy_presence.c", "presence.silent == 0 ? 0 :", "presence.silent >= 0 ? 0 :")], DENSE),
    # Of dense worlds (SIM_WIDE of world.h).
    Fault("a copy that was made while daemons were at work is started on", 4599, r"\bactive",
          [("services/store/copy.c", "    if (identity.mark_len == 0)\n        return STATUS_OK;\n    snprintf(",
            "    return STATUS_OK;\n    snprintf(")], DENSE),
    Fault("another replica does not take in a suspension", 4003, r"\bactive",
          [("services/domain/news.c", "static enum status add_facts(struct credential *credential, void *arg)\n{\n"
            "    struct news *news = arg;\n",
            "static enum status add_facts(struct credential *credential, void *arg)\n{\n"
            "    struct news *news = arg;\n    if (credential->suspended != 0)\n        return STATUS_OK;\n")], DENSE),
    Fault("caches are not told of a suspension", 4010, "in cache",
          [("services/memory/change.c", "        event.kind = RING_CREDENTIAL;\n        memcpy(event.client_id, change->facts",
            "        event.kind = RING_CREDENTIAL;\n        if (change->facts->suspended != 0)\n            break;\n"
            "        memcpy(event.client_id, change->facts")], DENSE),
    Fault("a suspension that is over has ended nothing", 4003, r"\bactive",
          [("services/domain/credential.c",
            "    TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));\n    credential->suspended",
            "    credential->suspended"),
           ("services/domain/credential.c",
            "    TRY(move_epoch(work, credential, false)); /* whatever an older program may have issued meanwhile */\n",
            "")], DENSE),
    Fault("E1: who waits for all waits for no stream", 4005, "everywhere",
          [("services/api/watch.c", "        if (is_behind)\n            return false;", "        (void)is_behind;")], DENSE),
    Fault("E1: a ping that came in is taken for what it has reached", 4189, "everywhere",
          [("services/api/watch_begin.c", "watcher->reached = message->reached->revision;",
            "watcher->reached = ring_position(watch->ring).revision;")], DENSE),
    Fault("E1: a stream that has ended had no lease", 4346, "everywhere",
          [("services/api/watch.c", "watch->lapsed + watch->lease > wait->begun || ", "")], DENSE),
    Fault("E2: a process goes by a lease at once that nobody has heard of", 4044, "everywhere",
          [("services/domain/group.c", "    *ret_used = is_heard ? *leases : ", "    *ret_used = true ? *leases : ")], DENSE),
    Fault("E2: a replica waits for its own lease in place of the group's longest", 4006, "everywhere",
          [("services/domain/group.c", "{group->longest_own.lease, group->longest_cache.lease}",
            "{group->self.leases.own, group->longest_cache.lease}"),
           ("services/api/everywhere.c", "(there.own > heard.own ? there.own : heard.own)", "heard.own")], DENSE),
    Fault("E2: a replica does not wait for the leases of caches", 4006, "everywhere",
          [("services/api/everywhere.c", " +\n           (there.cache > heard.cache ? there.cache : heard.cache);",
            ";")], DENSE),
    Fault("W9: a replica counts all of its lease", 4098, r"\bactive",
          [("services/domain/follow.c",
            "< group_lease(follow->group) / 64 * 63)", "< group_lease(follow->group))")], DENSE),
    Fault("W9: a cache counts all of its lease", 4004, "in cache",
          [("client/memory.c", "sent + lease / 64 * 63;", "sent + lease;")], DENSE),
    Fault("W9: who is no longer counted goes by its lease", 4016, r"\bactive",
          [("services/domain/group.c", "    return said_ago(group) < TRUSTED;", "    return true;")], DENSE),
    Fault("W9: the lease of one that has gone is forgotten at once", 4093, r"\bactive",
          [("services/domain/group.c", "#define GONE COPY_PROCESS_GONE", "#define GONE BEAT"),
           ("services/domain/group.c", "    if (could_write)\n", "    (void)could_write;\n")], DENSE),
    # Of worlds with limits and networks of credentials' own (SIM_DENSE of world.h).
    Fault("an idle timeout of a credential's own ends nothing", 5012, "idle for",
          [("services/rules/limits.c", "    if (idle != 0) {", "    if (idle < 0) {")], OWN),
    Fault("a life of a credential's own ends nothing", 5012, "past the life",
          [("services/rules/limits.c", "    if (life != 0) {", "    if (life < 0) {")], OWN),
    Fault("looser limits of a credential's own bring tokens back", 7521, r"\bactive at",
          [("services/rules/limits.c", "    limit->floor = after > 0 ? after : 0;", "    limit->floor = 0 * after;")], range(5001, 8001)),
    Fault("a use from outside the networks of a credential is not refused", 5002, "active at .* outside",
          [("services/rules/source.c", "SOURCE_OBSERVED : SOURCE_REFUSED;", "SOURCE_OBSERVED : SOURCE_WITHIN;")], OWN),
    Fault("another replica does not take in the networks of a credential", 5002, "active at .* outside",
          [("services/domain/news.c", "static enum status add_facts(struct credential *credential, void *arg)\n{\n"
            "    struct news *news = arg;\n",
            "static enum status add_facts(struct credential *credential, void *arg)\n{\n"
            "    struct news *news = arg;\n    if (credential->sources.count != 0)\n        return STATUS_OK;\n")], OWN),
    Fault("caches are not told of the networks of a credential", 5448, "in cache, from outside",
          [("services/memory/change.c", "        event.kind = RING_CREDENTIAL;\n        memcpy(event.client_id, change->facts",
            "        event.kind = RING_CREDENTIAL;\n        if (change->facts->sources.count != 0)\n            break;\n"
            "        memcpy(event.client_id, change->facts")], OWN),
    Fault("a cache may keep a token for as long as the settings of all say", 5241, "in cache",
          [("services/rules/token.c",
            "    const struct settings held = own_settings(&credential->limits, settings);\n    int64_t expires",
            "    const struct settings held = *settings;\n    int64_t expires")], OWN),
]


class Tree:
    """The copy, and the simulator of it."""

    def __init__(self, source, work):
        self.source, self.copy, self.build = source, os.path.join(work, "source"), os.path.join(work, "build")
        for part in PARTS:
            self.bring(part)
        self.run(["cmake", "-S", self.copy, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                  "-DGATEHOUSE_TESTS=ON", "-DGATEHOUSE_CONSOLE=OFF"])
        self.make()

    def bring(self, part):
        """What is the same stays as it is, and so does what was built of it; what a run that was ended has left broken is
        written anew."""
        path, copy = os.path.join(self.source, part), os.path.join(self.copy, part)
        if os.path.isdir(path):
            names = set(os.listdir(path)) - LEFT_OUT
            for name in set(os.listdir(copy)) - names if os.path.isdir(copy) else ():
                gone = os.path.join(copy, name)
                shutil.rmtree(gone) if os.path.isdir(gone) else os.remove(gone)
            os.makedirs(copy, exist_ok=True)
            for name in sorted(names):
                self.bring(os.path.join(part, name))
        elif not os.path.exists(copy) or not filecmp.cmp(path, copy, shallow=False):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(path, copy)
            shutil.copymode(path, copy)

    @staticmethod
    def run(command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise SystemExit(" ".join(command) + "\n" + done.stdout)

    def make(self):
        self.run(["cmake", "--build", self.build, "--target", "simulate", "--", "--quiet"])

    def put(self, file, text):
        with open(os.path.join(self.copy, file), "w", encoding="utf-8") as to:
            to.write(text)

    def get(self, file):
        with open(os.path.join(self.copy, file), encoding="utf-8") as of:
            return of.read()

    def simulate(self, first, last):
        """The seeds with a violation, and what it is."""
        command = [os.path.join(self.build, "tests/simulate/simulate"), "--seeds", f"{first}..{last}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = re.findall(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
        if done.returncode not in (0, 1) or (done.returncode == 1) != bool(found):
            raise SystemExit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
        return [(int(seed), violation) for seed, violation in found]


def break_it(tree, fault):
    """The files as they were; None: a text is not there once."""
    before = {}
    for file, text, instead in fault.edits:
        now = tree.get(file)
        before.setdefault(file, now)
        if now.count(text) != 1:
            print(f"  not once in {file}:\n{text}")
            return before, False
        tree.put(file, now.replace(text, instead))
    return before, True


def parts(seeds, count):
    return [seeds[at:at + count] for at in range(0, len(seeds), count)]


def find(tree, fault):
    """Is it found, and called what it is? The seed that is named goes first."""
    for first, last in [(fault.seed, fault.seed)] + [(part[0], part[-1]) for part in parts(fault.seeds, 50)]:
        for seed, violation in tree.simulate(first, last):
            if re.search(fault.says, violation) is None:
                continue
            print(f"  seed {seed}: {violation}")
            if seed != fault.seed:
                print(f"  not by the seed that is named, {fault.seed}: write down {seed}")
            return True
    print(f"  NOT FOUND in the seeds {fault.seeds[0]} to {fault.seeds[-1]}, where it would be called {fault.says}")
    return False


def main():
    names = sys.argv[3:]
    tree = Tree(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
    chosen = [fault for fault in FAULTS if not names or any(name in fault.name for name in names)]
    failed = [] if chosen else ["no fault has that name"]
    for seed in sorted({fault.seed for fault in chosen}):
        for _, violation in tree.simulate(seed, seed):
            failed.append(f"the sources as they are: seed {seed}: {violation}")
    for fault in chosen:
        began = time.monotonic()
        print(fault.name, flush=True)
        before, is_broken = break_it(tree, fault)
        if is_broken:
            tree.make()
        if not is_broken or not find(tree, fault):
            failed.append(fault.name)
        for file, text in before.items():
            tree.put(file, text)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} faults found")
    for failure in failed:
        print(f"FAILED: {failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
