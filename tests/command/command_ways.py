# SPDX-License-Identifier: Apache-2.0
"""Usage and audit, confirmation, who is calling, and what is printed."""
import csv
import datetime
import io
import json
import os
import signal
import subprocess
import uuid

import yaml

from driver import COMMAND, Case, DONE, REFUSED, RFC3339, TOKEN, Terminal, UNREACHABLE, USAGE, environment, random_name, run


class Usage(Case):
    def setUp(self):
        super().setUp()
        self.name, self.client_id, secret = self.create()
        token, self.token_file = self.token(self.client_id, secret)
        for api, roles in (("GET /api/a", "work_creator"), ("GET /api/a", "work_creator"), ("GET /api/a", "user_manager"),
                           ("POST /api/b", "work_creator")):
            run("token", "introspect", "--api", api, "--require", roles, stdin=token)

    def test_who_called_what(self):
        rows = {row["api"]: row for row in self.read("usage", "--credential", self.name)["rows"]}
        self.assertEqual((rows["GET /api/a"]["allowed"], rows["GET /api/a"]["denied"]), ("2", "1"))
        self.assertEqual((rows["POST /api/b"]["allowed"], "denied" in rows["POST /api/b"]), ("1", False))
        self.assertRegex(rows["POST /api/b"]["lastUseTime"], RFC3339)
        table = self.ok("usage", "--credential", self.client_id)
        self.assertRegex(table.split("\n")[0], r"^CREDENTIAL +CLIENT ID +API +CALLS +REFUSED +FIRST USE +LAST USE")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--top", "1", "-o", "value"),
                         f"{self.client_id}\tGET /api/a\t2\t1\n")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--by", "credential", "-o", "value"),
                         f"{self.client_id}\t3\t1\n")
        self.assertEqual(self.ok("usage", "--credential", self.name, "--api", "POST /api/b", "--by", "api", "-o", "value"),
                         "POST /api/b\t1\t0\n")
        for by in ("hour", "day"):
            rows = self.read("usage", "--credential", self.name, "--by", by, "--since", "2h")["rows"]
            self.assertEqual(sum(int(row["allowed"]) for row in rows), 3)
            self.assertRegex(rows[0]["startTime"], RFC3339)
        self.assertEqual(self.read("usage", "--credential", self.name, "--since", "60d", "--until", "50d"), {})

    def test_what_is_only_observed_is_a_column_where_there_is_some(self):
        name, client_id, secret = self.create("--limits", "max_tokens=1:observe")
        token, _ = self.token(client_id, secret)
        self.token(client_id, secret)
        run("token", "introspect", "--api", "GET /api/a", stdin=token)
        usage = ["usage", "--credential", client_id, "--by", "api"]
        self.assertNotIn("OBSERVED", self.ok(*usage))
        api = "/gatehouse.v1.AuthService/IssueToken"
        table = self.ok(*usage, "--internal")
        self.assertRegex(table, r"^API +CALLS +REFUSED +OBSERVED +FIRST")
        self.assertRegex(table, rf"(?m)^{api} +0 +0 +1 ")
        self.assertRegex(table, r"(?m)^GET /api/a +1 +0 +\S*[^\d ]")  # none is nothing
        csv = self.ok(*usage, "--api", api, "-o", "csv").split("\n")
        self.assertEqual((csv[0], csv[1].split(",")[:4]), ("api,allowed,denied,observed,firstUseTime,lastUseTime", [api, "0", "0", "1"]))
        self.assertEqual(self.read(*usage, "--api", api)["rows"][0]["observed"], "1")

    def test_what_would_end_is_shown_with_what_it_called(self):
        text = self.ok("credential", "delete", self.name, "--dry-run")
        self.assertIn("ends 1 live token.", text)
        self.assertRegex(text, r"(?m)^ +3 .*GET /api/a")

    def test_top_prints_a_frame(self):
        for arguments in (["--once"], []):  # standard output is no terminal
            self.assertRegex(self.ok("top", "--credential", self.name, *arguments), r"(?m)^ +3 +1 .*GET /api/a")
        rows = self.read("top", "--once", "--credential", self.name)["rows"]
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
        events = self.read("audit", "list", "--subject", client_id, "--action", "CreateCredential")["events"]
        self.assertEqual(len(events), 1)
        self.assertEqual((events[0]["outcome"], events[0]["subject"]), ("OK", client_id))
        self.assertRegex(events[0]["eventTime"], RFC3339)
        self.assertRegex(events[0]["hash"], r"^[0-9a-f]{64}$")
        self.assertEqual(self.read("audit", "list", "--subject", client_id, "--outcome", "NOT_FOUND"), {})
        name = self.read("credential", "get", client_id)["credential"]["name"]
        self.assertEqual(self.read("audit", "list", "--subject", name), self.read("audit", "list", "--subject", client_id))
        self.assertEqual(self.read("audit", "list", "--subject", random_name("Nobody")), {})
        self.assertEqual(self.read("audit", "list", "--subject", client_id, "--until", "1d"), {})
        self.assertEqual(len(self.read("audit", "list", "--subject", client_id, "--since", "1h", "--text", "work_creator")["events"]),
                         1)
        self.assertRegex(self.ok("audit", "list"), r"^ *NO +TIME +ACTOR +ACTION")
        self.assertEqual(len(self.ok("audit", "list", "--limit", "2", "-o", "value").splitlines()), 2)

    def test_verify(self):
        self.assertEqual(self.ok("audit", "verify", "-o", "value"), "true\n")
        self.assertGreater(int(self.read("audit", "verify")["eventsChecked"]), 0)


class Confirmation(Case):
    def setUp(self):
        super().setUp()
        self.name, self.client_id, secret = self.create()
        _, self.token_file = self.token(self.client_id, secret)

    def test_the_name_or_the_client_id_is_to_be_typed(self):
        for word in (self.name, self.client_id):
            terminal = Terminal("credential", "delete", self.name)
            terminal.expect("to continue: ")
            self.assertIn(f'Deleting credential "{self.name}" ({self.client_id}) ends ', terminal.text)
            terminal.write(word + "\n")
            self.assertEqual(terminal.end(), DONE, terminal.text)
            self.assertFalse(self.is_active(self.token_file))
            self.ok("credential", "undelete", self.client_id)

    def test_anything_else_changes_nothing(self):
        for word in ("", "y", "yes", self.name + "x", self.name[:-1], "\x04"):
            for command in (("credential", "delete"), ("secret", "regenerate", "--overlap=0"), ("token", "end-all")):
                terminal = Terminal(*command, self.name)
                terminal.expect("to continue: ")
                terminal.write(word if word == "\x04" else word + "\n")
                self.assertEqual(terminal.end(), REFUSED, terminal.text)
                self.assertIn("Nothing was changed", terminal.text)
        self.assertTrue(self.is_active(self.token_file))

    def test_nobody_at_the_terminal_is_a_refusal(self):
        for arguments in (["credential", "delete", self.name], ["credential", "revoke", self.name, "team_leader"],
                          ["credential", "grant", self.name, "work_assigner"], ["secret", "regenerate", self.name, "--overlap=0"],
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
        terminal.expect("to continue: ")
        self.ok("credential", "update", self.client_id, "--expires", "30d")
        terminal.write(self.name + "\n")
        self.assertEqual(terminal.end(), REFUSED)
        self.assertIn("STALE_ETAG", terminal.text)
        self.assertTrue(self.is_active(self.token_file))

    def test_an_expiry_in_the_past_ends_tokens_when_confirmed(self):
        terminal = Terminal("credential", "update", self.name, "--expires", "2020-01-01")
        terminal.expect("to continue: ")
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
        self.assertIn('"roleId"', self.ok("role", "list", "-o", "json", XDG_CONFIG_HOME=self.folder.name, **alone))
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


class Contexts(Case):
    """Settings under a name, and a token that is kept between commands."""

    def setUp(self):
        super().setUp()
        self.name, self.client_id, self.secret = self.create(roles="user_manager")
        self.alone = {"GATEHOUSE_GRPC": None, "GATEHOUSE_CLIENT_ID": None, "GATEHOUSE_CLIENT_SECRET_FILE": None,
                      "XDG_CONFIG_HOME": self.folder.name + "/config", "XDG_RUNTIME_DIR": self.folder.name + "/run"}
        os.mkdir(self.folder.name + "/run", 0o700)
        self.ok("context", "save", "test", "--address", os.environ["GATEHOUSE_GRPC"], "--client-id", self.client_id,
                "--client-secret-file", self.secret, **self.alone)

    def files(self):
        """Every file below the folder that is not the secret's, and what is in it."""
        for folder, _, names in os.walk(self.folder.name):
            for name in names:
                path = os.path.join(folder, name)
                if not name.startswith("secret-"):
                    with open(path, encoding="utf-8") as file:
                        yield path, file.read()

    def kept(self):
        return [(path, text) for path, text in self.files() if "/run/" in path]

    def tokens(self):
        return self.ok("token", "list", self.name, "-o", "value").split()

    def test_a_context_names_server_and_caller_and_holds_no_secret(self):
        self.assertIn("user_manager", self.ok("role", "list", "--context", "test", **self.alone))
        self.assertIn("user_manager", self.ok("role", "list", **self.alone, GATEHOUSE_CONTEXT="test"))
        self.fails(UNREACHABLE, "role", "list", "--timeout=3s", "--address", "127.0.0.1:1", "--context", "test", **self.alone)
        self.ok("context", "use", "test", **self.alone)
        self.ok("role", "list", **self.alone)
        listed = self.read("context", "list", **self.alone)["contexts"]
        self.assertEqual([(one["name"], one["current"], one["client_id"]) for one in listed], [("test", True, self.client_id)])
        self.assertRegex(self.ok("context", "show", **self.alone), rf"Secret file +{self.secret}")
        for path, text in self.files():
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertNotIn("gate_", text)
        self.ok("context", "delete", "test", **self.alone)
        self.assertEqual(self.read("context", "list", **self.alone), {})
        self.assertFalse(os.path.exists(self.folder.name + "/config/gatehouse/context"))

    def test_a_context_that_is_not_there_is_no_other_server(self):
        for words in (["role", "list", "--context", "gone"], ["role", "list", "--context", "../test"], ["context", "use", "gone"],
                      ["context", "save", "a/b"], ["context", "delete", "gone"], ["context", "show"]):
            self.fails(USAGE, *words, **self.alone)
        self.ok("context", "use", "test", **self.alone)
        os.unlink(self.folder.name + "/config/gatehouse/contexts/test")
        self.assertIn("context list", self.fails(USAGE, "role", "list", **self.alone))
        self.ok("context", "list", **self.alone)

    def test_a_login_is_one_token_for_all_commands_until_logout(self):
        caller = {**self.alone, "GATEHOUSE_CONTEXT": "test"}
        self.assertNotIn("gate_", self.ok("login", **caller) + self.ok("login", "-o", "json", **caller))
        (path, token), = self.kept()
        self.assertEqual((os.stat(path).st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777), (0o600, 0o700))
        self.assertRegex(token, TOKEN)
        accessors = self.tokens()
        self.assertEqual(len(accessors), 1)
        os.rename(self.secret, self.secret + ".away")  # who needs no other token needs no secret key
        for _ in range(2):
            self.ok("role", "list", **caller)
        self.assertEqual(self.tokens(), accessors)
        self.assertIn("Logged out", self.ok("logout", **caller))
        self.assertEqual((self.tokens(), self.kept()), ([], []))
        self.assertIn("Not logged in", run("logout", **caller).stderr)
        os.rename(self.secret + ".away", self.secret)
        self.ok("role", "list", **caller)
        self.assertEqual((self.tokens(), self.kept()), ([], []))

    def test_a_login_whose_token_has_ended_is_made_again(self):
        caller = {**self.alone, "GATEHOUSE_CONTEXT": "test"}
        self.ok("login", **caller)
        before = self.tokens()
        self.ok("token", "end-all", self.name, "--yes")
        self.ok("role", "list", **caller)
        after = self.tokens()
        self.assertEqual((len(after), set(after) & set(before)), (1, set()))
        self.ok("role", "list", **caller)
        self.assertEqual(self.tokens(), after)
        self.ok("logout", **caller)

    def test_a_token_that_others_could_read_is_not_used(self):
        caller = {**self.alone, "GATEHOUSE_CONTEXT": "test"}
        self.ok("login", **caller)
        (path, _), = self.kept()
        os.chmod(path, 0o644)
        os.rename(self.secret, self.secret + ".away")
        self.fails(USAGE, "role", "list", **caller)
        os.chmod(path, 0o600)
        self.ok("role", "list", **caller)
        self.ok("logout", **caller)


class Curl(Case):
    """--curl shows the call, which a shell makes then."""

    def shell(self, *arguments, **variables):
        shown = self.ok(*arguments, "--curl")
        self.assertNotRegex(shown, "gate_[as][tk]_")
        self.assertEqual(len(shown.splitlines()), 1)
        answer = subprocess.run(["sh", "-c", "curl() { command curl -sS --fail-with-body \"$@\"; }; " + shown], capture_output=True, text=True, timeout=60,
                                check=False, env={**os.environ, **variables})
        self.assertEqual(answer.returncode, 0, (shown, answer.stdout, answer.stderr))
        return json.loads(answer.stdout)

    def test_what_is_shown_is_what_is_done(self):
        client_id, secret_file = os.environ["GATEHOUSE_CLIENT_ID"], os.environ["GATEHOUSE_CLIENT_SECRET_FILE"]
        token, path = self.token(client_id, secret_file)
        self.addCleanup(run, "token", "revoke", "--token-file", path)
        name = random_name("It's a \"shell\" $HOME `id`")
        made = self.shell("credential", "create", name, "-r", "work_creator", "-r", "team_leader", TOKEN=token)["credential"]
        self.made.append(made["clientId"])
        self.assertEqual((made["name"], made["effectiveRoles"]), (name, ["team_leader", "work_creator"]))
        self.assertEqual(self.shell("credential", "get", name, TOKEN=token), self.read("credential", "get", name))
        self.assertEqual(self.shell("credential", "list", "--name", name[:4], "--sort", "created", TOKEN=token),
                         self.read("credential", "list", "--name", name[:4], "--sort", "created"))
        self.shell("credential", "update", name, "--expires", "never", TOKEN=token)
        self.assertNotIn("expireTime", self.read("credential", "get", name)["credential"])
        dry = self.shell("credential", "delete", name, "--dry-run", TOKEN=token)
        self.assertIn("impact", dry)
        self.ok("credential", "revoke", name, "team_leader", "--curl")  # nothing is asked, nothing is done
        self.assertEqual(self.read("credential", "get", name)["credential"]["effectiveRoles"], ["team_leader", "work_creator"])
        self.shell("credential", "delete", name, TOKEN=token)
        self.assertEqual(self.read("credential", "get", made["clientId"])["credential"]["status"], "CREDENTIAL_STATUS_DELETED")
        self.assertEqual(self.shell("usage", "--by", "api,day", TOKEN=token), self.read("usage", "--by", "api,day"))

    def test_tokens_too(self):
        client_id, secret_file = os.environ["GATEHOUSE_CLIENT_ID"], os.environ["GATEHOUSE_CLIENT_SECRET_FILE"]
        with open(secret_file, encoding="utf-8") as file:
            secret = file.read().strip()
        token = self.shell("token", "issue", "--scope", "resource_server", CLIENT_SECRET=secret)["access_token"]
        path = self.folder.name + "/asked"
        self.write(path, token)
        asked = self.shell("token", "introspect", "--token-file", path, TOKEN=token, ASKED_TOKEN=token)
        self.assertEqual((asked["active"], asked["client_id"]), (True, client_id))

    def test_what_is_no_call_is_refused(self):
        for words in (["admin", "check", "sqlite:/nonexistent"], ["completion", "bash"], ["login"], ["top"]):
            self.assertIn("curl", self.fails(USAGE, *words, "--curl"))


class Forms(Case):
    def setUp(self):
        super().setUp()
        self.name, self.client_id, _ = self.create("--owner", "anna, \"the\" owner", name=random_name("Form, \"quoted\""))

    def list(self, *arguments):
        return self.ok("credential", "list", "--name", self.name[-12:], *arguments)

    def test_csv_is_what_a_spreadsheet_reads(self):
        rows = list(csv.DictReader(io.StringIO(self.list("-o", "csv"))))
        self.assertEqual([(row["clientId"], row["name"], row["owner"]) for row in rows],
                         [(self.client_id, self.name, 'anna, "the" owner')])
        self.assertEqual(rows[0]["status"], "CREDENTIAL_STATUS_ACTIVE")
        self.assertRegex(rows[0]["createTime"], RFC3339)
        self.assertIn("work_creator", rows[0]["roles"])
        self.assertEqual(self.list("-o", "csv", "--no-headers", "--columns", "client-id,owner"),
                         f'{self.client_id},"anna, ""the"" owner"\n')
        record = list(csv.DictReader(io.StringIO(self.ok("credential", "get", self.client_id, "-o", "csv"))))
        self.assertEqual((len(record), record[0]["name"]), (1, self.name))

    def test_yaml_says_what_json_says(self):
        for command in (["credential", "list", "--name", self.name[-12:]], ["credential", "get", self.client_id], ["settings", "get"],
                        ["role", "list"], ["credential", "list", "--name", "nobody at all"]):
            self.assertEqual(yaml.safe_load(self.ok(*command, "-o", "yaml")), self.read(*command))

    def test_columns_are_chosen_by_title_or_name(self):
        self.assertEqual(self.list("--columns", "NAME,clientId", "-o", "value"), f"{self.name}\t{self.client_id}\n")
        self.assertRegex(self.list("--columns", "created-by,client-id"), rf"^CREATED BY +CLIENT ID\n\S+ +{self.client_id}\n$")
        self.assertEqual(self.list("--no-headers", "--columns", "client-id"), self.client_id + "\n")
        self.assertIn("createTime", self.fails(USAGE, "credential", "list", "--columns", "colour"))

    def test_a_table_fits_the_terminal(self):
        for width in (60, 80, 100, 132):
            terminal = Terminal("credential", "list", "--name", self.name[-12:], size=(24, width))
            self.assertEqual(terminal.end(), DONE)
            lines = terminal.text.split("\r\n")
            table = [line for line in lines if line and not line.startswith("Too narrow")]
            self.assertLessEqual(max(map(len, table)), max(width, 76), terminal.text)
            self.assertIn(self.client_id, terminal.text)
            if width < 100:
                self.assertIn("Too narrow for ", terminal.text)
        terminal = Terminal("credential", "list", "--name", self.name[-12:], "-o", "wide", size=(24, 60))
        self.assertEqual(terminal.end(), DONE)
        self.assertRegex(terminal.text, r"CREATED BY +CHANGED")
        self.assertIn(self.name, terminal.text)

    def test_a_long_table_goes_through_the_pager_at_a_terminal_alone(self):
        pager = {"GATEHOUSE_PAGER": "sed s/^/paged:/"}
        terminal = Terminal("role", "list", "--columns", "role", size=(10, 80), **pager)
        self.assertEqual(terminal.end(), DONE)
        self.assertIn("paged:user_manager", terminal.text)
        short = Terminal("role", "list", "--columns", "role", size=(100, 80), **pager)
        self.assertEqual(short.end(), DONE)
        self.assertNotIn("paged:", short.text)
        self.assertNotIn("paged:", self.ok("role", "list", **pager))
        none = Terminal("role", "list", "--columns", "role", size=(10, 80), GATEHOUSE_PAGER="no-such-pager-here")
        self.assertEqual(none.end(), DONE)
        self.assertIn("user_manager", none.text)

    def test_defaults_are_the_consoles(self):
        expiry = self.read("credential", "get", self.client_id)["credential"]["expireTime"]
        days = (datetime.datetime.fromisoformat(expiry.replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)).days
        self.assertIn(days, (89, 90))
        self.assertTrue(expiry.endswith("T23:59:59Z"))
        _, forever, _ = self.create("--expires", "never")
        self.assertNotIn("expireTime", self.read("credential", "get", forever)["credential"])
        keys = self.read("secret", "regenerate", self.name)["credential"]["secrets"]
        self.assertIn("expireTime", keys[1])

    def test_a_dry_run_of_create_invents_nothing(self):
        made = self.read("credential", "create", random_name("Dry"), "-r", "work_creator", "--dry-run")
        self.assertEqual({"clientId", "secrets"} & set(made["credential"]), set())
        self.assertNotIn("secretKey", made)
        table = self.ok("credential", "create", random_name("Dry"), "-r", "work_creator", "--dry-run")
        self.assertNotRegex(table, r"Client ID|[0-9a-f]{8}-[0-9a-f]{4}-")


class Watch(Case):
    def test_a_list_is_looked_at_again_until_q(self):
        mark = uuid.uuid4().hex[:12]
        self.create(name=f"Watch {mark} one")
        terminal = Terminal("credential", "list", "--name", mark, "--watch", "--interval", "1s", "--columns", "name", size=(3, 80))
        terminal.expect(f"Watch {mark} one")
        self.create(name=f"Watch {mark} all")  # before the other in the list
        terminal.expect(f"Watch {mark} all")
        terminal.write("q")
        self.assertEqual(terminal.end(), DONE)
        self.assertTrue(terminal.text.endswith("\033[?1049l"), terminal.text)

    def test_what_fails_is_told_where_it_stays(self):
        terminal = Terminal("credential", "list", "--watch", "--filter", "nonsense")
        self.assertEqual(terminal.end(), REFUSED)
        self.assertIn("INVALID_FIELD", terminal.text.split("\033[?1049l")[1])
        self.fails(USAGE, "credential", "list", "--watch")  # no terminal
        self.fails(USAGE, "credential", "list", "--watch", "--interval", "soon")


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
        self.assertEqual(self.read("credential", "get", self.made[0])["credential"]["name"], name)

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
        self.made.append(self.read("credential", "get", name)["credential"]["clientId"])

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
