# SPDX-License-Identifier: Apache-2.0
"""Credentials, secret keys, roles, users, tokens and settings."""
import json
import os
import re
import urllib.parse
import urllib.request
import uuid

from driver import Case, DONE, INACTIVE, REFUSED, RFC3339, SECRET, TOKEN, USAGE, UUID, random_name, run


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
        self.made.append(made["credential"]["clientId"])
        self.assertRegex(made["secretKey"], SECRET)
        self.assertEqual(made["credential"]["expireTime"], "2099-01-31T23:59:59Z")
        self.assertEqual(made["credential"]["status"], "CREDENTIAL_STATUS_ACTIVE")
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
        self.assertEqual(self.read("credential", "list", "--name", name), {})

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
                          ["list", "-o", "xml"], ["update", name], ["grant", name], ["nonsense"], []):
            self.assertEqual(run("credential", *arguments).returncode, USAGE, arguments)
        self.assertEqual(self.read("credential", "list", "--name", name), {})

    def test_a_role_that_does_not_exist_is_told(self):
        text = self.fails(REFUSED, "credential", "create", random_name("Role"), "-r", "no_such_role")
        self.assertIn("NO_SUCH_ROLE", text)
        self.assertIn("gatehouse role list", text)

    def test_dry_run_makes_nothing(self):
        name = random_name("Dry")
        self.ok("credential", "create", name, "-r", "work_creator", "--dry-run")
        self.assertEqual(self.read("credential", "list", "--name", name), {})

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
        self.assertRegex(table, r"^CLIENT ID +NAME +ROLES +EXPIRES +STATUS +LAST USE\n")
        self.assertRegex(table, r"deleted")

    def test_contact_and_labels_are_set_changed_and_found(self):
        mark = uuid.uuid4().hex[:12]
        name, client_id, _ = self.create("--contact", f"Ann, {mark}", "--label", "team=a,b=c", "--label", f"mark={mark}", "--label", "team=payments")
        read = lambda: self.read("credential", "get", name)["credential"]
        self.assertEqual((read()["contact"], read()["labels"]), (f"Ann, {mark}", {"mark": mark, "team": "payments"}))
        shown = self.ok("credential", "get", name)
        self.assertRegex(shown, rf"Contact +Ann, {mark}\n")
        self.assertRegex(shown, rf"Labels +mark={mark}, team=payments\n")

        found = lambda *arguments: self.ok("credential", "list", "-o", "value", *arguments).split()
        self.assertEqual(found("--contact", mark.upper()), [client_id])
        self.assertEqual(found("--label", f"mark={mark}", "--label", "team"), [client_id])
        self.assertEqual(found("--label", f"mark={mark}", "--label", "team=pay"), [])
        self.assertEqual(found("--label", f"mark={mark}", "--label", "no/such"), [])
        self.assertRegex(self.ok("credential", "list", "--contact", mark, "--columns", "name,contact,labels"),
                         rf"{name} +Ann, {mark} +mark={mark}, team=payments\n")

        self.ok("credential", "update", name, "--label", "env=", "--remove-label", "team", "--remove-label", "none", "--yes")
        self.assertEqual((read()["labels"], read()["contact"]), ({"env": "", "mark": mark}, f"Ann, {mark}"))
        before = read()["etag"]
        self.ok("credential", "update", name, "--label", "env=x", "--dry-run")
        self.ok("credential", "update", name, "--contact", "", "--remove-label", "env", "--remove-label", "mark", "--yes")
        self.assertEqual([field for field in ("contact", "labels") if field in read()], [])
        self.assertIn("STALE_ETAG", self.fails(REFUSED, "credential", "update", name, "--label", "a=b", "--etag", before, "--yes"))
        self.assertIn('"labels":{"a":"b"}', self.ok("credential", "update", name, "--label", "a=b", "--curl").replace(" ", ""))

    def test_what_is_no_label_is_refused(self):
        name, _, _ = self.create()
        for arguments in (["--label", "team"], ["--label", "=x"], ["--label", ""], ["--remove-label", "a=b"], ["--remove-label", ""]):
            self.assertIn(arguments[0], self.fails(USAGE, "credential", "update", name, *arguments, "--yes"))
        for arguments in (["--label", "Team=x"], ["--label", "a=" + "x" * 64], ["--contact", "x" * 201],
                          *([f"--label=k{number}=x" for number in range(17)],)):
            self.assertIn("INVALID_FIELD", self.fails(REFUSED, "credential", "update", name, *arguments, "--yes"))

    def test_the_list_reads_all_pages(self):
        mark = uuid.uuid4().hex[:12]
        names = [f"Page {mark} {number:03}" for number in range(105)]
        for name in names:
            self.create(name=name, roles="work_creator")
        listed = self.read("credential", "list", "--name", mark)
        self.assertEqual([item["name"] for item in listed["credentials"]], names)
        self.assertNotIn("nextPageToken", listed)
        part = self.read("credential", "list", "--name", mark, "--limit", "3")
        self.assertEqual((len(part["credentials"]), "nextPageToken" in part), (3, True))
        cut = run("credential", "list", "--name", mark, "--limit", "103")
        self.assertEqual(len(cut.stdout.splitlines()), 104)
        self.assertIn("--limit=0", cut.stderr)

    def test_get_by_id_and_by_name(self):
        name, client_id, _ = self.create()
        self.assertEqual(self.read("credential", "get", client_id), self.read("credential", "get", name))
        self.assertEqual(self.ok("credential", "get", name, "-o", "value"), client_id + "\n")
        table = self.ok("credential", "get", name)
        self.assertRegex(table, rf"Name +{name}\n")
        self.assertRegex(table, r"work_creator +granted")
        self.assertRegex(table, r"SECRET ID +LAST FOUR")
        for key in ("createTime", "updateTime"):
            self.assertRegex(self.read("credential", "get", name)["credential"][key], RFC3339)
        self.assertIn("NO_SUCH_CREDENTIAL", self.fails(REFUSED, "credential", "get", str(uuid.uuid4())))
        self.assertIn("credential list", self.fails(REFUSED, "credential", "get", random_name("Nobody")))

    def test_update_changes_and_clears(self):
        name, client_id, _ = self.create("--expires", "90d")
        other = random_name("Renamed")
        self.ok("credential", "update", name, "--name", other)
        self.assertEqual(self.read("credential", "get", client_id)["credential"]["name"], other)
        self.assertIn("expireTime", self.read("credential", "get", client_id)["credential"])
        answer = self.read("credential", "update", client_id, "--expires", "never")
        self.assertNotIn("expireTime", answer["credential"])
        self.assertEqual(answer["impact"], {})
        self.ok("credential", "update", client_id, "--expires", "2099-01-31T12:00:00+01:00")
        self.assertEqual(self.read("credential", "get", client_id)["credential"]["expireTime"], "2099-01-31T11:00:00Z")
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

    def test_suspend_ends_tokens_and_resume_brings_none_back(self):
        name, client_id, secret = self.create()
        _, token = self.token(client_id, secret)
        self.assertIn("ends 1 live token.", self.ok("credential", "suspend", name, "--dry-run"))
        self.assertTrue(self.is_active(token))
        self.assertRegex(self.ok("credential", "suspend", name, "--yes"), r"Status +suspended\n(.*\n)*Tokens ended +1\n")
        self.assertFalse(self.is_active(token))
        self.assertEqual(self.ok("credential", "list", "--status", "suspended", "-o", "value"), client_id + "\n")
        self.assertIn("Suspended", self.ok("credential", "get", name))
        self.assertEqual(self.ok("credential", "resume", name, "-o", "value"), client_id + "\n")
        self.assertFalse(self.is_active(token))
        self.assertTrue(self.is_active(self.token(client_id, secret)[1]))

    def test_networks_are_set_observed_shown_and_taken_away(self):
        name, client_id, secret = self.create("--from-network", "127.0.0.0/8, 2001:db8::/32", "--observe-networks")
        self.token(client_id, secret)
        self.assertRegex(self.ok("credential", "get", name), r"Last used from +127\.0\.0\.1\nNetworks +127\.0\.0\.0/8, 2001:db8::/32 \(observed\)\n")
        self.ok("credential", "update", name, "--from-network", "192.0.2.0/24", "--yes")
        self.assertRegex(self.ok("credential", "get", name), r"Networks +192\.0\.2\.0/24\n")
        self.assertIn("127.0.0.1", self.ok("credential", "list", "-o", "wide", "--name", name))
        self.assertIn("SOURCE_ADDRESS_REFUSED", self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", secret))
        self.assertIn("the network is 10.0.0.0/8", self.fails(REFUSED, "credential", "update", name, "--from-network", "10.0.0.1/8", "--yes"))
        self.assertIn("--from-network", self.fails(USAGE, "credential", "update", name, "--from-network", ",", "--yes"))
        self.assertIn("--from-network", self.fails(USAGE, "credential", "update", name, "--observe-networks", "--yes"))
        self.ok("credential", "update", name, "--from-network", "anywhere", "--yes")
        self.assertNotIn("addresses", self.read("credential", "get", name)["credential"])

    def test_what_is_unused_is_suspended_when_it_is_set(self):
        for value, shown in (("90d", "7776000s"), ("off", None)):
            self.ok("settings", "set", "suspend_unused_after=" + value, "--yes")
            self.assertEqual(self.read("settings", "get")["settings"].get("suspendUnusedAfter"), shown)
        self.assertIn("INVALID_FIELD", self.fails(REFUSED, "settings", "set", "suspend_unused_after=1h", "--yes"))

    def test_grant_and_revoke(self):
        name, client_id, secret = self.create(roles="work_creator")
        _, token = self.token(client_id, secret)
        self.assertEqual(self.read("credential", "grant", name, "work_creator")["impact"], {})
        self.assertTrue(self.is_active(token))
        self.assertEqual(self.read("credential", "grant", name, "team_leader", "--yes")["impact"], {"tokensEnded": "1", "credentialsAffected": "1"})
        self.assertFalse(self.is_active(token))
        self.ok("credential", "revoke", name, "team_leader")
        self.assertIn("team_leader (revoked)", self.ok("credential", "list", "--name", name))
        roles = {role["role"]: role["state"] for role in self.read("credential", "get", name)["credential"]["roles"]}
        self.assertEqual(roles, {"work_creator": "GRANTED_ROLE_STATE_GRANTED", "team_leader": "GRANTED_ROLE_STATE_REVOKED"})


class OneMapping(Case):
    """What -o json prints is what /v1 answers."""

    def v1(self, path, **query):
        with open(os.environ["GATEHOUSE_CLIENT_SECRET_FILE"], encoding="utf-8") as file:
            secret = file.read().strip()
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": os.environ["GATEHOUSE_CLIENT_ID"],
                                       "client_secret": secret}).encode()
        with urllib.request.urlopen(os.environ["GATEHOUSE_HTTP"] + "/OAuth/Token", form) as answer:
            token = json.load(answer)["access_token"]
        address = os.environ["GATEHOUSE_HTTP"] + path + "?" + urllib.parse.urlencode(query, doseq=True)
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Authorization": "Bearer " + token})) as answer:
            return json.load(answer)

    def test_the_same_objects_come_by_both_ways(self):
        user = "user-" + uuid.uuid4().hex[:12]
        self.ok("user", "set-roles", user, "work_creator", "team_leader")
        self.addCleanup(run, "user", "delete", user, "--yes")
        name, client_id, secret = self.create("--owner", user, "--expires", "90d")
        token, _ = self.token(client_id, secret)
        self.ok("token", "introspect", "--api", "GET /api/a", stdin=token)
        self.ok("credential", "revoke", name, "team_leader", "--yes")
        self.token(client_id, secret)
        by = ["USAGE_GROUPING_CREDENTIAL", "USAGE_GROUPING_API"]
        for command, path, query in (
                (["credential", "get", name], f"/v1/credentials/{client_id}", {}),
                (["credential", "list", "--owner", user], "/v1/credentials", {"filter": f'owner="{user}"'}),
                (["credential", "list", "--owner", "nobody"], "/v1/credentials", {"filter": 'owner="nobody"'}),
                (["role", "list"], "/v1/roles", {}), (["user", "get", user], f"/v1/users/{user}", {}),
                (["user", "list", "--user", user], "/v1/users", {"filter": f'user:"{user}"'}),
                (["token", "list", name], f"/v1/credentials/{client_id}/tokens", {}),
                (["settings", "get"], "/v1/settings", {}),
                (["usage", "--credential", name], "/v1/usage", {"clientId": client_id, "groupBy": by}),
                (["audit", "list", "--subject", client_id], "/v1/audit", {"filter": f'subject="{client_id}"'})):
            with self.subTest(path):
                self.assertEqual(self.read(*command), self.v1(path, **query))

    def test_the_servers_limits_are_the_commands(self):
        roles = ",".join(f"role_{number}" for number in range(65))
        self.assertIn("roles has more than 64 entries",
                      self.fails(REFUSED, "credential", "create", random_name("Many"), "--role", roles))


class Secrets(Case):
    def test_regenerate_replaces_the_key_and_ends_tokens(self):
        name, client_id, old = self.create()
        _, token = self.token(client_id, old)
        new = os.path.join(self.folder.name, "new")
        self.write(new, self.ok("secret", "regenerate", name, "--overlap", "0", "--yes", "-o", "value").strip())
        self.assertFalse(self.is_active(token))
        self.assertTrue(self.is_active(self.token(client_id, new)[1]))
        text = self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", old)
        self.assertIn("INVALID_CLIENT", text)

    def test_with_an_overlap_both_keys_are_good_until_one_is_ended(self):
        name, client_id, old = self.create()
        _, token = self.token(client_id, old)
        answer = self.read("secret", "regenerate", name)
        self.assertEqual(answer["impact"], {})
        self.assertTrue(self.is_active(token))
        self.token(client_id, old)
        keys = self.read("credential", "get", name)["credential"]["secrets"]
        self.assertEqual(len(keys), 2)
        self.assertNotIn("expireTime", keys[0])
        self.assertRegex(keys[1]["expireTime"], RFC3339)
        self.ok("secret", "end", name, str(keys[1]["secretId"]))
        self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", old)
        self.assertIn("NO_SUCH_SECRET", self.fails(REFUSED, "secret", "end", name, "999999"))

    def test_a_key_is_named_by_what_it_ends_in(self):
        name, client_id, old = self.create()
        kept = old + ".new"
        self.write(kept, self.ok("secret", "regenerate", name, "-o", "value").strip())
        with open(old, encoding="utf-8") as file:
            hint = file.read().strip()[-4:]
        self.assertIn("no live secret key", self.fails(USAGE, "secret", "end", name, "~~~~"))
        self.ok("secret", "end", name, hint)
        self.fails(REFUSED, "token", "issue", "--client-id", client_id, "--client-secret-file", old)
        self.token(client_id, kept)
        self.assertIn("NO_SUCH_SECRET", self.fails(REFUSED, "secret", "end", name, "9876"))

    def test_what_makes_no_sense_is_refused(self):
        name, _, _ = self.create()
        self.fails(USAGE, "secret", "regenerate", name, "--overlap", "soon")
        self.fails(USAGE, "secret", "end", name, "first")
        self.fails(USAGE, "secret", "regenerate", name, "--overlap", "0")  # nobody is there to confirm


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
        changed = self.read("role", "update", role, "--description", "A little")["role"]
        self.assertEqual((changed["name"], changed["description"], "builtIn" in changed), ("Test", "A little", False))
        self.assertIs(self.read("role", "retire", role)["role"]["retired"], True)
        self.assertNotIn(role, self.ok("role", "list", "-o", "value").split())
        self.assertIn(role, self.ok("role", "list", "--retired", "-o", "value").split())
        self.assertIn("ROLE_RETIRED", self.fails(REFUSED, "credential", "create", random_name("R"), "-r", role))
        self.assertNotIn("retired", self.read("role", "retire", role, "--undo")["role"])
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
        self.assertEqual(self.read("user", "get", user)["user"]["credentialCount"], "1")
        self.assertEqual(self.read("credential", "list", "--owner", user)["credentials"][0]["name"], name)

        self.assertEqual(self.ok("user", "set-roles", user, "work_creator", "--dry-run", "-o", "value"), "1\n")
        self.fails(USAGE, "user", "set-roles", user, "work_creator")  # it ends a token, and nobody confirms
        self.assertTrue(self.is_active(token))
        self.assertEqual(self.ok("user", "set-roles", user, "work_creator", "--yes", "-o", "value"), "1\n")
        self.assertFalse(self.is_active(token))
        self.assertEqual(self.read("user", "get", user)["user"]["revokedRoles"], ["team_leader"])
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
        self.assertEqual((issued["tokenType"], issued["scopes"]), ("Bearer", ["team_leader"]))
        self.assertRegex(issued["expiresIn"], r"^\d+s$")
        self.assertRegex(issued["accessor"], r"^[0-9a-f]{64}$")
        self.assertRegex(self.ok("token", "issue", *caller), r"Token +gate_at_\w+\n")
        self.assertIn("INVALID_SCOPE", self.fails(REFUSED, "token", "issue", *caller, "--scope", "user_manager"))

    def test_introspect_answers_by_exit_status_too(self):
        name, client_id, secret = self.create()
        token, path = self.token(client_id, secret)
        self.assertEqual(self.ok("token", "introspect", "--token-file", path, "-o", "value"), "true\n")
        answer = self.read("token", "introspect", stdin=token)
        self.assertEqual((answer["active"], answer["allowed"], answer["clientId"], answer["credentialName"]),
                         (True, True, client_id, name))
        self.assertEqual(answer["roles"], ["team_leader", "work_creator"])
        self.assertRegex(answer["expireTime"], RFC3339)
        self.ok("token", "introspect", "--token-file", "-", "--require", "work_creator,team_leader", stdin=token + "\n")

        lacks = run("token", "introspect", "--require", "work_creator,user_manager", "-o", "json", stdin=token)
        self.assertEqual(lacks.returncode, INACTIVE)
        self.assertEqual(json.loads(lacks.stdout)["missingRoles"], ["user_manager"])
        dead = run("token", "introspect", "-o", "value", stdin="nonsense")
        self.assertEqual((dead.returncode, dead.stdout), (INACTIVE, "false\n"))
        dead = run("token", "introspect", stdin="gate_at_" + "x" * 49)
        self.assertEqual((dead.returncode, dead.stdout), (INACTIVE, "Active  no\n"))

    def test_an_administrators_look_is_no_use(self):
        name, client_id, secret = self.create()
        token, _ = self.token(client_id, secret)
        self.ok("token", "introspect", stdin=token)
        self.assertNotIn("lastApi", self.read("token", "list", name)["tokens"][0])
        self.ok("token", "introspect", "--api", "POST /api/cases", stdin=token)
        listed = self.read("token", "list", name)["tokens"][0]
        self.assertRegex(listed["lastUseTime"], RFC3339)
        self.assertEqual(listed["lastApi"], "POST /api/cases")

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

    def test_everywhere_says_how_long_it_took_and_nothing_does_so_without(self):
        name, client_id, secret = self.create()
        told = r"^In force everywhere after \d+ ms: "
        _, path = self.token(client_id, secret)
        accessor = self.ok("token", "list", name, "-o", "value").split()[0]
        for command in (["token", "end", accessor], ["token", "revoke", "--token-file", path],
                        ["token", "end-all", name, "--yes"], ["credential", "revoke", name, "work_creator", "--yes"],
                        ["credential", "grant", name, "work_creator", "--yes"],
                        ["secret", "regenerate", name, "--overlap=0", "--yes"], ["user", "set-roles", random_name("user"), "work_creator", "--yes"],
                        ["settings", "set", "usage_retention=400d", "--yes"], ["credential", "delete", name, "--yes"]):
            if command[:2] == ["token", "end"]:
                self.assertEqual(run(*command).stderr, "")
            answer = run(*command, "--everywhere")
            self.assertEqual(answer.returncode, DONE, answer.stderr)
            self.assertRegex(answer.stderr, "(?m)" + told)
        answer = run("settings", "set", "usage_retention=400d", "--yes", "--everywhere", "-o", "json")
        self.assertRegex(json.loads(answer.stdout)["everywhereAfter"], r"s$")

    def test_a_command_leaves_no_live_token_behind(self):
        name, client_id, secret = self.create(roles="user_manager")
        caller = {"GATEHOUSE_CLIENT_ID": client_id, "GATEHOUSE_CLIENT_SECRET_FILE": secret}
        self.ok("role", "list", **caller)
        self.fails(REFUSED, "user", "get", "nobody-" + uuid.uuid4().hex, **caller)
        self.assertEqual(self.read("token", "list", name), {})


class Settings(Case):
    def test_get_and_set(self):
        before = self.read("settings", "get")["settings"]
        self.addCleanup(run, "settings", "set", "--yes", f"idle_session_timeout={before['idleSessionTimeout']}",
                        f"max_token_life={before.get('maxTokenLife', 'off')}",
                        f"max_tokens_per_credential={before.get('maxTokensPerCredential', 'off')}")
        self.ok("settings", "set", "idle-session-timeout=1h30m", "max_token_life=30d", "max_tokens_per_credential=5000",
                "--yes")
        after = self.read("settings", "get")["settings"]
        self.assertEqual((after["idleSessionTimeout"], after["maxTokenLife"], after["maxTokensPerCredential"]),
                         ("5400s", "2592000s", 5000))
        self.assertEqual(after["deletionRetention"], before["deletionRetention"])
        self.assertRegex(self.ok("settings", "get"), r"idle_session_timeout +1h30m\n")
        self.assertEqual(self.ok("settings", "get", "idle_session_timeout", "-o", "value"), "5400s\n")
        self.ok("settings", "set", "deletion_retention=default", "--yes")
        self.assertEqual(self.ok("settings", "get", "deletion-retention", "-o", "value"), "2592000s\n")
        self.ok("settings", "set", "max_token_life=off", "max_tokens_per_credential=off", "--yes")
        self.assertRegex(self.ok("settings", "get"), r"max_token_life +off\nmax_tokens_per_credential +off\n")
        self.assertEqual(self.ok("settings", "set", "idle_session_timeout=2h", "--dry-run", "-o", "value"), "0\n")
        self.assertEqual(self.read("settings", "get")["settings"]["idleSessionTimeout"], "5400s")

    def test_what_makes_no_sense_is_refused(self):
        for arguments in (["get", "colour"], ["set"], ["set", "idle_session_timeout"], ["set", "colour=red"],
                          ["set", "idle_session_timeout=soon"], ["set", "idle_session_timeout=off"],
                          ["set", "deletion_retention=off"], ["set", "max_tokens_per_credential=many"],
                          ["set", "idle_session_timeout=20m", "idle_session_timeout=21m"]):
            self.fails(USAGE, "settings", *arguments)
        for wrong in ("idle_session_timeout=1s", "max_tokens_per_credential=-1"):
            self.assertIn("INVALID_FIELD", self.fails(REFUSED, "settings", "set", wrong, "--yes"))
        self.assertIn("STALE_ETAG", self.fails(REFUSED, "settings", "set", "usage_retention=400d", "--etag", "stale",
                                               "--yes"))
