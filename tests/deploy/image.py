# SPDX-License-Identifier: Apache-2.0
"""A Dockerfile's steps, run in a chroot: no container engine can be counted on where the tests run."""
import contextlib
import json
import os
import posixpath
import subprocess

import machine
from machine import TRUST, TRUST_MOUNT, Root, as_root, run

DOCKERFILE = machine.SOURCE + "/deploy/container/Dockerfile"
BASES = {"debian:12": "bookworm", "debian:12-slim": "bookworm"}


def read_dockerfile(node, folder, path=DOCKERFILE):
    """{found: what a linter says, instructions: […]}, by the packages in FOLDER/node_modules."""
    return json.loads(run([node, folder + "/dockerfile.mjs", path])[1])


class Stage:
    """The file system that the instructions after a FROM make, and how it is to be run."""

    def __init__(self, name, base):
        if base not in BASES:
            raise AssertionError(f"{base} cannot be made here")
        self.root = Root(name, BASES[base])
        self.environment, self.folder, self.user = {}, "/", "root"
        self.entrypoint, self.healthcheck, self.ports, self.volumes = [], [], [], []

    def do(self, instruction, stages):
        words = instruction["words"]
        match instruction["name"]:
            case "RUN":
                with machine.apt_alone() if "install-packages" in words[0] else contextlib.nullcontext():
                    self.root.run("/bin/sh", "-c", instruction["shell"], folder=self.folder, user=self.user,
                                  environment={**TRUST, **self.environment}, mounts=TRUST_MOUNT, timeout=900)
            case "COPY":
                source = instruction["flags"].get("from")
                self.copy(words[:-1], words[-1], stages[source].root.path if source else machine.SOURCE)
            case "WORKDIR":
                self.folder = posixpath.join(self.folder, words[0])
                self.root.run("mkdir", "-p", self.folder)
            case "ENV":
                self.environment.update(instruction["variables"])
            case "USER":
                self.user = words[0]
            case "VOLUME":
                self.volumes += words
            case "EXPOSE":
                self.ports += words
            case "ENTRYPOINT":
                self.entrypoint = words
            case "HEALTHCHECK":
                self.healthcheck = words
            case other:
                raise AssertionError(f"{other} is not known here")

    def copy(self, sources, target, origin):
        """A folder's contents, or files, as Docker has it: owned by root."""
        full = self.root.path + posixpath.join(self.folder, target)
        for source in sources:
            source = origin + "/" + source.lstrip("/")
            is_folder = os.path.isdir(source)
            if not is_folder and target.endswith("/"):
                full_target = posixpath.join(full, posixpath.basename(source))
            else:
                full_target = full
            run(as_root("mkdir", "-p", full_target if is_folder else posixpath.dirname(full_target)))
            run(as_root("cp", "-a", "--no-preserve=ownership", source + ("/." if is_folder else ""), full_target))


class Image:
    """The last stage; the others are removed."""

    def __init__(self, instructions):
        stages = {}
        try:
            for instruction in instructions:
                if instruction["name"] == "FROM":
                    base, *rest = instruction["words"]
                    name = rest[1] if rest else "image"
                    stage = stages[name] = Stage("container." + name, base)
                else:
                    stage.do(instruction, stages)
            self.stage = stages.pop(name)
            self.root = self.stage.root
        finally:
            for other in stages.values():
                other.root.__exit__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.root.__exit__()

    def mounts(self, given):
        """Its root read-only; given: {a path in it: a folder or file of this machine}."""
        script = 'mount -o remount,bind,ro "$root"'
        for path, source in given.items():
            script += f'\nmount --bind "{source}" "$root{path}"'
        return script

    def place(self, *paths):
        """Where something is to be mounted, as an engine would make it."""
        for path in paths:
            run(as_root("mkdir", "-p", self.root.path + path))

    def command(self, *arguments, mounts, environment=None, entrypoint=None):
        return self.root.command(*(entrypoint or self.stage.entrypoint), *arguments, user=self.stage.user,
                                 folder=self.stage.folder, environment={**self.stage.environment, **(environment or {})},
                                 mounts=self.mounts(mounts))


class Container:
    """The image's process in a network of its own."""

    def __init__(self, image, log, **options):
        self.image, self.log, self.options = image, log, options
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                as_root("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *image.command(**options)),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(machine.DEADLINE)

    def said(self):
        with open(self.log) as file:
            return file.read()

    def wait(self, event):
        return machine.wait(lambda: f'"event":"{event}"' in self.said() or self.process.poll() is not None)

    def over_its_network(self, *command, check=True):
        return run(as_root("nsenter", "-t", self.pid, "-n", "--", *command), check)

    def inside(self, *command, check=True):
        """Another process of the container's, as `docker exec` would start it."""
        return self.over_its_network(*self.image.command(entrypoint=command, **self.options), check=check)

    @property
    def pid(self):
        """The daemon's: unshare, sh and chroot have become it; sudo would be its parent."""
        found = str(self.process.pid)
        with open(f"/proc/{found}/task/{found}/children") as file:
            children = file.read().split()
        return children[0] if children else found
