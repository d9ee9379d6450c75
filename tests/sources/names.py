# SPDX-License-Identifier: Apache-2.0
"""Names in comments, and in the pages about the code, that nothing has: of files, functions, settings, methods, actions. Prints them; a comment that names what
is gone, or what lies outside the tree, helps nobody. What is others' stands in names.txt."""
import os
import re
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
C_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
HASH_COMMENT = re.compile(r'"""(?:.*?)"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(?<![\w$&{])#[^\n]*', re.S)
FILE = re.compile(r"(?<![\w./*<>-])((?:[\w-]+/)*[\w-]+\.(?:c|h|py|md|mjs|js|proto|txt|json|yaml|supp|cmake))\b(?!\.?\w)")
WORD = re.compile(r"(?<![\w./-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z][a-z]+(?:[A-Z][a-z0-9]+)+)\b(?!\.[a-z])")


def split(path, text):
    """(its comments as [(line, comment)], what is left of it)."""
    pattern = C_COMMENT if path.endswith((".c", ".h", ".proto", ".js", ".mjs")) else HASH_COMMENT
    comments = []

    def take(match):
        part = match[0]
        if part[0] in "/#" or part.startswith('"""'):
            comments.append((text.count("\n", 0, match.start()) + 1, part))
            return " "
        return part
    return comments, pattern.sub(take, text)


def main():
    files = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split()
    with open(FOLDER + "/names.txt", encoding="utf-8") as file:
        others = {word for line in file if not line.startswith("#") for word in line.split()}
    comments, code = [], []
    for path in files:
        if path.startswith("services/") and path.endswith(".md"):
            with open(path, encoding="utf-8") as file:
                comments += [(path, number, line) for number, line in enumerate(file, 1)]
            continue
        if not path.endswith((".c", ".h", ".proto", ".js", ".mjs", ".py", ".txt", ".cmake", ".yaml", ".sh")) and not (
                os.access(path, os.X_OK) and "." not in os.path.basename(path)):
            continue
        with open(path, encoding="utf-8") as file:
            found, rest = split(path, file.read())
        comments += [(path, line, comment) for line, comment in found]
        code.append(rest)
    known = set(re.findall(r"\w+", "\n".join(code)))
    known |= {part for word in known for part in re.findall(r"[A-Z][a-z]+(?:[A-Z][a-z0-9]+)+", word)}
    names = set(files) | {"/".join(path.split("/")[i:]) for path in files for i in range(1, path.count("/") + 1)}
    failed = False
    for path, line, comment in comments:
        missing = [name for name in FILE.findall(comment) if name not in names and name not in others]
        missing += [word for word in WORD.findall(comment) if word not in known and word not in others]
        for name in missing:
            failed = True
            print(f"{path}:{line}: there is no {name}")
    sys.exit(failed)


main()
