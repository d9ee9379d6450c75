# SPDX-License-Identifier: Apache-2.0
"""What the tests of deploy/ share: root's rights, a certificate, a Debian of its own in a folder, systemd in it."""
import contextlib
import fcntl
import os
import re
import ssl
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ["BUILD"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEADLINE = 120


def as_root(*command):
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def make_certificate(certificate, key):
    """Writes both files. Gives a context that trusts exactly this server."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    return ssl.create_default_context(cafile=certificate)


def run(command, check=True, timeout=DEADLINE, **options):
    """(status, what it said). A failure shows what it said."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                            timeout=timeout, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout[-10000:]}")
    return result.returncode, result.stdout


def packages(group):
    with open(SOURCE + "/deploy/packages") as file:
        return [name.split("|")[0] for name in re.findall(rf"(?m)^{group} +(\S+)$", file.read())]


def wait(condition):
    end = time.monotonic() + DEADLINE
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError("it never came")
        time.sleep(0.1)
    return result


@contextlib.contextmanager
def apt_alone():
    """apt waits for nobody who has its archives."""
    with open(BUILD + "/roots.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Whom this machine trusts, for what fetches something: npm's registry may be behind a proxy.
TRUST = {"NODE_EXTRA_CA_CERTS": "/run/trusted.crt"}
TRUST_MOUNT = 'touch "$root/run/trusted.crt"; mount --bind /etc/ssl/certs/ca-certificates.crt "$root/run/trusted.crt"'


class Root:
    """A minimal Debian in a folder (tests/support/root), removed at the end."""

    def __init__(self, name, *release):
        self.path = f"{BUILD}/roots/{name}"
        run(as_root(SOURCE + "/tests/support/root", BUILD, self.path, *release), timeout=600)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(as_root("rm", "-rf", "--one-file-system", self.path))

    def command(self, *command, user="root", folder="/", environment=None, mounts=""):
        """As arguments of a process: chroot in mounts of its own, which go with it. mounts: shell, run before, in $root."""
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                     **(environment or {})}
        script = ('set -e; root=$1 folder=$2 user=$3; shift 3; mount --bind "$root" "$root"; mount -t proc proc "$root/proc"; '
                  'mount --rbind /dev "$root/dev"; mount --bind "$BUILD/roots/archives" "$root/var/cache/apt/archives"; '
                  f'{mounts}\n exec chroot --userspec="$user" "$root" env -C "$folder" -i "$@"')
        return as_root("env", "BUILD=" + BUILD, "unshare", "--mount", "sh", "-c", script, "sh", self.path, folder, user,
                       *(f"{key}={value}" for key, value in variables.items()), *command)

    def run(self, *command, check=True, timeout=DEADLINE, **options):
        return run(self.command(*command, **options), check, timeout)

    def install(self, *names):
        with apt_alone():
            self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *names, timeout=600)

    def put(self, source, path, mode="0644"):
        run(as_root("install", "-D", "-m", mode, source, self.path + path))

    def write(self, path, text, mode="0644"):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            self.put(file.name, path, mode)


class Machine:
    """A Root whose systemd is process 1 of a container with a network of its own."""

    def __init__(self, root):
        self.root = root

    def __enter__(self):
        # Where containers are not allowed at all, that is no fault of ours; where they are, systemd must come up in one.
        status, output = run(self.nspawn("/bin/true"), check=False)
        if status != 0:
            raise unittest.SkipTest("systemd-nspawn is of no use here: " + output)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.nspawn("--boot"), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.leader = wait(self.find_leader)
            wait(lambda: self.ask("systemctl", "is-active", "multi-user.target")[1].strip() == "active")
        except BaseException:
            self.__exit__()
            self.log.seek(0)
            print(self.log.read().decode(errors="replace"))
            raise
        return self

    def nspawn(self, what):
        return as_root("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--directory",
                       self.root.path, what)

    def __exit__(self, *_):
        self.process.terminate()  # it powers the container off
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()

    def find_leader(self):
        """The process that is number 1 in there: a descendant of nspawn (and of sudo)."""
        if self.process.poll() is not None:
            raise AssertionError("systemd-nspawn ended")
        found = str(self.process.pid)
        while True:
            with open(f"/proc/{found}/task/{found}/children") as file:
                children = file.read().split()
            if not children:
                return None
            found = children[0]
            with open(f"/proc/{found}/comm") as file:
                if file.read().strip() == "systemd":
                    return found

    def ask(self, *command, check=False):
        """Runs a command in there: (status, what it said)."""
        return run(as_root("nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--", *command), check)

    def do(self, *command):
        return self.ask(*command, check=True)[1]

    def over_its_network(self, *command):
        """A command of this machine's, in that one's network: what it said."""
        return run(as_root("nsenter", "-t", self.leader, "-n", "--", *command))[1]

