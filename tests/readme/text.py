# SPDX-License-Identifier: Apache-2.0
"""README.md, taken apart."""
import fnmatch
import os
import re
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAPPED = ("proto", "services", "client", "deploy")

with open(SOURCE + "/README.md", encoding="utf-8") as file:
    TEXT = file.read()


def sections():
    parts = re.split(r"(?m)^## (.*)$", TEXT)
    return dict(zip(parts[1::2], parts[2::2]))


def blocks():
    """(heading, number) to the commands of each ```sh block."""
    return {(heading, number): block for heading, text in sections().items()
            for number, block in enumerate(re.findall(r"(?ms)^```sh\n(.*?)^```$", text))}


def inline():
    """What stands between single backquotes, outside of every block."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", TEXT))


def links():
    return [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]


def tracked():
    """The files that the map is about. One that is new and not yet added counts too."""
    listed = subprocess.run(["git", "-C", SOURCE, "-c", "safe.directory=" + SOURCE, "ls-files", *MAPPED], check=True, text=True,
                            capture_output=True, timeout=60).stdout.splitlines()
    return [path for path in listed if os.path.exists(f"{SOURCE}/{path}")]


def patterns():
    """What the map's lines name, as paths with wildcards. A line at the margin that ends in / opens a folder; if no line is
    indented below it, it stands for all that is in the folder."""
    lines = re.search(r"(?ms)^```\n(.*?)^```$", sections()["The code's map"]).group(1).splitlines()
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
