# SPDX-License-Identifier: Apache-2.0
"""Functions in headers that no comment tells of. One comment may tell of several that stand together, without a blank line; one
before a struct tells of the function right behind it, too. Prints them."""
import re
import subprocess
import sys

PROTOTYPE = re.compile(r"(?!typedef|static|return)[a-zA-Z_\[][\w \[\]*]*?[* \]](\w+)\(")


def look(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    at, is_told = 0, False
    while at < len(lines):
        line = lines[at]
        begin = at
        if line.startswith(("/*", " *", "//")):
            is_told = True
        elif not line.strip():
            is_told = False
        elif re.match(r"(static )?(const )?(struct|enum|union|typedef)\b.*\{$", line) or line.startswith("static inline"):
            while not lines[at].startswith("}"):
                at += 1
        elif (match := PROTOTYPE.match(line)) and not line.startswith("#"):
            while not re.search(r";\s*(/\*.*)?$", lines[at]):
                at += 1
            # A runtime's own functions are told of by whoever made them.
            if not is_told and "/*" not in " ".join(lines[begin:at + 1]) and not match[1].startswith("__"):
                yield f"{path}:{begin + 1}: {match[1]} has no contract"
        at += 1


files = subprocess.run(["git", "ls-files", "services/*.h", "client/*.h"], check=True, capture_output=True, text=True).stdout.split()
found = [line for path in files for line in look(path)]
print(*found, sep="\n", end="")
sys.exit(bool(found))
