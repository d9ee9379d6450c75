# SPDX-License-Identifier: Apache-2.0
"""Random sequences of everything that can be done, on the real daemon, against the model (model.py).

    test_property.py [STEPS [CRASH_STEPS]]        GATEHOUSE_SEED=… repeats a sequence
"""
import os
import sys
import time
import unittest

from steps_more import Steps

WEIGHTS = {
    "create": 5, "repeat": 2, "get": 3, "list": 2, "update": 5, "delete": 2, "undelete": 3, "suspend": 4, "regenerate": 3,
    "end_secret": 2, "change_roles": 8, "role": 1, "set_user": 6, "get_user": 2, "delete_user": 1, "issue": 22,
    "introspect": 14, "batch": 5, "revoke": 4, "list_tokens": 3, "end_token": 2, "end_tokens": 1, "grade": 4, "rotate": 3, "own_limits": 5,
    "settings": 2,
    "clock": 6, "clock_back": 1, "clock_ahead": 1,
}
WITHOUT_CHECK = {"get", "list", "get_user", "list_tokens", "repeat"}
STEPS, CRASH_STEPS = 10_000, 3_000


def run_steps(steps, count, crash_every=0):
    names = [name for name in WEIGHTS if name != "clock_back" or not crash_every]
    weights = [WEIGHTS[name] for name in names]
    begin, crashes = time.monotonic(), 0
    for number in range(count):
        name = steps.random.choices(names, weights)[0]
        getattr(steps, "step_" + name)()
        if crash_every and steps.chance(1 / crash_every):
            steps.note("kill -9 and restart")
            steps.crash()
            crashes += 1
        if name not in WITHOUT_CHECK:
            steps.check_tokens()
        if number % 500 == 499:
            steps.check_usage(is_exact=not crash_every)
    print(f"seed {steps.seed}: {count} steps in {time.monotonic() - begin:.1f} s, {crashes} crashes, "
          f"{steps.checks} comparisons, {len(steps.model.credentials)} credentials")
    for outcome, times in sorted(steps.counts.items()):
        print(f"  {outcome:45} {times}")
    sys.stdout.flush()


class Property(unittest.TestCase):
    def run_property(self, count, flush_interval_ms, crash_every=0):
        seed = int(os.environ.get("GATEHOUSE_SEED", 0)) or int.from_bytes(os.urandom(4), "big")
        print(f"GATEHOUSE_SEED={seed}", flush=True)
        steps = Steps(seed, flush_interval_ms)
        try:
            run_steps(steps, count, crash_every)
        finally:
            steps.close()

    def test_daemon_and_model_agree_on_every_step(self):
        self.run_property(STEPS, 200)

    def test_daemon_and_model_agree_though_it_is_killed_between_steps(self):
        self.run_property(CRASH_STEPS, 100, crash_every=40)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    STEPS, CRASH_STEPS = (numbers + [STEPS, CRASH_STEPS][len(numbers):])[:2]
    unittest.main(argv=sys.argv[:1], verbosity=2)
