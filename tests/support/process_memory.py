# SPDX-License-Identifier: Apache-2.0
"""What another process has in its memory. Only root may read it."""
import re


def search_memory(pid, needles):
    """Which of them are in the process's memory, and where."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for begin, end, mode, name in re.findall(r"(?m)^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$", maps.read()):
            if "r" not in mode or name.startswith("[v"):
                continue
            memory.seek(int(begin, 16))
            try:
                data = memory.read(int(end, 16) - int(begin, 16))
            except OSError:
                continue  # gone meanwhile
            for needle, text in needles.items():
                at = data.find(text)
                if at >= 0:
                    found.setdefault(needle, []).append((hex(int(begin, 16) + at), name or "heap", data[max(0, at - 40):at]))
    return found
