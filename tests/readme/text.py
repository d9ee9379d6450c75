# SPDX-License-Identifier: Apache-2.0
"""README.md and the pages beside it, taken apart."""
import fnmatch
import os
import re
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAPPED = ("proto", "services", "client", "deploy")

PAGES = ("README.md", "client/README.md", "client/standards.md", "deploy/README.md", "services/README.md", "tests/README.md",
         "tests/bench/README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md")


SOURCES = {"c": ".c", "go": ".go", "python": ".py"}  # blocks that show code, and where it is
# Sections whose blocks other tests run: tests/client/test_stubs.py, tests/clients/test_examples.py.
ELSEWHERE = ("Stubs in any language", "Protect an API in five minutes", "By curl", "A cache that hears of revocation")
OPERATORS = ("README.md", "client/standards.md", "deploy/README.md", ".github/SECURITY.md")  # who know settings, and no functions


def read(page):
    with open(f"{SOURCE}/{page}", encoding="utf-8") as file:
        return file.read()


TEXT = {page: read(page) for page in PAGES}


def sections(page="README.md"):
    parts = re.split(r"(?m)^## (.*)$", TEXT[page])
    return dict(zip(parts[1::2], parts[2::2]))


def blocks():
    """(heading, number) to the commands of each ```sh block that this family runs."""
    return {(heading, number): block for page in PAGES for heading, text in sections(page).items() if heading not in ELSEWHERE
            for number, block in enumerate(re.findall(r"(?ms)^```sh\n(.*?)^```$", text))}


def inline(pages=PAGES):
    """What stands between single backquotes, outside of every block."""
    return [text for page in pages for text in re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", TEXT[page]))]


def links():
    """Those to files, from the top of the checkout."""
    return [os.path.normpath(os.path.join(os.path.dirname(page), link)) for page in PAGES
            for link in re.findall(r"\]\(([^)#]+)", TEXT[page]) if "://" not in link]


def anchors():
    """(page, heading as an anchor) for each link to a heading."""
    return [(os.path.normpath(os.path.join(os.path.dirname(page), link)) if link else page, anchor) for page in PAGES
            for link, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", TEXT[page]) if "://" not in link]


def tracked():
    """The files that the map is about. One that is new and not yet added counts too."""
    listed = subprocess.run(["git", "-C", SOURCE, "-c", "safe.directory=" + SOURCE, "ls-files", *MAPPED], check=True, text=True,
                            capture_output=True, timeout=60).stdout.splitlines()
    return [path for path in listed if os.path.exists(f"{SOURCE}/{path}")]


def patterns():
    """What the map's lines name, as paths with wildcards. A line at the margin that ends in / opens a folder; if no line is
    indented below it, it stands for all that is in the folder."""
    lines = re.search(r"(?ms)^```\n(.*?)^```$", sections("services/README.md")["The code's map"]).group(1).splitlines()
    result = []
    for line, following in zip(lines, [*lines[1:], ""]):
        names = line.lstrip()[:line.lstrip().find("  ")] if "  " in line.lstrip() else line.lstrip()
        if line.startswith(" "):
            result += [folder + name for name in names.split(" ") if name]
        elif names.endswith("/"):
            folder = names
            if not following.startswith(" "):
                result.append(folder + "*")
        elif names:
            result += names.split(" ")
    return result


def is_matched(path, pattern):
    """A header goes with the source of its name."""
    return fnmatch.fnmatchcase(path, pattern) or path.endswith(".h") and fnmatch.fnmatchcase(path[:-1] + "c", pattern)
