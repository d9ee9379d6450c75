# SPDX-License-Identifier: Apache-2.0
"""Drives the gatehouse command against a running daemon.

GATEHOUSE_COMMAND is the binary; GATEHOUSE_GRPC, GATEHOUSE_CLIENT_ID and GATEHOUSE_CLIENT_SECRET_FILE name a daemon and an
administrator of it that holds user_manager and resource_server. What the tests make is named at random, and the daemon's
settings are put back, so that it can be any daemon, and the tests can run again. Where no daemon is named, one is started
(tests/support/daemon.py, as CTest does it).
"""
import atexit
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

COMMAND = os.environ.get("GATEHOUSE_COMMAND", "gatehouse")
NEEDED = ("GATEHOUSE_GRPC", "GATEHOUSE_CLIENT_ID", "GATEHOUSE_CLIENT_SECRET_FILE")
DONE, REFUSED, USAGE, UNREACHABLE, INACTIVE = range(5)
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
TOKEN = re.compile(r"^gate_at_[A-Za-z0-9]+$")
SECRET = re.compile(r"^gate_sk_[A-Za-z0-9]+$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def environment(**changes):
    """The caller's, without a configuration file of his own; a change to None takes a variable away."""
    variables = {**os.environ, "XDG_CONFIG_HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    for name, value in changes.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    return variables


def run(*arguments, stdin="", **changes):
    return subprocess.run([COMMAND, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60,
                          env=environment(**changes))


def random_name(prefix):
    return f"{prefix} {uuid.uuid4().hex[:12]}"


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(COMMAND, [COMMAND, *arguments], environment(TERM="xterm"))
        self.text = ""

    def expect(self, words, seconds=20):
        end = time.monotonic() + seconds
        while words not in self.text:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {words!r} in {self.text!r}")

    def _read(self, seconds):
        if seconds <= 0 or not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def write(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=20):
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gatehouse-command-")
        self.addCleanup(self.folder.cleanup)
        self.made = []
        self.addCleanup(self.delete_made)

    def delete_made(self):
        for client_id in self.made:
            run("credential", "delete", client_id, "--yes")

    def ok(self, *arguments, **more):
        answer = run(*arguments, **more)
        self.assertEqual(answer.returncode, DONE, (arguments, answer.stdout, answer.stderr))
        return answer.stdout

    def fails(self, code, *arguments, **more):
        answer = run(*arguments, **more)
        self.assertEqual(answer.returncode, code, (arguments, answer.stdout, answer.stderr))
        self.assertRegex(answer.stderr, r"(?m)^gatehouse[ a-z-]*: ")
        return answer.stderr

    def read(self, *arguments, **more):
        return json.loads(self.ok(*arguments, "-o", "json", **more))

    def create(self, *arguments, roles="work_creator,team_leader", name=None):
        """A new credential: name, client ID, file of its secret key."""
        name = name or random_name("Test")
        client_id, secret = self.ok("credential", "create", name, "--role", roles, "-o", "value", *arguments).split()
        self.made.append(client_id)
        path = os.path.join(self.folder.name, f"secret-{client_id}")
        self.write(path, secret)
        return name, client_id, path

    def write(self, path, text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def token(self, client_id, secret_file, *arguments):
        """A live token of it, and the file that it is in."""
        token = self.ok("token", "issue", "--client-id", client_id, "--client-secret-file", secret_file, "-o", "value",
                        *arguments).strip()
        path = os.path.join(self.folder.name, f"token-{uuid.uuid4().hex}")
        self.write(path, token)
        return token, path

    def is_active(self, token_file):
        code = run("token", "introspect", "--token-file", token_file).returncode
        self.assertIn(code, (DONE, INACTIVE))
        return code == DONE


class Credentials(Case):
    def test_create_prints_id_and_secret_on_two_lines_for_scripts(self):
        lines = self.ok("credential", "create", random_name("Two"), "-r", "work_creator", "-o", "value").split("\n")
        self.made.append(lines[0])
        self.assertRegex(lines[0], UUID)
        self.assertRegex(lines[1], SECRET)
        self.assertEqual(lines[2:], [""])

    def test_create_answers_in_a_table_and_in_json(self):
        name = random_name("Müller & Søn")
        answer = run("credential", "create", name, "-r", "work_creator", "-r", "team_leader", "--expires", "90d")
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        self.assertIn("in 90 days", answer.stdout)
        self.assertRegex(answer.stdout, r"Secret key +gate_sk_")
        self.assertIn("cannot be shown again", answer.stderr)
        self.made.append(re.search(r"Client ID +(\S+)", answer.stdout)[1])

        made = self.read("credential", "create", random_name("Json"), "-r", "work_creator", "--expires", "2099-01-31")
        self.made.append(made["credential"]["client_id"])
        self.assertRegex(made["secret_key"], SECRET)
        self.assertEqual(made["credential"]["expire_time"], "2099-01-31T23:59:59Z")
        self.assertEqual(made["credential"]["status"], "active")
        self.assertEqual([role["role"] for role in made["credential"]["roles"]], ["work_creator"])

    def test_the_secret_goes_to_a_private_file_that_did_not_exist(self):
        path = os.path.join(self.folder.name, "new")
        out = self.ok("credential", "create", random_name("File"), "-r", "work_creator", "--write-secret", path,
                      "-o", "value")
        client_id = out.split("\n")[0]
        self.made.append(client_id)
        self.assertNotIn("gate_sk_", out)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8") as file:
            self.assertRegex(file.read().strip(), SECRET)
        self.assertTrue(self.is_active(self.token(client_id, path)[1]))
        name = random_name("Again")
        self.fails(USAGE, "credential", "create", name, "-r", "work_creator", "--write-secret", path)
        self.assertEqual(self.read("credential", "list", "--name", name), [])

    def test_no_file_is_left_when_the_server_says_no(self):
        name, _, _ = self.create()
        path = os.path.join(self.folder.name, "none")
        text = self.fails(REFUSED, "credential", "create", name, "-r", "work_creator", "--write-secret", path)
        self.assertIn("NAME_TAKEN", text)
        self.assertRegex(text, r"request ID [0-9a-f]{16}")
        self.assertFalse(os.path.exists(path))

    def test_what_makes_no_sense_is_refused_before_it_is_sent(self):
        name = random_name("Never")
        for arguments in (["create"], ["create", name], ["create", name, "extra", "-r", "work_creator"],
                          ["create", name, "-r", "work_creator", "--expires", "soon"],
                          ["create", name, "-r", "work_creator", "--nonsense"], ["list", "--limit", "many"],
                          ["list", "--sort", "age"], ["list", "--expires-within", "soon"], ["list", "extra"],
                          ["list", "-o", "yaml"], ["update", name], ["grant", name], ["nonsense"], []):
            self.assertEqual(run("credential", *arguments).returncode, USAGE, arguments)
        self.assertEqual(self.read("credential", "list", "--name", name), [])

    def test_a_role_that_does_not_exist_is_told(self):
        text = self.fails(REFUSED, "credential", "create", random_name("Role"), "-r", "no_such_role")
        self.assertIn("NO_SUCH_ROLE", text)
        self.assertIn("gatehouse role list", text)

    def test_dry_run_makes_nothing(self):
        name = random_name("Dry")
        self.ok("credential", "create", name, "-r", "work_creator", "--dry-run")
        self.assertEqual(self.read("credential", "list", "--name", name), [])

    def test_a_repeated_request_makes_nothing_twice(self):
        name, request_id = random_name("Once"), uuid.uuid4().hex
        first = self.ok("credential", "create", name, "-r", "work_creator", "--request-id", request_id, "-o", "value")
        self.made.append(first.split()[0])
        again = run("credential", "create", name, "-r", "work_creator", "--request-id", request_id, "-o", "value")
        self.assertEqual(again.returncode, DONE, again.stderr)
        self.assertEqual(again.stdout, first.split()[0] + "\n\n")
        self.assertIn("cannot be shown again", again.stderr)

    def test_the_list_filters(self):
        mark = uuid.uuid4().hex[:12]
        _, first, _ = self.create("--expires", "20d", name=f"Filter {mark} a", roles="work_creator")
        _, second, _ = self.create("--expires", "never", name=f"Filter {mark} b", roles="team_leader")

        def found(*arguments):
            return self.ok("credential", "list", "--name", mark, "-o", "value", *arguments).split()

        self.assertEqual(found(), [first, second])
        self.assertEqual(found("--reverse"), [second, first])
        self.assertEqual(found("--role", "team_leader"), [second])
        self.assertEqual(found("--granted", "work_creator"), [first])
        self.assertEqual(found("--expires-within", "30d"), [first])
        self.assertEqual(found("--expires-within", "10d"), [])
        self.assertEqual(found("--limit", "1"), [first])
        self.assertEqual(found("--filter", f"client_id={second}"), [second])
        self.ok("credential", "delete", first, "--yes")
        self.assertEqual(found(), [second])
        self.assertEqual(found("--status", "deleted"), [first])
        self.assertEqual(found("--status", "any"), [first, second])
        nothing = run("credential", "list", "--name", random_name("no"))
        self.assertEqual((nothing.returncode, nothing.stdout), (DONE, ""))
        self.assertIn("No credential", nothing.stderr)
        table = self.ok("credential", "list", "--name", mark, "--status", "any")
        self.assertRegex(table.split("\n")[0], r"^CLIENT ID +NAME +ROLES +EXPIRES +STATUS +LAST USE +OWNER")
        self.assertRegex(table, r"deleted")

    def test_the_list_reads_all_pages(self):
        mark = uuid.uuid4().hex[:12]
        names = [f"Page {mark} {number:03}" for number in range(205)]
        for name in names:
            self.create(name=name, roles="work_creator")
        listed = self.read("credential", "list", "--name", mark)
        self.assertEqual([item["name"] for item in listed], names)
        cut = run("credential", "list", "--name", mark, "--limit", "203")
        self.assertEqual(len(cut.stdout.splitlines()), 204)
        self.assertIn("--limit=0", cut.stderr)

    def test_get_by_id_and_by_name(self):
        name, client_id, _ = self.create()
        self.assertEqual(self.read("credential", "get", client_id), self.read("credential", "get", name))
        self.assertEqual(self.ok("credential", "get", name, "-o", "value"), client_id + "\n")
        table = self.ok("credential", "get", name)
        self.assertRegex(table, rf"Name +{name}\n")
        self.assertRegex(table, r"work_creator +granted")
        self.assertRegex(table, r"SECRET ID +LAST FOUR")
        for key in ("create_time", "update_time"):
            self.assertRegex(self.read("credential", "get", name)[key], RFC3339)
        self.assertIn("NO_SUCH_CREDENTIAL", self.fails(REFUSED, "credential", "get", str(uuid.uuid4())))
        self.assertIn("credential list", self.fails(REFUSED, "credential", "get", random_name("Nobody")))

    def test_update_changes_and_clears(self):
        name, client_id, _ = self.create("--expires", "90d")
        other = random_name("Renamed")
        self.ok("credential", "update", name, "--name", other)
        self.assertEqual(self.read("credential", "get", client_id)["name"], other)
        self.assertIsNotNone(self.read("credential", "get", client_id)["expire_time"])
        answer = self.read("credential", "update", client_id, "--expires", "never")
        self.assertIsNone(answer["credential"]["expire_time"])
        self.assertEqual(answer["impact"]["tokens_ended"], 0)
        self.ok("credential", "update", client_id, "--expires", "2099-01-31T12:00:00+01:00")
        self.assertEqual(self.read("credential", "get", client_id)["expire_time"], "2099-01-31T11:00:00Z")
        self.assertIn("STALE_ETAG", self.fails(REFUSED, "credential", "update", client_id, "--name", name, "--etag",
                                               "stale", "--yes"))

    def test_delete_ends_tokens_and_undelete_brings_back(self):
        name, client_id, secret = self.create()
        _, token = self.token(client_id, secret)
        self.assertTrue(self.is_active(token))
        dry = self.ok("credential", "delete", name, "--dry-run")
        self.assertIn("ends 1 live token.", dry)
        self.assertTrue(self.is_active(token))
        self.assertRegex(self.ok("credential", "delete", name, "--yes"), r"Tokens ended +1\n")
        self.assertFalse(self.is_active(token))
        self.assertEqual(self.ok("credential", "undelete", name, "-o", "value"), client_id + "\n")
        self.assertIn("NOT_DELETED", self.fails(REFUSED, "credential", "undelete", client_id))
        self.assertFalse(self.is_active(token))

    def test_grant_and_revoke(self):
        name, client_id, secret = self.create(roles="work_creator")
        _, token = self.token(client_id, secret)
        self.assertEqual(self.read("credential", "grant", name, "work_creator")["impact"]["tokens_ended"], 0)
        self.assertTrue(self.is_active(token))
        self.assertEqual(self.read("credential", "grant", name, "team_leader", "--yes")["impact"]["tokens_ended"], 1)
        self.assertFalse(self.is_active(token))
        self.ok("credential", "revoke", name, "team_leader")
        self.assertIn("team_leader (revoked)", self.ok("credential", "list", "--name", name))
        roles = {role["role"]: role["state"] for role in self.read("credential", "get", name)["roles"]}
        self.assertEqual(roles, {"work_creator": "granted", "team_leader": "revoked"})


class Secrets(Case):
    def test_regenerate_replaces_the_key_and_ends_tokens(self):
        name, client_id, old = self.create()
        _, token = self.token(client_id, old)
        new = os.path.join(self.folder.name, "new")
        self.write(new, self.ok("secret", "regenerate", name, "--yes", "-o", "value").strip())
        self.assertFalse(self.is_active(token))
        self.assertTrue(self.is_active(self.token(client_id, new)[1]))
        text = self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", old)
        self.assertIn("INVALID_CLIENT", text)

    def test_with_an_overlap_both_keys_are_good_until_one_is_ended(self):
        name, client_id, old = self.create()
        _, token = self.token(client_id, old)
        answer = self.read("secret", "regenerate", name, "--overlap", "24h")
        self.assertEqual(answer["impact"]["tokens_ended"], 0)
        self.assertTrue(self.is_active(token))
        self.token(client_id, old)
        keys = self.read("credential", "get", name)["secrets"]
        self.assertEqual(len(keys), 2)
        self.assertIsNone(keys[0]["expire_time"])
        self.assertRegex(keys[1]["expire_time"], RFC3339)
        self.ok("secret", "end", name, str(keys[1]["secret_id"]))
        self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", old)
        self.assertIn("NO_SUCH_SECRET", self.fails(REFUSED, "secret", "end", name, "999999"))

    def test_what_makes_no_sense_is_refused(self):
        name, _, _ = self.create()
        self.fails(USAGE, "secret", "regenerate", name, "--overlap", "soon")
        self.fails(USAGE, "secret", "end", name, "first")
        self.fails(USAGE, "secret", "regenerate", name)  # nobody is there to confirm


class Roles(Case):
    def test_the_catalogue(self):
        listed = self.ok("role", "list", "-o", "value").split()
        for role in ("service_agent", "work_creator", "user_manager", "resource_server"):
            self.assertIn(role, listed)
        self.assertRegex(self.ok("role", "list"), r"(?m)^team_leader +Team Leader +Access Rights")

    def test_create_update_retire(self):
        role = "test_" + uuid.uuid4().hex[:12]
        self.ok("role", "create", role, "--name", "Test", "--group", "Tests", "--description", "Nothing")
        self.assertIn("ROLE_EXISTS", self.fails(REFUSED, "role", "create", role, "--name", "T", "--group", "T"))
        changed = self.read("role", "update", role, "--description", "A little")
        self.assertEqual((changed["name"], changed["description"], changed["built_in"]), ("Test", "A little", False))
        self.assertIs(self.read("role", "retire", role)["retired"], True)
        self.assertNotIn(role, self.ok("role", "list", "-o", "value").split())
        self.assertIn(role, self.ok("role", "list", "--retired", "-o", "value").split())
        self.assertIn("ROLE_RETIRED", self.fails(REFUSED, "credential", "create", random_name("R"), "-r", role))
        self.assertIs(self.read("role", "retire", role, "--undo")["retired"], False)
        self.ok("role", "retire", role)

    def test_what_makes_no_sense_is_refused(self):
        self.fails(USAGE, "role", "create", "test_x")
        self.fails(USAGE, "role", "update", "work_creator")
        self.assertIn("NO_SUCH_ROLE", self.fails(REFUSED, "role", "retire", "no_such_role"))
        self.assertIn("BUILT_IN_ROLE", self.fails(REFUSED, "role", "retire", "user_manager"))


class Users(Case):
    def test_an_owners_roles_narrow_its_credentials(self):
        user = "user-" + uuid.uuid4().hex[:12]
        self.ok("user", "set-roles", user, "work_creator", "team_leader")
        self.addCleanup(run, "user", "delete", user, "--yes")
        name, client_id, secret = self.create("--owner", user)
        _, token = self.token(client_id, secret)
        self.assertEqual(self.ok("user", "get", user, "-o", "value"), "team_leader,work_creator\n")
        self.assertEqual(self.read("user", "get", user)["credential_count"], 1)
        self.assertEqual(self.read("credential", "list", "--owner", user)[0]["name"], name)

        self.assertEqual(self.ok("user", "set-roles", user, "work_creator", "--dry-run", "-o", "value"), "1\n")
        self.fails(USAGE, "user", "set-roles", user, "work_creator")  # it ends a token, and nobody confirms
        self.assertTrue(self.is_active(token))
        self.assertEqual(self.ok("user", "set-roles", user, "work_creator", "--yes", "-o", "value"), "1\n")
        self.assertFalse(self.is_active(token))
        self.assertEqual(self.read("user", "get", user)["revoked_roles"], ["team_leader"])
        self.assertIn("team_leader (revoked from owner)", self.ok("credential", "list", "--owner", user))
        self.assertIn(user, self.ok("user", "list", "--user", user[5:], "-o", "value"))
        self.assertRegex(self.ok("user", "list", "--role", "work_creator"), rf"(?m)^{user} +work_creator +team_leader")
        self.ok("user", "delete", user, "--yes")
        self.assertIn("NO_SUCH_USER", self.fails(REFUSED, "user", "get", user))

    def test_no_roles_must_be_said_in_so_many_words(self):
        user = "user-" + uuid.uuid4().hex[:12]
        self.fails(USAGE, "user", "set-roles", user)
        self.fails(USAGE, "user", "set-roles", user, "work_creator", "--none")
        self.ok("user", "set-roles", user, "--none")
        self.assertEqual(self.ok("user", "get", user, "-o", "value"), "\n")
        self.fails(USAGE, "user", "delete", user)
        self.ok("user", "delete", user, "--yes")


class Tokens(Case):
    def test_issue_prints_the_token_alone_for_scripts(self):
        _, client_id, secret = self.create()
        caller = ("--client-id", client_id, "--client-secret-file", secret)
        lines = self.ok("token", "issue", *caller, "-o", "value").split("\n")
        self.assertRegex(lines[0], TOKEN)
        self.assertEqual(lines[1:], [""])
        issued = self.read("token", "issue", *caller, "--scope", "team_leader")
        self.assertEqual((issued["token_type"], issued["scopes"]), ("Bearer", ["team_leader"]))
        self.assertRegex(issued["expires_in"], r"^\d+s$")
        self.assertRegex(issued["accessor"], r"^[0-9a-f]{64}$")
        self.assertRegex(self.ok("token", "issue", *caller), r"Token +gate_at_\w+\n")
        self.assertIn("INVALID_SCOPE", self.fails(REFUSED, "token", "issue", *caller, "--scope", "user_manager"))

    def test_introspect_answers_by_exit_status_too(self):
        name, client_id, secret = self.create()
        token, path = self.token(client_id, secret)
        self.assertEqual(self.ok("token", "introspect", "--token-file", path, "-o", "value"), "true\n")
        answer = self.read("token", "introspect", stdin=token)
        self.assertEqual((answer["active"], answer["allowed"], answer["client_id"], answer["credential_name"]),
                         (True, True, client_id, name))
        self.assertEqual(answer["roles"], ["team_leader", "work_creator"])
        self.assertRegex(answer["expire_time"], RFC3339)
        self.ok("token", "introspect", "--token-file", "-", "--require", "work_creator,team_leader", stdin=token + "\n")

        lacks = run("token", "introspect", "--require", "work_creator,user_manager", "-o", "json", stdin=token)
        self.assertEqual(lacks.returncode, INACTIVE)
        self.assertEqual(json.loads(lacks.stdout)["missing_roles"], ["user_manager"])
        dead = run("token", "introspect", "-o", "value", stdin="nonsense")
        self.assertEqual((dead.returncode, dead.stdout), (INACTIVE, "false\n"))
        dead = run("token", "introspect", stdin="gate_at_" + "x" * 49)
        self.assertEqual((dead.returncode, dead.stdout), (INACTIVE, "Active  no\n"))

    def test_an_administrators_look_is_no_use(self):
        name, client_id, secret = self.create()
        token, _ = self.token(client_id, secret)
        self.ok("token", "introspect", stdin=token)
        self.assertEqual(self.read("token", "list", name)[0]["last_api"], "")
        self.ok("token", "introspect", "--api", "POST /api/cases", stdin=token)
        listed = self.read("token", "list", name)[0]
        self.assertRegex(listed["last_use_time"], RFC3339)
        self.assertEqual(listed["last_api"], "POST /api/cases")

    def test_a_secret_on_the_command_line_is_refused(self):
        _, client_id, secret_file = self.create()
        token, path = self.token(client_id, secret_file)
        with open(secret_file, encoding="utf-8") as file:
            secret = file.read().strip()
        for arguments in (["token", "introspect", token], ["token", "introspect", "--token", token],
                          ["token", "introspect", f"--token-file={token}"], ["token", "revoke", "anything"],
                          ["token", "introspect", "--token", "anything"],
                          ["credential", "list", "--client-secret", secret],
                          ["credential", "list", "--client-secret", "anything"],
                          [f"--client-secret-file={secret}", "credential", "list"]):
            text = self.fails(USAGE, *arguments)
            self.assertIn("command line", text)
            self.assertNotIn(token, text)
            self.assertNotIn(secret, text)
        self.assertTrue(self.is_active(path))

    def test_revoke_by_administrator_by_client_and_by_bearer(self):
        _, client_id, secret = self.create()
        _, other_id, other_secret = self.create()
        callers = ({}, {"GATEHOUSE_CLIENT_ID": client_id, "GATEHOUSE_CLIENT_SECRET_FILE": secret},
                   {"GATEHOUSE_CLIENT_ID": None, "GATEHOUSE_CLIENT_SECRET_FILE": None})
        for caller in callers:
            _, path = self.token(client_id, secret)
            self.assertTrue(self.is_active(path))
            self.assertRegex(self.ok("token", "revoke", "--token-file", path, **caller), r"Revoked +yes")
            self.assertFalse(self.is_active(path))
        _, path = self.token(client_id, secret)
        text = self.fails(REFUSED, "token", "revoke", "--token-file", path, GATEHOUSE_CLIENT_ID=other_id,
                          GATEHOUSE_CLIENT_SECRET_FILE=other_secret)
        self.assertIn("NOT_YOUR_TOKEN", text)
        self.assertTrue(self.is_active(path))
        self.ok("token", "revoke", stdin="never was one")

    def test_list_end_and_end_all_by_accessor(self):
        name, client_id, secret = self.create()
        paths = [self.token(client_id, secret)[1] for _ in range(3)]
        accessors = self.ok("token", "list", name, "-o", "value").split()
        self.assertEqual(len(set(accessors)), 3)
        self.assertNotIn("gate_at_", self.ok("token", "list", name) + self.ok("token", "list", name, "-o", "json"))
        self.assertEqual(self.ok("token", "end", accessors[0], "-o", "value"), "1\n")
        self.assertEqual(sum(self.is_active(path) for path in paths), 2)
        self.fails(USAGE, "token", "end-all", name)
        self.assertEqual(self.ok("token", "end-all", name, "--dry-run", "-o", "value"), "2\n")
        self.assertEqual(sum(self.is_active(path) for path in paths), 2)
        self.assertEqual(self.ok("token", "end-all", name, "--yes", "-o", "value"), "2\n")
        self.assertFalse(any(self.is_active(path) for path in paths))
        self.ok("token", "end-all", name)  # nothing ends, nothing is asked

    def test_a_command_leaves_no_live_token_behind(self):
        name, client_id, secret = self.create(roles="user_manager")
        caller = {"GATEHOUSE_CLIENT_ID": client_id, "GATEHOUSE_CLIENT_SECRET_FILE": secret}
        self.ok("role", "list", **caller)
        self.fails(REFUSED, "user", "get", "nobody-" + uuid.uuid4().hex, **caller)
        self.assertEqual(self.read("token", "list", name), [])


class Settings(Case):
    def test_get_and_set(self):
        before = self.read("settings", "get")
        self.addCleanup(run, "settings", "set", "--yes", f"idle_session_timeout={before['idle_session_timeout']}",
                        f"max_token_life={before['max_token_life'] or 'off'}",
                        f"max_tokens_per_credential={before['max_tokens_per_credential']}")
        self.ok("settings", "set", "idle-session-timeout=1h30m", "max_token_life=30d", "max_tokens_per_credential=5000",
                "--yes")
        after = self.read("settings", "get")
        self.assertEqual((after["idle_session_timeout"], after["max_token_life"], after["max_tokens_per_credential"]),
                         ("5400s", "2592000s", 5000))
        self.assertEqual(after["deletion_retention"], before["deletion_retention"])
        self.assertRegex(self.ok("settings", "get"), r"idle_session_timeout +1h30m\n")
        self.assertEqual(self.ok("settings", "get", "idle_session_timeout", "-o", "value"), "5400s\n")
        self.ok("settings", "set", "max_token_life=off", "max_tokens_per_credential=off", "--yes")
        self.assertRegex(self.ok("settings", "get"), r"max_token_life +off\nmax_tokens_per_credential +off\n")
        self.assertEqual(self.ok("settings", "set", "idle_session_timeout=2h", "--dry-run", "-o", "value"), "0\n")
        self.assertEqual(self.read("settings", "get")["idle_session_timeout"], "5400s")

    def test_what_makes_no_sense_is_refused(self):
        for arguments in (["get", "colour"], ["set"], ["set", "idle_session_timeout"], ["set", "colour=red"],
                          ["set", "idle_session_timeout=soon"], ["set", "idle_session_timeout=off"],
                          ["set", "max_tokens_per_credential=-1"],
                          ["set", "idle_session_timeout=20m", "idle_session_timeout=21m"]):
            self.fails(USAGE, "settings", *arguments)
        self.assertIn("INVALID_FIELD", self.fails(REFUSED, "settings", "set", "idle_session_timeout=1s", "--yes"))
        self.assertIn("STALE_ETAG", self.fails(REFUSED, "settings", "set", "usage_retention=400d", "--etag", "stale",
                                               "--yes"))


class Usage(Case):
    def setUp(self):
        super().setUp()
        self.name, self.client_id, secret = self.create()
        token, self.token_file = self.token(self.client_id, secret)
        for api, roles in (("GET /api/a", "work_creator"), ("GET /api/a", "work_creator"), ("GET /api/a", "user_manager"),
                           ("POST /api/b", "work_creator")):
            run("token", "introspect", "--api", api, "--require", roles, stdin=token)

    def test_who_called_what(self):
        rows = {row["api"]: row for row in self.read("usage", "--credential", self.name)}
        self.assertEqual((rows["GET /api/a"]["allowed"], rows["GET /api/a"]["denied"]), (2, 1))
        self.assertEqual((rows["POST /api/b"]["allowed"], rows["POST /api/b"]["denied"]), (1, 0))
        self.assertRegex(rows["POST /api/b"]["last_use_time"], RFC3339)
        table = self.ok("usage", "--credential", self.client_id)
        self.assertRegex(table.split("\n")[0], r"^CREDENTIAL +CLIENT ID +API +ALLOWED +DENIED +FIRST USE +LAST USE")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--top", "1", "-o", "value"),
                         f"{self.client_id}\tGET /api/a\t2\t1\n")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--by", "credential", "-o", "value"),
                         f"{self.client_id}\t3\t1\n")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--api", "POST /api/b", "--by", "api", "-o", "value"),
                         "POST /api/b\t1\t0\n")
        for by in ("hour", "day"):
            rows = self.read("usage", "--credential", self.name, "--by", by, "--since", "2h")
            self.assertEqual(sum(row["allowed"] for row in rows), 3)
            self.assertRegex(rows[0]["start_time"], RFC3339)
        self.assertEqual(self.read("usage", "--credential", self.name, "--since", "60d", "--until", "50d"), [])

    def test_what_would_end_is_shown_with_what_it_called(self):
        text = self.ok("credential", "delete", self.name, "--dry-run")
        self.assertIn("ends 1 live token.", text)
        self.assertRegex(text, r"(?m)^ +3 .*GET /api/a")

    def test_top_prints_a_frame(self):
        for arguments in (["--once"], []):  # standard output is no terminal
            self.assertRegex(self.ok("top", "--credential", self.name, *arguments), r"(?m)^ +3 +1 .*GET /api/a")
        rows = self.read("top", "--once", "--credential", self.name)
        self.assertEqual([row["api"] for row in rows], ["GET /api/a", "POST /api/b"])

    def test_top_lives_until_q_or_control_c(self):
        for end, code in (("q", DONE), ("\x03", DONE)):
            terminal = Terminal("top", "--interval", "1s", "--credential", self.name)
            terminal.expect("GET /api/a")
            terminal.text = ""
            terminal.expect(", now ")  # a rate: the second frame
            terminal.write(end)
            self.assertEqual(terminal.end(), code)
            self.assertIn("\033[?1049l", terminal.text)

    def test_top_leaves_the_terminal_as_it_was_when_it_is_ended(self):
        terminal = Terminal("top", "--interval", "1s")
        terminal.expect("calls since")
        os.kill(terminal.pid, signal.SIGTERM)
        self.assertEqual(terminal.end(), DONE)
        self.assertIn("\033[?1049l", terminal.text)

    def test_what_makes_no_sense_is_refused(self):
        self.fails(USAGE, "usage", "--by", "week")
        self.fails(USAGE, "usage", "--by", "hour,day")
        self.fails(USAGE, "usage", "--since", "soon")
        self.fails(USAGE, "usage", "--top", "ten")
        self.fails(USAGE, "top", "--interval", "0")
        self.fails(REFUSED, "usage", "--credential", random_name("Nobody"))


class Audit(Case):
    def test_what_was_done_is_in_the_log(self):
        _, client_id, _ = self.create()
        events = self.read("audit", "list", "--subject", client_id, "--action", "CreateCredential")
        self.assertEqual(len(events), 1)
        self.assertEqual((events[0]["outcome"], events[0]["subject"]), ("OK", client_id))
        self.assertRegex(events[0]["event_time"], RFC3339)
        self.assertRegex(events[0]["hash"], r"^[0-9a-f]{64}$")
        self.assertEqual(self.read("audit", "list", "--subject", client_id, "--outcome", "NOT_FOUND"), [])
        self.assertEqual(self.read("audit", "list", "--subject", client_id, "--until", "1d"), [])
        self.assertEqual(len(self.read("audit", "list", "--subject", client_id, "--since", "1h", "--text", "work_creator")),
                         1)
        self.assertRegex(self.ok("audit", "list"), r"^ *NO +TIME +ACTOR +ACTION")
        self.assertEqual(len(self.ok("audit", "list", "--limit", "2", "-o", "value").splitlines()), 2)

    def test_verify(self):
        self.assertEqual(self.ok("audit", "verify", "-o", "value"), "true\n")
        self.assertGreater(self.read("audit", "verify")["events_checked"], 0)


class Confirmation(Case):
    def setUp(self):
        super().setUp()
        self.name, self.client_id, secret = self.create()
        _, self.token_file = self.token(self.client_id, secret)

    def test_the_name_or_the_client_id_is_to_be_typed(self):
        for word in (self.name, self.client_id):
            terminal = Terminal("credential", "delete", self.name)
            terminal.expect("to go on: ")
            self.assertIn(f'Deleting credential "{self.name}" ({self.client_id}) ends ', terminal.text)
            terminal.write(word + "\n")
            self.assertEqual(terminal.end(), DONE, terminal.text)
            self.assertFalse(self.is_active(self.token_file))
            self.ok("credential", "undelete", self.client_id)

    def test_anything_else_changes_nothing(self):
        for word in ("", "y", "yes", self.name + "x", self.name[:-1], "\x04"):
            for command in (("credential", "delete"), ("secret", "regenerate"), ("token", "end-all")):
                terminal = Terminal(*command, self.name)
                terminal.expect("to go on: ")
                terminal.write(word if word == "\x04" else word + "\n")
                self.assertEqual(terminal.end(), REFUSED, terminal.text)
                self.assertIn("Nothing was changed", terminal.text)
        self.assertTrue(self.is_active(self.token_file))

    def test_nobody_at_the_terminal_is_a_refusal(self):
        for arguments in (["credential", "delete", self.name], ["credential", "revoke", self.name, "team_leader"],
                          ["credential", "grant", self.name, "work_assigner"], ["secret", "regenerate", self.name],
                          ["credential", "update", self.name, "--expires", "2020-01-01"],
                          ["token", "end-all", self.name]):
            text = self.fails_after_impact(arguments)
            self.assertIn("--yes", text)
        self.assertTrue(self.is_active(self.token_file))

    def fails_after_impact(self, arguments):
        answer = run(*arguments, stdin=self.name + "\n")
        self.assertEqual(answer.returncode, USAGE, (arguments, answer.stderr))
        self.assertIn("ends 1 live token.", answer.stderr)
        return answer.stderr

    def test_what_changed_since_it_was_shown_is_not_done(self):
        terminal = Terminal("credential", "delete", self.name)
        terminal.expect("to go on: ")
        self.ok("credential", "update", self.client_id, "--expires", "30d")
        terminal.write(self.name + "\n")
        self.assertEqual(terminal.end(), REFUSED)
        self.assertIn("STALE_ETAG", terminal.text)
        self.assertTrue(self.is_active(self.token_file))

    def test_an_expiry_in_the_past_ends_tokens_when_confirmed(self):
        terminal = Terminal("credential", "update", self.name, "--expires", "2020-01-01")
        terminal.expect("to go on: ")
        terminal.write(self.name + "\n")
        self.assertEqual(terminal.end(), DONE, terminal.text)
        self.assertFalse(self.is_active(self.token_file))


class Caller(Case):
    NOBODY = {"GATEHOUSE_CLIENT_ID": None, "GATEHOUSE_CLIENT_SECRET_FILE": None}

    def secret(self):
        with open(os.environ["GATEHOUSE_CLIENT_SECRET_FILE"], encoding="utf-8") as file:
            return file.read().strip()

    def test_a_caller_can_be_named_in_each_way(self):
        client_id, secret_file = os.environ["GATEHOUSE_CLIENT_ID"], os.environ["GATEHOUSE_CLIENT_SECRET_FILE"]
        token, path = self.token(client_id, secret_file)
        self.addCleanup(run, "token", "revoke", "--token-file", path)
        self.ok("role", "list", "--client-id", client_id, "--client-secret-file", secret_file, **self.NOBODY)
        self.ok("--client-id", client_id, "--client-secret-file=-", "role", "list", stdin=self.secret(), **self.NOBODY)
        self.ok("role", "list", "--client-id", client_id,
                **{**self.NOBODY, "GATEHOUSE_CLIENT_SECRET": self.secret()})
        self.ok("role", "list", "--token-file", path, **self.NOBODY)
        self.ok("role", "list", "--token-file", "-", stdin=token, **self.NOBODY)
        self.ok("role", "list", **{**self.NOBODY, "GATEHOUSE_TOKEN": token})
        self.ok("role", "list", **{**self.NOBODY, "GATEHOUSE_TOKEN_FILE": path})

    def test_a_configuration_file_names_server_and_caller(self):
        folder = os.path.join(self.folder.name, "gatehouse")
        os.mkdir(folder)
        path = os.path.join(folder, "config")
        self.write(path, f'address = "{os.environ["GATEHOUSE_GRPC"]}"\nclient_id = "{os.environ["GATEHOUSE_CLIENT_ID"]}"\n'
                         f'client_secret_file = "{os.environ["GATEHOUSE_CLIENT_SECRET_FILE"]}"\noutput = "value"\n')
        alone = {**self.NOBODY, "GATEHOUSE_GRPC": None}
        self.assertIn("work_creator\n", self.ok("role", "list", XDG_CONFIG_HOME=self.folder.name, **alone))
        self.assertIn("work_creator\n", self.ok("role", "list", "--config", path, **alone))
        self.assertIn('"role_id"', self.ok("role", "list", "-o", "json", XDG_CONFIG_HOME=self.folder.name, **alone))
        self.write(path, "colour = red\n")
        self.assertIn("config:1", self.fails(USAGE, "role", "list", XDG_CONFIG_HOME=self.folder.name, **alone))

    def test_who_is_nobody_is_told_how_to_say_who_he_is(self):
        text = self.fails(REFUSED, "role", "list", **self.NOBODY)
        self.assertIn("CALLER_UNKNOWN", text)
        self.assertIn("--client-id", text)
        self.assertIn("--client-secret-file", self.fails(USAGE, "token", "issue", **self.NOBODY))

    def test_who_may_not_is_told_what_he_lacks(self):
        _, client_id, secret = self.create(roles="work_creator")
        caller = {"GATEHOUSE_CLIENT_ID": client_id, "GATEHOUSE_CLIENT_SECRET_FILE": secret}
        text = self.fails(REFUSED, "credential", "list", **caller)
        self.assertIn("CALLER_NOT_ALLOWED", text)
        self.assertIn("user_manager", text)
        self.assertIn("CALLER_NOT_ALLOWED", self.fails(REFUSED, "token", "introspect", stdin="x", **caller))

    def test_a_wrong_secret_is_told(self):
        path = os.path.join(self.folder.name, "wrong")
        self.write(path, "gate_sk_" + "x" * 49)
        self.assertIn("INVALID_CLIENT", self.fails(REFUSED, "role", "list", "--client-secret-file", path))

    def test_files_that_hold_no_secret_are_refused(self):
        path = os.path.join(self.folder.name, "bad")
        for text in ("", "\n\n", "two\nlines", "x" * 200, "a\0b"):
            self.write(path, text)
            self.assertIn("secret key", self.fails(USAGE, "role", "list", "--client-secret-file", path))
        self.fails(USAGE, "role", "list", "--client-secret-file", path + "-not-there")
        self.fails(USAGE, "role", "list", "--client-secret-file", self.folder.name)
        self.fails(USAGE, "token", "introspect", "--client-id", os.environ["GATEHOUSE_CLIENT_ID"],
                   "--client-secret-file", "-", stdin="both")

    def test_a_secret_that_others_can_read_is_warned_of(self):
        _, client_id, secret = self.create(roles="user_manager")
        os.chmod(secret, 0o644)
        answer = run("role", "list", "--client-id", client_id, "--client-secret-file", secret)
        self.assertEqual(answer.returncode, DONE)
        self.assertIn("chmod 600", answer.stderr)

    def test_a_server_that_is_not_there_is_exit_3(self):
        for arguments in (["role", "list"], ["token", "issue"], ["top", "--once"]):
            text = self.fails(UNREACHABLE, "--address", "127.0.0.1:1", "--timeout", "3s", *arguments)
            self.assertIn("cannot reach the server at 127.0.0.1:1", text)
            self.assertIn("--address", text)
        self.fails(UNREACHABLE, "role", "list", "--timeout=3s", GATEHOUSE_ADDRESS="127.0.0.1:1")
        self.fails(UNREACHABLE, "role", "list", "--timeout=3s", GATEHOUSE_ADDRESS="127.0.0.1:1", GATEHOUSE_TOKEN="x")
        self.fails(USAGE, "role", "list", "--timeout=soon")

    def test_a_ca_file_that_is_not_there_is_refused(self):
        self.fails(USAGE, "role", "list", "--ca-file", "/nonexistent.pem")


class Output(Case):
    def test_a_name_controls_no_terminal(self):
        name = random_name("Evil \u202e")  # a server may take it: it is no control character
        answer = run("credential", "create", name, "-r", "work_creator", "-o", "value")
        if answer.returncode != DONE:
            self.assertIn("INVALID_FIELD", answer.stderr)
            return
        self.made.append(answer.stdout.split()[0])
        for form in ("table", "json", "value"):
            listed = self.ok("credential", "get", self.made[0], "-o", form)
            self.assertNotIn("\u202e", listed)
        self.assertIn("\\u202e", self.ok("credential", "get", self.made[0]))
        self.assertEqual(self.read("credential", "get", self.made[0])["name"], name)

    def test_control_characters_given_back_in_an_error_are_shown(self):
        answer = run("credential", "create", "evil \033[2J \u009b31m", "-r", "work_creator")
        self.assertEqual(answer.returncode, REFUSED)
        self.assertNotIn("\033", answer.stderr)
        self.assertNotIn("\u009b", answer.stderr)
        answer = run("credential", "get", "evil \033[2J")
        self.assertEqual(answer.returncode, REFUSED)
        self.assertNotIn("\033", answer.stdout + answer.stderr)

    def test_a_reader_that_goes_away_is_no_crash(self):
        with subprocess.Popen([COMMAND, "audit", "list", "--limit", "0", "-o", "json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment()) as process:
            process.stdout.close()
            process.wait(timeout=60)
            self.assertNotIn(b"annot write", process.stderr.read())

    def test_a_full_disk_loses_no_secret_silently(self):
        name = random_name("Full")
        with open("/dev/full", "w", encoding="utf-8") as full:
            answer = subprocess.run([COMMAND, "credential", "create", name, "-r", "work_creator"], stdout=full,
                                    stderr=subprocess.PIPE, text=True, check=False, env=environment(), timeout=60)
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("secret regenerate", answer.stderr)
        self.made.append(self.read("credential", "get", name)["client_id"])

    def test_without_a_locale_names_are_still_readable(self):
        name = random_name("Müller")
        self.create(name=name)
        answer = subprocess.run([COMMAND, "credential", "list", "--name", name], capture_output=True, check=False,
                                env=environment(LC_ALL="C"), timeout=60)
        self.assertIn(name.encode(), answer.stdout)

    def test_revoked_roles_are_grey_at_a_terminal(self):
        name, _, _ = self.create()
        self.ok("credential", "revoke", name, "team_leader")
        terminal = Terminal("credential", "get", name)
        self.assertEqual(terminal.end(), DONE)
        self.assertRegex(terminal.text, r"\033\[90m *team_leader|team_leader[^\n]*revoked")
        self.assertIn("\033[90m", terminal.text)


def start_daemon():
    """A daemon of the tests' own, ended with them."""
    import daemon  # tests/support; needs grpcio, which the rest of this file does not

    own = daemon.Daemon()
    own.__enter__()
    atexit.register(own.__exit__, None, None, None)
    os.environ.update(GATEHOUSE_GRPC=f"127.0.0.1:{own.grpc_port}", GATEHOUSE_CLIENT_ID=own.client_id,
                      GATEHOUSE_CLIENT_SECRET_FILE=own.secret_file)


if __name__ == "__main__":
    COMMAND = os.path.abspath(COMMAND)
    if not all(name in os.environ for name in NEEDED):
        start_daemon()
    unittest.main()
