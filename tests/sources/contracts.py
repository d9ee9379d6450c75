# SPDX-License-Identifier: Apache-2.0
"""Functions in headers that no comment tells of. One comment may tell of several that stand together, without a blank line; one
before a struct tells of the function right behind it, too. And static functions of the folders below that others call back, of which no line
says who calls them: except those whose name says it (services/README.md, and CALLED), and those that fill a member of a
table of functions that is called like them (`.run = sqlite_run`), whose contract is the member's. And names that two functions have, anywhere: who looks for one should
not find the other. Prints them."""
import re
import subprocess
import sys

places = {}  # of each function in a header: the headers

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
            places.setdefault(match[1], set()).add(path)
            # A runtime's own functions are told of by whoever made them.
            if not is_told and "/*" not in " ".join(lines[begin:at + 1]) and not match[1].startswith("__"):
                yield f"{path}:{begin + 1}: {match[1]} has no contract"
        at += 1


FOLDERS = "api", "base", "call", "contract", "domain", "edge", "memory", "records", "rest", "rpc", "rules", "store"
CALLED = re.compile(r"\w+_tx|\w+_done|compare(_\w+)?")  # store_fn, store_done_fn, for qsort and bsearch; in records, read_…: store_row_fn
STATIC = re.compile(r"static (?:\[\[\w+\]\] )?(?:inline )?(?:const )?(?:enum \w+|struct \w+|\w+)[ *]+(\w+)\(")


def fills_member(name, code):
    """Nowhere else but in a table?"""
    uses = re.findall(rf"(?<![\w.>]){name}\b(?!\s*\()", code)
    fills = [member for member in re.findall(rf"^\s+\.(\w+) = {name},$", code, flags=re.M) if member in name]
    return len(fills) == len(uses)


def look_at_callbacks(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = text.split("\n")
    code = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', " ", text, flags=re.S)
    for at, line in enumerate(lines):
        match = STATIC.match(line)
        if not match or CALLED.fullmatch(match[1]) or (path.startswith("services/records/") and match[1].startswith("read_")):
            continue
        end = next(i for i in range(at, len(lines)) if re.search(r"[;{]$|^\{", lines[i]))
        is_told = lines[at - 1].endswith("*/") or fills_member(match[1], code)
        if not lines[end].endswith(";") and not is_told and re.search(rf"(?<![\w.>]){match[1]}\b(?!\s*\()", code):
            yield f"{path}:{at + 1}: who calls {match[1]} back?"


files = subprocess.run(["git", "ls-files", "services/*.h", "client/*.h"], check=True, capture_output=True, text=True).stdout.split()
sources = subprocess.run(["git", "ls-files", *(f"services/{folder}/**.c" for folder in FOLDERS)], check=True, capture_output=True,
                         text=True).stdout.split()
found = [line for path in files for line in look(path)] + [line for path in sources for line in look_at_callbacks(path)]
found += [f"{name} is the name of two functions: {', '.join(sorted(where))}"
          for name, where in sorted(places.items()) if len(where) > 1 and not name.startswith("__")]
print(*found, sep="\n", end="")
sys.exit(bool(found))
