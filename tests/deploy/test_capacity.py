# SPDX-License-Identifier: Apache-2.0
"""deploy/postgres: what capacity.md shows is what deploy/postgres/capacity prints; Patroni's configuration is YAML."""
import os
import re
import subprocess
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__)) + "/../../deploy/postgres/"
BENCH = os.path.dirname(os.path.abspath(__file__)) + "/../bench/scale.py"


def capacity(*arguments):
    return subprocess.run([sys.executable, FOLDER + "capacity", *arguments], capture_output=True, text=True, timeout=60)


def read(path):
    with open(path) as file:
        return file.read()


def replicas(text):
    """Of the largest load."""
    installations, each = re.findall(r"comes to: (\d+) x \(PostgreSQL \+ (\d+) replicas\)", text)[-1]
    return int(installations) * int(each)


class Capacity(unittest.TestCase):
    def test_the_page_shows_what_the_program_prints(self):
        shown = re.search(r"```\n(measured.*?)```", read(FOLDER + "capacity.md"), re.S).group(1)
        self.assertEqual(shown, capacity().stdout)

    def test_it_goes_up_to_a_billion_tokens_and_ten_million_introspections_a_second(self):
        self.assertIn("\n1 G live tokens, 10 M introspections a second", capacity().stdout)

    def test_its_measured_inputs_are_named_as_the_bench_prints_them(self):
        bench = read(BENCH)
        measured = re.search(r"^MEASURED = {\n(.*?)^}", read(FOLDER + "capacity"), re.M | re.S).group(1)
        names = re.findall(r'^    "\w+": \([\d.]+, "([^"]+)"\),$', measured, re.M)
        self.assertEqual(len(names), measured.count("\n"))
        for name in names:
            self.assertIn(f'show("{name}"', bench)

    def test_what_costs_twice_the_cpu_takes_more_replicas(self):
        self.assertGreater(replicas(capacity("introspect_us=200").stdout), replicas(capacity("introspect_us=20").stdout))

    def test_a_wrong_input_is_refused(self):
        for argument, said in (("nothing=1", "no input is named nothing"), ("use_us", "no input is named use_us"),
                               ("use_us=much", "use_us=much is not a number"), ("use_us=0", "use_us: must be more than 0"),
                               ("busy=-1", "busy: must be more than 0")):
            answer = capacity(argument)
            self.assertEqual((answer.returncode, answer.stdout), (1, ""))
            self.assertIn(said, answer.stderr)


class Patroni(unittest.TestCase):
    def test_the_configuration_is_yaml_and_loses_nothing_that_was_acknowledged(self):
        lint = subprocess.run(["yamllint", "--strict", "-d", "{extends: default, rules: {line-length: {max: 130}}}",
                               FOLDER + "patroni.yaml"], capture_output=True, text=True, timeout=60)
        self.assertEqual((lint.returncode, lint.stdout), (0, ""))
        import yaml
        cluster = yaml.safe_load(read(FOLDER + "patroni.yaml"))["bootstrap"]["dcs"]
        self.assertIs(cluster["synchronous_mode"], True)
        self.assertIs(cluster["synchronous_mode_strict"], True)
        self.assertEqual(cluster["postgresql"]["parameters"]["fsync"], "on")
        self.assertNotIn(cluster["postgresql"]["parameters"]["synchronous_commit"], ("off", "local"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
