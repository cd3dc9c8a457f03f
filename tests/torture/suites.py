"""The tables: folders of GCC's testsuite and how its drivers compile them, and configurations to run them in."""

import os
from dataclasses import dataclass

import alternate
import directives
import selector


@dataclass(frozen=True)
class Configuration:
    """A compiler and what comes before a test's own options."""

    name: str
    c: str
    cxx: str
    options: str


CONFIGURATIONS = [
    Configuration("gcc-12 -O0 -fPIC", "gcc-12", "g++-12", "-O0 -fPIC"),
    Configuration("gcc-12 -O2 -fPIC", "gcc-12", "g++-12", "-O2 -fPIC"),
]


@dataclass(frozen=True)
class Folder:
    """`driver` is the kind of .exp file; `path` is where the files lie, if the folder shares them with another."""

    name: str
    driver: str
    path: str = ""

    @property
    def where(self):
        return self.path or self.name


FOLDERS = [
    Folder("gcc.c-torture/execute", "execute"),
    Folder("gcc.c-torture/execute/builtins", "builtins"),
    Folder("gcc.c-torture/execute/ieee", "ieee"),
    Folder("gcc.dg/torture", "c"),
    Folder("gcc.dg/torture/stackalign", "c"),
    Folder("gcc.dg/torture/tls", "c"),
    Folder("c-c++-common/torture", "c"),
    Folder("c-c++-common/torture as C++", "c++", "c-c++-common/torture"),
    Folder("g++.dg/eh", "c++"),
    Folder("g++.dg/init", "c++"),
    Folder("g++.dg/torture", "c++"),
    Folder("g++.dg/torture/stackalign", "c++"),
]

# As builtins.exp and ieee.exp have them for x86-64.
BUILTINS = "-w -fno-tree-dse -fno-tree-loop-distribute-patterns -fno-tracer -fno-ipa-ra -fno-inline-functions".split()
IEEE = "-w -fno-inline".split()

# A C++ test is run in the first of these standards in which it wants to be run, if it chooses none itself.
STANDARDS = ["-std=gnu++17", "-std=gnu++14", "-std=gnu++98", "-std=gnu++20"]


@dataclass(frozen=True)
class Test:
    """One source of a folder; `name` is FOLDER/FILE."""

    folder: Folder
    file: str

    @property
    def name(self):
        return f"{self.folder.name}/{self.file}"

    @property
    def cxx(self):
        return self.folder.driver == "c++"


def tests(testsuite):
    """All tests, in the order of the table and then of their names."""
    found = []
    for folder in FOLDERS:
        directory = os.path.join(testsuite, folder.where)
        for file in sorted(os.listdir(directory)):
            if file.endswith((".c", ".C")) and not (folder.driver == "builtins" and file.endswith("-lib.c")):
                found.append(Test(folder, file))
    return found


def plan(testsuite, test, configuration):
    """How a test is compiled and run in a configuration."""
    directory = os.path.join(testsuite, test.folder.where)
    with open(os.path.join(directory, test.file), encoding="utf-8", errors="surrogateescape") as file:
        source = file.read()
    made = DRIVERS[test.folder.driver](directory, test, source, configuration.options.split())
    made.sources = [os.path.join(directory, name) for name in [test.file, *made.sources]]
    made.files = [os.path.join(directory, name) for name in made.files]
    return made


def plan_execute(directory, test, source, configured):
    return directives.plan(source, action="run", configured=configured, options=["-w"])


def plan_c(directory, test, source, configured):
    return directives.plan(source, configured=configured)


def plan_cxx(directory, test, source, configured):
    made = directives.plan(source, cxx=True, configured=configured)
    if any(option.startswith("-std=") for option in made.all_options()) or not made.skip or made.action != "run":
        return made
    for standard in STANDARDS:
        other = directives.plan(source, cxx=True, configured=configured, options=[standard])
        if not other.skip:
            return other
    return made


def plan_builtins(directory, test, source, configured):
    made = plan_with_alternate(directory, test, configured, BUILTINS)
    made.sources = [os.path.splitext(test.file)[0] + "-lib.c", "lib/main.c"]
    return made


def plan_ieee(directory, test, source, configured):
    return plan_with_alternate(directory, test, configured, IEEE)


def plan_with_alternate(directory, test, configured, options):
    """These drivers read no directives but a file of the test's name that ends in .x."""
    made = directives.Plan("run", options)
    script = os.path.join(directory, os.path.splitext(test.file)[0] + ".x")
    if os.path.exists(script):
        with open(script, encoding="utf-8") as file:
            alternate.apply(made, file.read(), selector.Target(options=[*configured, *options]))
        if "-w" not in made.additional:
            made.additional.insert(0, "-w")
    return made


DRIVERS = {"execute": plan_execute, "builtins": plan_builtins, "ieee": plan_ieee, "c": plan_c, "c++": plan_cxx}
