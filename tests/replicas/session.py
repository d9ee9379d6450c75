# SPDX-License-Identifier: Apache-2.0
"""Somebody else's transaction on a PostgreSQL: what it has locked stays locked until it ends."""
import subprocess


class Session:
    def __init__(self, url, statement):
        self.process = subprocess.Popen(["psql", "-q", "-X", "-A", "-t", url], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        self.process.stdin.write(f"BEGIN;\n{statement};\n\\echo locked\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line == "locked\n":
                break

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # and the transaction is rolled back
        self.process.stdout.close()
        self.process.wait(60)
