# SPDX-License-Identifier: Apache-2.0
"""The Debian packages under test. As a program: builds them."""
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/deploy")
from machine import BUILD, SOURCE, run  # noqa: E402

FOLDER = BUILD + "/package"
OLD_VERSION = "0.0.1"


def build():
    for file in glob.glob(FOLDER + "/*/*.deb"):
        os.remove(file)
    # As somebody says it who stands there.
    print(run([SOURCE + "/deploy/package/build", os.path.basename(FOLDER)], timeout=800, cwd=BUILD)[1])
    run(["cpack", "-D", "CPACK_PACKAGE_VERSION=" + OLD_VERSION, "-D", "CPACK_COMPONENTS_ALL=gatehouse", "-B", FOLDER + "/older"],
        cwd=FOLDER)


def find():
    """The packages' files by their names, and as "older" that of `gatehouse` with an older version number."""
    files = {os.path.basename(file).split("_")[0]: file for file in glob.glob(FOLDER + "/packages/*.deb")}
    files["older"], = glob.glob(FOLDER + "/older/*.deb")
    return files


def field(file, name):
    return run(["dpkg-deb", "--field", file, name])[1].strip()


def dependencies(file):
    """The names alone."""
    return [entry.split()[0] for entry in field(file, "Depends").split(", ")]


if __name__ == "__main__":
    build()
