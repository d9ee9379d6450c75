# SPDX-License-Identifier: Apache-2.0
"""Help, manual and completion say the same: test_manual.py GATEHOUSE MANUAL."""
import re
import shutil
import subprocess
import sys
import unittest

COMMAND, MANUAL = sys.argv[1:3]


def run(*arguments):
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)


def commands():
    """The names in the table, from the help."""
    text = run("--help").stdout.split("\nOptions of all")[0]
    return re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", text, re.M)


def options(command):
    return set(re.findall(r"--([a-z-]+)", run(*command.split(), "--usage").stdout))


class Manual(unittest.TestCase):
    def setUp(self):
        with open(MANUAL, encoding="utf-8") as file:
            self.text = file.read()

    def test_every_command_is_in_the_manual(self):
        self.assertGreater(len(commands()), 30)
        for command in commands():
            self.assertIn(f"Ic {command}", self.text)

    def test_every_option_is_in_the_manual(self):
        for command in commands():
            for option in options(command):
                self.assertRegex(self.text, rf"-{option}\b", f"{command} --{option}")

    def test_every_command_has_help(self):
        for command in commands():
            for arguments in ([*command.split(), "--help"], ["help", *command.split()], [*command.split(), "-h"]):
                answer = run(*arguments)
                self.assertEqual((answer.returncode, answer.stderr), (0, ""), arguments)
                self.assertIn(f"Usage: gatehouse {command}", answer.stdout)
                self.assertIn("Exit status", answer.stdout)

    def test_every_group_has_help(self):
        for group in {command.split()[0] for command in commands() if " " in command}:
            self.assertEqual(run(group, "--help").returncode, 0)
            self.assertEqual(run(group).returncode, 2)
            self.assertEqual(run(group, "nonsense").returncode, 2)

    def test_bash_reads_the_completion_script(self):
        script = run("completion", "bash").stdout
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def complete(self, *words):
        script = run("completion", "bash").stdout
        quoted = " ".join(f"'{word}'" for word in words)
        script += f"compopt() {{ :; }}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _gatehouse\n"
        script += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
        answer = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
        self.assertEqual(answer.stderr, "")
        return answer.stdout.split()

    def test_bash_completes_every_command_and_option(self):
        self.assertEqual(set(self.complete("gatehouse", "")), {c.split()[0] for c in commands()} | {"help"})
        for command in commands():
            words = command.split()
            if len(words) == 2:
                self.assertIn(words[1], self.complete("gatehouse", words[0], ""))
            offered = {word.strip("-=") for word in self.complete("gatehouse", *words, "--")}
            self.assertEqual(offered, options(command), command)

    def test_bash_completes_values(self):
        self.assertEqual(self.complete("gatehouse", "credential", "list", "--status", "=", "e"), ["expired"])
        self.assertEqual(self.complete("gatehouse", "-o", ""), ["table", "wide", "json", "yaml", "csv", "value"])
        self.assertEqual(self.complete("gatehouse", "-o", "json", "secret", "re"), ["regenerate"])
        self.assertEqual(self.complete("gatehouse", "completion", ""), ["bash", "zsh", "fish"])
        self.assertEqual(self.complete("gatehouse", "admin", "backup", "/etc/debian_v"), ["/etc/debian_version"])

    @unittest.skipUnless(shutil.which("zsh"), "no zsh here")
    def test_zsh_reads_the_completion_script(self):
        script = run("completion", "zsh").stdout
        checked = subprocess.run(["zsh", "-n"], input=script, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def fish(self, line):
        script = run("completion", "fish").stdout + f"complete -C '{line}'\n"
        answer = subprocess.run(["fish", "--no-config"], input=script, capture_output=True, text=True, check=False)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        return {word.split("\t")[0] for word in answer.stdout.splitlines()}

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish_completes_commands_options_and_values(self):
        self.assertEqual(self.fish("gatehouse "), {c.split()[0] for c in commands()} | {"help"})
        self.assertEqual(self.fish("gatehouse secret re"), {"regenerate"})
        self.assertEqual({word.strip("-=") for word in self.fish("gatehouse credential list --")}, options("credential list"))
        self.assertEqual(self.fish("gatehouse credential list --status e"), {"expired"})
        self.assertEqual(self.fish("gatehouse -o y"), {"yaml"})
        self.assertIn("usage_retention=", self.fish("gatehouse settings set us"))

    def test_a_typing_error_is_answered_with_what_was_meant(self):
        for line, meant in (("credential lst", "`gatehouse credential list`"), ("credentail list", "`gatehouse credential list`"),
                            ("crednetial", "`gatehouse credential`"), ("usgae", "`gatehouse usage`"),
                            ("credential list --stauts any", "--status"), ("--adress x role list", "--address"),
                            ("role create x --nmae N", "--name")):
            answer = run(*line.split())
            self.assertEqual(answer.returncode, 2)
            self.assertRegex(answer.stderr, rf"(?i)did you mean {meant}\?", line)
        for line in ("zzz", "credential zzz", "role list --zzzzzz"):
            answer = run(*line.split())
            self.assertEqual((answer.returncode, "mean" in answer.stderr), (2, False), answer.stderr)

    def test_version(self):
        for words in (["--version"], ["credential", "list", "--version"]):
            answer = run(*words)
            self.assertRegex(answer.stdout, r"^gatehouse \d+\.\d+\.\d+\n$")
            self.assertEqual(answer.returncode, 0)

    def test_an_unknown_shell_is_refused(self):
        self.assertEqual(run("completion", "tcsh").returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
