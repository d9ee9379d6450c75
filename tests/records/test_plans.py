#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How SQLite and PostgreSQL carry out each statement, with so many rows that it matters: by an index, reading only the
rows that it is about. A statement that walks over a table or sorts is refused unless it is on a list with a reason."""
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import unittest

from postgres import Postgres

STATEMENTS = os.environ["STATEMENTS"]

# Tables that have a few rows, however large the installation is: to read all of one is the way to read it.
SMALL = {
    "counter": "one row a counter",
    "instance": "one row an installation",
    "process": "one row a replica",
    "role": "at most 256 roles",
    "setting": "one row a setting",
    "schema_version": "one row a version of the schema",
    "sqlite_schema": "SQLite's own: one row a table or index",
    "pg_namespace": "PostgreSQL's own: one row a schema of the database",
}

# What may walk over a table or sort, how its text begins or what stands in it, and why.
ALLOWED = [
    # read once, when the process starts
    ("SELECT id, client_id, name, owner, expires, deleted, epoch, version, last_used, suspended, networks, networks",
     "at the start, all credentials are read into memory"),
    ("SELECT credential, role FROM credential_role WHERE revoked = 0 ORDER BY credential", "the same, their roles"),
    ("SELECT credential, id, digest, ends FROM secret WHERE ends <> 1", "the same, their secret keys"),
    ("SELECT c.id, u.role FROM credential c JOIN user_role", "the same, their owners' roles"),
    ("FROM credential_limit ORDER BY credential", "the same, their limits"),
    # copies
    (r"^SELECT count\(\*\) FROM \w+$", "a copy counts its rows"),
    (r"^SELECT [a-z_, ]+ FROM \w+ ORDER BY [a-z_, ]+ LIMIT 1000$", "a copy's first page, in the order of the key"),
    # what somebody wants to know of a part, and of all: in a read, where others do not wait for it
    ("actor IN (SELECT client_id FROM credential WHERE lower(name) LIKE", "names are looked through once a page, and only for a"
     " part of one"),
    ("AND credential = $9", "groups the rows of one credential"),
    ("AND credential IN (SELECT value FROM json_each($9))", "groups the rows of up to 1000 credentials"),
    ("AND credential = ANY (CAST($9 AS BIGINT[]))", "the same"),
    ("AND $9 = 0) AS rows", "groups the rows of the hours that are asked for"),
    ("SELECT count(*), count(DISTINCT t.credential) FROM token", "counts what stricter limits end, among all tokens"),
    ("FROM (SELECT credential AS id FROM credential_limit", "the same, of the credentials that have limits of their own"),
    (" GROUP BY owner", "counts the credentials of the users of a page"),
    ("SELECT DISTINCT t.credential FROM token", "whose tokens those are, for a preview"),
    ("WHERE c.owner = $1 AND r.revoked = 0 ORDER BY c.id", "the roles of one owner's credentials"),
    # the first or the last of an order
    (r"^SELECT id, .* FROM credential ORDER BY .*, id( DESC)? LIMIT \$1$", "a list's first page, along an index"),
    ("SELECT revision, change_id FROM change_log ORDER BY revision DESC LIMIT 1", "the last one"),
    ("DELETE FROM change_log WHERE revision < (SELECT", "the oldest ones, up to a limit"),
]

ROWS = {
    "credential": """SELECT i, 'c' || i, 'name ' || i, CASE WHEN i % 3 = 0 THEN 'user ' || (i % 4000) END, i, i,
                     CASE WHEN i % 50 = 0 THEN i ELSE 0 END, CASE WHEN i % 100 = 0 THEN i ELSE 0 END, 1, 1, i, 'me'""",
    "secret": "SELECT i, (i + 1) / 2, {blob}, 'abcd', i, CASE WHEN i % 2 = 0 THEN 1000 + i ELSE 0 END, i",
    "user_account": "SELECT 'user ' || i, i, i, 1, CASE WHEN i % 100 = 0 THEN i ELSE 0 END",
    "user_role": "SELECT 'user ' || ((i + 3) / 4), i % 4 + ((i + 3) / 4) % 20, i, CASE WHEN i % 10 = 0 THEN i ELSE 0 END",
    "credential_role": "SELECT (i + 3) / 4, i % 4 + ((i + 3) / 4) % 20, i, 'me', CASE WHEN i % 10 = 0 THEN i ELSE 0 END, 'me'",
    "credential_limit": "SELECT (i + 1) / 2, i % 2, 60000000, 0, CASE WHEN i % 10 = 0 THEN i ELSE 0 END,"
                        " CASE WHEN i % 10 = 0 THEN i ELSE 0 END",
    "token": "SELECT {blob}, i % 5000, 1, i, NULL, NULL",
    "usage": "SELECT i % 5000, 'api ' || (i % 7), 3600000000 * (i / 50), 1, 1, i, i",
    "audit": "SELECT i, i, 'actor ' || (i % 50), 'action ' || (i % 20), 'subject ' || (i % 3000), '10.0.0.1', 'r' || i,"
             " 'OK', 'detail', {blob}",
    "request": "SELECT 'r' || i, 'me', 'CreateCredential', {blob}, {blob}, i",
    "change_log": "SELECT i, 1, {blob}, i, i",
    "process": "SELECT i, 1, i",
    "token_count": "SELECT i, 1, 1, 1, i",
    "role": "SELECT 'role' || i, i - 1, 'name', 'group', 'text', 1, 0, 1",
}
COUNTS = {"role": 30, "credential": 20000, "secret": 30000, "user_account": 4000, "user_role": 16000, "credential_role": 80000,
          "token": 100000, "usage": 150000, "audit": 50000, "request": 5000, "change_log": 20000, "process": 3,
          "token_count": 10000, "credential_limit": 10000}
# Those that ROWS gives; what was added since has a default.
COLUMNS = {
    "credential": "id, client_id, name, owner, created, updated, expires, deleted, epoch, version, last_used, created_by",
    "secret": "id, credential, digest, hint, created, ends, last_used",
    "user_account": "id, created, updated, version, deleted",
    "user_role": "user_id, role, granted, revoked",
    "credential_role": "credential, role, granted, granted_by, revoked, revoked_by",
    "credential_limit": "credential, kind, value, observed, floor, floor_set",
    "token": "key, credential, epoch, last_used, roles, last_api",
    "usage": "credential, api, hour, allowed, denied, first_used, last_used",
    "audit": "sequence, at, actor, action, subject, peer, request_id, outcome, detail, hash",
    "request": "id, actor, method, digest, response, at",
    "change_log": "revision, kind, subject, at, change_id",
    "process": "id, lease, seen",
    "token_count": "credential, epoch, version, live, counted",
    "role": "id, number, name, role_group, description, created, retired, version",
}


def fill(blob):
    """Set by set."""
    for table, count in COUNTS.items():
        rows = ROWS[table].format(blob=blob)
        yield (f"INSERT INTO {table} ({COLUMNS[table]}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
               f" WHERE i < {count}) {rows} FROM n")


def statements(url, dialect):
    out = subprocess.run([STATEMENTS, url], check=True, capture_output=True, timeout=120).stdout.decode()
    found = [line.split("\t", 1) for line in out.split("\0") if line]
    return sorted({sql for backend, sql in found if backend in ("both", dialect)})


def reason_for(sql):
    for index, (text, reason) in enumerate(ALLOWED):
        if text in sql or (text.startswith("^") and re.search(text, sql)):
            return index, reason
    return None


class Sqlite:
    """Its plans, as the faults in them."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        for statement in fill("CAST(printf('%032d', i) AS BLOB)"):
            self.db.execute(statement)
        names = self.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        self.large = {name for (name,) in names} - {*SMALL}

    def faults_of(self, texts):
        """Nobody runs ANALYZE on a daemon's database; somebody may."""
        found = {sql: set(self.faults(sql)) for sql in texts}
        self.db.execute("ANALYZE")
        return {sql: sorted(found[sql].union(self.faults(sql))) for sql in texts}

    def faults(self, sql):
        names = {name: None for name in re.findall(r"\$(\d+)", sql)}
        for *_, detail in self.db.execute("EXPLAIN QUERY PLAN " + sql, names):
            table = re.match(r"SCAN (?!\d+ CONSTANT)(\w+)", detail)
            if table and self.table_of(table[1], sql) in self.large:  # not what a sub-select has found
                yield detail
            elif "TEMP B-TREE" in detail or "AUTOMATIC" in detail:
                yield detail

    @staticmethod
    def table_of(name, sql):
        """A statement may call a table by another name."""
        found = re.search(rf"(\w+) (?:AS )?{name}\b", sql) if len(name) == 1 else None
        return found[1] if found else name


class Postgresql:
    def __init__(self, postgres, url):
        self.postgres, self.url = postgres, url
        blob = "convert_to(lpad(CAST(i AS TEXT), 32, '0'), 'UTF8')"
        self.psql(";".join(fill(blob)) + "; ANALYZE")

    def psql(self, script):
        return subprocess.run(["psql", "-q", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url], input=script, text=True,
                              check=True, capture_output=True, timeout=120).stdout

    def plans(self, texts):
        """As a prepared statement is carried out that has been run often, whatever its parameters are."""
        script = ["SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0; SET jit = off"]
        for number, sql in enumerate(texts):
            count = len(set(re.findall(r"\$(\d+)", sql)))
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            script += [f"PREPARE s{number} AS {sql}", f"EXPLAIN (FORMAT JSON) EXECUTE s{number}{values}",
                       "SELECT chr(1)"]
        out = self.psql(";\n".join(script) + ";\n")
        return [json.loads(text)[0]["Plan"] for text in out.split("\1\n") if text.strip()]

    def tables(self, node):
        found = {node["Relation Name"]} if "Relation Name" in node else set()
        return found.union(*(self.tables(child) for child in node.get("Plans", [])))

    def faults(self, node):
        kind, table = node["Node Type"], node.get("Relation Name")
        if not self.tables(node) <= set(SMALL):
            if kind in ("Seq Scan", "Sort", "Incremental Sort", "Hash"):
                yield f"{kind} {table or node.get('Sort Key', '')}"
            elif kind.startswith("Index") and "Index Cond" not in node:
                yield f"{kind} {table} without a condition"
        for child in node.get("Plans", []):
            yield from self.faults(child)


class Plans(unittest.TestCase):
    maxDiff = None

    def judge(self, faults_of, used):
        """faults_of: what is wrong with each statement, by its text; adds to `used` which of the reasons were needed."""
        refused = {}
        for sql, faults in faults_of.items():
            allowed = reason_for(sql)
            if faults and allowed:
                used.add(allowed[0])
            elif faults:
                refused[sql] = faults
        self.assertEqual(refused, {}, "\n" + "\n".join(f"{sql}\n    {faults}" for sql, faults in refused.items()))

    def test_every_statement_goes_by_an_index(self):
        with tempfile.TemporaryDirectory() as folder, Postgres() as postgres:
            path = folder + "/store"
            texts = statements("sqlite:" + path, "sqlite")
            self.assertGreater(len(texts), 100)
            sqlite = Sqlite(path)
            used = set()
            with self.subTest("SQLite"):
                self.judge(sqlite.faults_of(texts), used)
            url = postgres.new_database()
            texts = statements(url, "postgres")
            database = Postgresql(postgres, url)
            with self.subTest("PostgreSQL"):
                plans = database.plans(texts)
                self.assertEqual(len(plans), len(texts))
                self.judge({sql: list(database.faults(plan)) for sql, plan in zip(texts, plans)}, used)
            unused = [ALLOWED[i][0] for i in range(len(ALLOWED)) if i not in used]
            self.assertEqual(unused, [], "no statement needs these any more")


if __name__ == "__main__":
    unittest.main()
