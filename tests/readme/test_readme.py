# SPDX-License-Identifier: Apache-2.0
"""README.md and the pages beside it are true: commands run as they stand there, the map names every file, links and settings exist."""
import contextlib
import glob
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE + "/../deploy", HERE + "/../package"]
import packages  # noqa: E402
import text  # noqa: E402
from machine import BUILD, Machine, Root, as_root, run  # noqa: E402
from postgres import Postgres  # noqa: E402
from text import SOURCE  # noqa: E402

LEASH = ("setpriv", "--pdeathsig", "TERM", "--")
DEADLINE = 120
# A line of a block, or an inline command, that is not run here, and the test that runs the same.
ELSEWHERE = {
    "deploy/package/build": "package/build",
    "apt-get install ./build/package/packages/libgatehouse*.deb": "package/library",
    "gcc /usr/share/doc/libgatehouse-dev/examples/c/introspect.c $(pkg-config --cflags --libs gatehouse)": "package/library",
    "gatehoused init --name NAME": "operate/runbook",
    "apt-get purge gatehouse": "package/life",
    "man gatehouse": "command/manual",
}
# A block of code that no example has.
NOT_OF_AN_EXAMPLE = ("struct gatehouse_options options = {.client_id = id, .client_secret = secret, .cache_entries = 10000};\n",)
# What starts everything, this test too, and what that starts beside the tests.
OUTERMOST = ("tests/run", "tests/run --quick", "tests/sources/run")


def free_ports(count):
    """Numbers that follow one another. They are wanted after a build only, so none that the kernel gives away meanwhile."""
    while True:
        base = random.randrange(20000, 32000)
        with contextlib.suppress(OSError):
            for port in range(base, base + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
            return range(base, base + count)


def wait_for(what, condition):
    end = time.monotonic() + 600
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.1)


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def commands(block):
    """A block's commands, one a line, without comments."""
    return [command for line in block.replace("\\\n", " ").splitlines()
            if (command := re.sub(r"\s+", " ", re.sub(r"(^|\s)# .*", "", line)).strip())]


def put_in(block, replace):
    for old, new in replace:
        assert old in block, f"{old} is not there"
        block = block.replace(old, new)
    return block


def own(block):
    """Those that are run here."""
    return [command for command in commands(block) if command not in ELSEWHERE and command not in OUTERMOST]


def copy_checkout(folder):
    """The files of the checkout, as they are now: what is made from them is made in there."""
    listed = run(["git", "-C", SOURCE, "-c", "safe.directory=" + SOURCE, "ls-files"])[1].splitlines()
    there = [path for path in glob.glob("**", root_dir=folder, recursive=True, include_hidden=True)
             if os.path.isfile(f"{folder}/{path}") and not path.startswith("build/")]
    for path in set(there) - set(listed):  # sources are found by their names
        os.remove(f"{folder}/{path}")
    for path in listed:
        source, target = f"{SOURCE}/{path}", f"{folder}/{path}"
        if os.path.exists(source) and not (os.path.exists(target) and os.path.getmtime(source) == os.path.getmtime(target)):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target)


class Commands(unittest.TestCase):
    done = set()

    @classmethod
    def tearDownClass(cls):
        left = {key for key, block in text.blocks().items() if own(block)} - cls.done
        assert any("." in argument for argument in sys.argv[1:]) or not left, f"nobody ran these: {left}"

    def block(self, heading, number=0, replace=()):
        """Its commands, with what only this test knows put in; without those that another test runs."""
        block = put_in(text.blocks()[heading, number], replace)
        self.done.add((heading, number))
        return own(block)

    def start_quickstart(self):
        self.checkout = BUILD + "/readme"
        copy_checkout(self.checkout)
        # As if nothing had run there yet; what was built is kept.
        shutil.rmtree(self.checkout + "/build/quickstart", ignore_errors=True)
        for file in ("shell", "acme.secret", "acme.new"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{self.checkout}/build/{file}")
        self.log = tempfile.NamedTemporaryFile("w+")
        self.addCleanup(self.log.close)
        self.grpc, self.http, _, self.front, self.backend = free_ports(5)
        command, = self.block("Two commands")
        self.assertEqual(command, "deploy/quickstart")
        process = subprocess.Popen([*LEASH, command], cwd=self.checkout, stdin=subprocess.DEVNULL, stdout=self.log,
                                   stderr=self.log, env={**os.environ, "GATEHOUSE_PORT_BASE": str(self.grpc)})
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.terminate)
        wait_for("deploy/quickstart says that it runs", lambda: self.said(process))

    def said(self, process):
        self.log.seek(0)
        said = self.log.read()
        self.assertIsNone(process.poll(), said)
        return "Gatehouse is running" in said

    def shell(self, heading, number=0, replace=(), check=True, root=False):
        """Runs a block as the terminal would in which the blocks before it were run. What it starts ends with the test."""
        state, output = self.checkout + "/build/shell", self.checkout + "/build/output"
        with open(self.checkout + "/build/script", "w") as file:
            file.write(f"[ ! -f {state} ] || . {state}\nset -aeuo pipefail\n" +
                       "\n".join(self.block(heading, number, replace)) + f"\nexport -p >{state}\n")
        command = ["bash", file.name]
        with open(output, "w") as file:
            process = subprocess.Popen(as_root("env", "PATH=" + os.environ["PATH"], *command) if root else command, cwd=self.checkout,
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        if any(line.endswith(" &") for line in self.block(heading, number)):
            self.addCleanup(run, as_root("kill", "--", f"-{process.pid}"))
        status = process.wait(DEADLINE)
        with open(output) as file:
            said = file.read()
        if check:
            self.assertEqual(status, 0, f"{heading}:\n{said}")
        return said

    def test_the_quickstart_the_main_job_nginx_and_the_tour(self):
        self.start_quickstart()
        said = self.shell("The main job")
        self.assertIn('"token_type":"Bearer"', said.replace(" ", ""))
        self.assertRegex(said, r"Active +yes\nAllowed +yes\nClient ID +[0-9a-f-]{36}\n")
        self.protect()
        self.tour()
        self.postman()
        with Postgres() as postgres:
            url = postgres.new_database()
            self.shell("Production", 1, [("/var/lib/gatehouse/gatehouse.db", self.checkout + "/build/quickstart/gatehouse.db"),
                                         ("postgresql://gatehouse@db.example.com/gatehouse", f"'{url}'")])
            self.assertEqual(postgres.sql("SELECT count(*) FROM credential WHERE name = 'Acme billing'", url), "1")

    def protect(self):
        heading = "Protect something in five minutes"
        path = self.checkout + "/deploy/gateways/nginx.conf"
        with open(path) as file:
            configuration = file.read()
        for old, new in ((8080, self.http), (8000, self.front), (9000, self.backend)):
            self.assertIn(f"127.0.0.1:{old}", configuration)
            configuration = configuration.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
        with open(path, "w") as file:
            file.write(configuration)
        os.utime(path, (0, 0))  # to be copied anew
        # As it stands, but that the machine under test is not changed, and the ports.
        self.shell(heading, 0, [("apt-get install", "apt-get --simulate install"), ("9000", str(self.backend))], root=True)
        wait_for("both listen", lambda: is_listening(self.front) and is_listening(self.backend))
        said = self.shell(heading, 1, [("8000", str(self.front))])
        answers = re.findall(r"(?m)^HTTP/1.1 (\d+)", said)
        self.assertEqual(answers, ["401", "200"], said)
        self.assertIn('WWW-Authenticate: Bearer realm="gatehouse"', said)
        self.assertRegex(said, "(?m)^for Acme billing$")

    def tour(self):
        # Uses are stored every few seconds.
        usage = f"eval \"$(deploy/quickstart --env)\"; {os.environ['GATEHOUSE_COMMAND']} usage -o json"
        wait_for("the uses are stored", lambda: "GET /api/cases" in run(["bash", "-c", usage], cwd=self.checkout)[1])
        said = self.shell("A tour")
        for wanted in (r"Acme billing .* GET /api/cases +1 ", r"Roles +service_agent, work_creator", r"ResumeCredential .* OK ",
                       r"(?m)^Intact +yes$", r"(?m)^Nothing was changed\.$", r'"name": ?"Acme billing"'):
            self.assertRegex(said, wanted)
        with open(self.checkout + "/build/acme.secret") as first, open(self.checkout + "/build/acme.new") as second:
            self.assertNotEqual(first.read(), second.read())

    def postman(self):
        """Both files as they are imported, by newman, which tests/clients installs."""
        newman = BUILD + "/tests/clients/npm/node_modules/newman/bin/newman.js"
        names = re.findall(r"(?:deploy|build)/[\w/]+\.postman_\w+\.json", text.sections("client/README.md")["Postman"])
        self.assertEqual([name.rpartition(".postman_")[2] for name in names], ["collection.json", "environment.json"])
        report = self.checkout + "/build/newman.json"
        run(["node", newman, "run", names[0], "--environment", names[1], "--reporters", "json", "--reporter-json-export", report],
            cwd=self.checkout)
        with open(report, encoding="utf-8") as file:
            done = json.load(file)["run"]
        self.assertEqual((done["stats"]["assertions"]["total"], done["failures"]), (5, []))

    def test_installation_and_production(self):
        files = packages.find()
        root = self.enterContext(Root("readme"))
        root.install("systemd", *packages.dependencies(files["gatehouse"]))
        root.run("rm", "/usr/sbin/policy-rc.d")  # here services may start
        root.put(files["gatehouse"], "/root/build/package/packages/" + os.path.basename(files["gatehouse"]))
        install = self.block("Install", 0, [("apt-get install", "apt-get install -y -q")])
        production = self.block("Production")
        listed = text.blocks()["Install", 1]
        self.done.add(("Install", 1))
        with Machine(root) as machine:
            def shell(lines):
                return machine.do("env", "-C", "/root", "DEBIAN_FRONTEND=noninteractive", "bash", "-ec", "\n".join(lines))

            client_id = re.search(r"client_id=(\S+)", shell(install))[1]
            self.assertIn("administrator", shell([put_in(listed, [("=…", "=" + client_id)])]))
            self.assertIn("event=started", shell(production))
            self.assertIn("SQLite", machine.do("head", "-c", "6", "/var/lib/gatehouse/backup.db"))


class Text(unittest.TestCase):
    def test_the_map_has_a_line_for_each_file_and_a_file_for_each_line(self):
        files, patterns = text.tracked(), text.patterns()
        self.assertGreater(len(files), 200)
        matched = {pattern: [path for path in files if text.is_matched(path, pattern)] for pattern in patterns}
        self.assertEqual([pattern for pattern in patterns if not matched[pattern]], [], "lines without a file")
        self.assertEqual(sorted(set(files) - {path for paths in matched.values() for path in paths}), [], "files without a line")

    def test_links_lead_somewhere(self):
        self.assertGreater(len(text.links()), 10)
        self.assertEqual([link for link in text.links() if not os.path.exists(f"{SOURCE}/{link}")], [])

    def test_links_to_headings_lead_to_one(self):
        self.assertGreater(len(text.anchors()), 3)
        for page, anchor in text.anchors():
            headings = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"(?m)^#+ (.*)$", text.read(page))]
            self.assertIn(anchor, headings, page)

    def test_the_first_page_is_read_in_three_minutes(self):
        self.assertLessEqual(len(text.TEXT["README.md"].splitlines()), 150)

    def test_every_block_is_of_a_kind_that_is_looked_at(self):
        for page, content in text.TEXT.items():
            fences = re.findall(r"(?m)^```(.*)$", content)
            self.assertEqual(set(fences[1::2]) - {""}, set(), page)
            self.assertEqual(set(fences[::2]) - {"", "sh", *text.SOURCES}, set(), page)
            self.assertEqual(content.count("~~~"), 0, page)
            # Pictures, the map, and what the main job answers.
            self.assertEqual(fences[::2].count(""), {"README.md": 2, "services/README.md": 2, "tests/bench/README.md": 1}.get(page, 0), page)

    def test_what_is_shown_of_the_examples_is_there(self):
        shown = [(kind, code) for content in text.TEXT.values() for kind, code in re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", content) if kind != "sh"]
        self.assertGreater(len(shown), 4)
        for kind, code in shown:
            sources = [text.read(path) for path in text.tracked() if path.startswith("client/examples/") and path.endswith(text.SOURCES[kind])]
            self.assertTrue(any(code in source for source in sources) or code in NOT_OF_AN_EXAMPLE, code)

    def test_commands_between_the_lines_are_run_by_a_test(self):
        """Those in the text, and those of the blocks that are not run here."""
        known = set(re.findall(r"(?m)^ *Test +#\d+: (\S+)", run(["ctest", "--test-dir", BUILD, "-N"])[1]))
        self.assertEqual({name for name in ELSEWHERE.values() if name not in known}, set())
        in_blocks = {command for block in text.blocks().values() for command in commands(block)}
        programs = re.compile(r"(gatehoused?|deploy/[\w/-]+|tests/[\w/-]+|curl|nginx|systemctl|apt-get|man) \S|(deploy|tests)/\S*(run|bench)$")
        for command in text.inline():
            if programs.match(command) and command not in ELSEWHERE and command not in OUTERMOST and command not in in_blocks:
                with self.subTest(command):
                    self.run_inline(command)
        in_text = in_blocks | set(text.inline())
        self.assertEqual([command for command in ELSEWHERE if command not in in_text], [], "no longer there")

    def run_inline(self, command):
        if command.startswith("tests/bench/bench "):
            return  # Figures
        self.assertRegex(command, r"^(gatehouse|gatehoused|deploy/quickstart|tests/run) [\w-]+( [\w-]+)*$")
        program, *arguments = command.split()
        path = {"gatehouse": os.environ["GATEHOUSE_COMMAND"], "gatehoused": os.environ["GATEHOUSED"]}.get(program, f"{SOURCE}/{program}")
        extra = [] if arguments[-1].startswith("--") else ["--help"]
        run([path, *arguments, *extra])

    def test_settings_that_are_named_exist(self):
        known = set(re.findall(r"(?m)^(\w+) = ", run([os.environ["GATEHOUSED"], "--print-config"])[1]))
        with open(os.path.join(SOURCE, "proto/gatehouse/v1/credential_admin.proto"), encoding="utf-8") as contract:
            known |= set(re.findall(r" (\w+) = \d+", re.search(r"(?ms)^message Settings \{$.*?^\}$", contract.read())[0]))
        named = {name for name in text.inline(text.OPERATORS) if re.fullmatch(r"[a-z]+(_[a-z]+)+", name)} | {
            match[1] for name in text.inline(text.OPERATORS) if (match := re.fullmatch(r"([a-z_]+) = .*", name))}
        self.assertGreater(len(named & known), 5)
        self.assertLessEqual(named - known, NOT_SETTINGS)


class Figures(unittest.TestCase):
    def test_the_commands_print_what_the_table_says(self):
        rows = re.findall(r"(?m)^\| (.*?) \| .* \| `tests/bench/bench (\w+)` \|$", text.TEXT["tests/bench/README.md"])
        self.assertGreater(len(rows), 4)
        said = run([SOURCE + "/tests/bench/bench", "--quick", "--build", BUILD, *sorted({name for _, name in rows})], timeout=600)[1]
        for what, _ in rows:
            self.assertIn(f"  {what.replace('1,000,000', '100,000')} ", said)  # --quick makes fewer tokens


# A function, roles, OAuth's words.
NOT_SETTINGS = {"token_is_active", "work_creator", "resource_server", "user_manager", "key_manager", "expires_in", "client_secret_expires_at",
                "credential_expires_at", "self_rotation", "observe_only", "last_use_from", "unauthorized_client", "gatehouse_source_address_total", "gatehouse_limits_observed_total", "invalid_request", "client_id",
                "another_history", "tokens_missing", "usage_lost", "http_user_refused", "gatehouse_http_users_refused_total"}  # events

if __name__ == "__main__":
    unittest.main()
