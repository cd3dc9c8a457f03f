"""Compiles one test and runs it twice: linked by gcc, and in jitd."""

import functools
import hashlib
import json
import os
import shlex
import shutil
import subprocess

import kinds
import processes

COMPILE_SECONDS, NATIVE_SECONDS, JITD_SECONDS = 120, 30, 60
PROGRAM = "./a.out"  # its argv[0] both ways

# For a second native run: what malloc returns holds something, as it may in a process that has done other things before.
NOISE = {"MALLOC_PERTURB_": "85"}

# What gcc links because of an option: its name beside gcc's own libraries.
LINKED_BY = {
    "-fopenmp": "libgomp.so",
    "-ftree-parallelize-loops": "libgomp.so",
    "-fgnu-tm": "libitm.so",
    "-fprofile-generate": "libgcov.a",
    "-fprofile-arcs": "libgcov.a",
    "--coverage": "libgcov.a",
    "-fsanitize=undefined": "libubsan.so",
    "-ffast-math": "crtfastmath.o",
    "-Ofast": "crtfastmath.o",
    "-funsafe-math-optimizations": "crtfastmath.o",
    "-mpc32": "crtprec32.o",
    "-mpc64": "crtprec64.o",
    "-mpc80": "crtprec80.o",
}

# Options for a linker that jitd is not, or that leave nothing in the object which it could link.
NATIVE_ONLY = ("-Wl,", "-Xlinker", "-T", "-static", "-shared", "-nostdlib", "-nostartfiles", "-nodefaultlibs", "-fsanitize",
               "-m32", "-mx32", "-l", "-L")
HARMLESS = ("-static-libgcc", "-lm", "-lpthread", "-lc", "-ldl", "-lrt", "-Wl,--gc-sections", "-fsanitize=undefined")


class Failed(Exception):
    """A native compiler or linker fails: (what, its message)."""


class Executor:
    """`build` is the build of jitd; what it tells is remembered under `output`."""

    def __init__(self, build, output):
        self.jitctl = os.path.join(build, "bin", "jitctl")
        self.kinds = kinds.read()
        self.output = output
        self.tested = hashlib.sha256()
        for path in [*(os.path.join(build, "bin", name) for name in ("jitd", "jitd-linker", "jitd-runner", "jitctl")),
                     kinds.TABLE]:
            with open(path, "rb") as file:
                self.tested.update(file.read())

    def run(self, test, configuration, plan, resume):
        """Returns {"status", "reason", ...}, from an earlier run of the same build if `resume` is set."""
        if plan.skip or plan.unknown or native_only(plan.all_options()):
            return without_running(plan)
        path = os.path.join(self.output, "results", slug(configuration.name), test.name + ".json")
        key = self._key(test, configuration, plan)
        if resume and (result := read_result(path, key)):
            return result
        result = {"key": key, **self._compare(test, configuration, plan)}
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
        os.replace(path + ".new", path)
        return result

    def _key(self, test, configuration, plan):
        key = self.tested.copy()
        key.update(repr((configuration, test, sorted(vars(plan).items()))).encode())
        return key.hexdigest()

    def _compare(self, test, configuration, plan):
        scratch = os.path.join(self.output, "scratch", slug(configuration.name), test.name)
        shutil.rmtree(scratch, ignore_errors=True)
        os.makedirs(scratch)
        try:
            program = Program(self.jitctl, test, configuration, plan, scratch)
            result = program.compare(self.kinds)
        except Failed as error:
            result = {"status": "native", "reason": error.args[0], "message": error.args[1]}
        if result["status"] not in ("differs", "profile"):
            shutil.rmtree(scratch, ignore_errors=True)
        return result


class Program:
    """One test, compiled in its scratch folder."""

    def __init__(self, jitctl, test, configuration, plan, scratch):
        self.jitctl, self.plan, self.scratch = jitctl, plan, scratch
        self.compiler = configuration.cxx if test.cxx else configuration.c
        self.options = [*configuration.options.split(), *plan.all_options()]
        self.libraries = linked(self.compiler, test.cxx, self.options)
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C", **plan.environment}
        self.directories = {}
        for name in ("native", "jitd"):
            self.directories[name] = os.path.join(scratch, name)
            os.makedirs(self.directories[name])
            for file in plan.files:
                shutil.copy(file, self.directories[name])
        self.objects = self._compile()

    def compare(self, known):
        """Runs both, and says what came of it."""
        native = self._native()
        if native.status is None or (native.status != 0) != self.plan.fails:
            return {"status": "native", "reason": native.describe() + " natively"}
        jitd = self._jitd("default")
        if self._agree(native, jitd):
            return {"status": "agrees", "reason": ""}
        if jitd.status == 125 and (kind := kinds.of_error(known, text(jitd.stderr))):
            return {"status": "refused", "reason": kind.name}
        again = self._native(NOISE)
        if not self._agree(native, again) and jitd.status in (native.status, again.status):
            return {"status": "unsteady", "reason": "native runs differ among themselves"}
        if self._agree(native, self._jitd("trusted")):
            return self._difference("profile", "agrees with --sandbox trusted", native, jitd)
        if kind := kinds.of_program(known, self.objects):
            return {"status": "known", "reason": kind.name}
        return self._difference("differs", summarize(native, jitd), native, jitd)

    def _agree(self, native, jitd):
        """Where a test is meant to fail, what it writes then is not compared: a crash report of jitctl's is no fault."""
        return native.status == jitd.status if self.plan.fails else native == jitd

    def _difference(self, status, reason, native, jitd):
        return {"status": status, "reason": reason, "scratch": self.scratch,
                "native": show(native), "jitd": show(jitd)}

    def _compile(self):
        objects = []
        for number, source in enumerate(self.plan.sources):
            name = os.path.splitext(os.path.basename(source))[0]
            objects.append(os.path.join(self.scratch, f"{number}-{name}.o"))
            self._tool("does not compile", [self.compiler, *self.options, "-c", source, "-o", objects[-1]])
        self._tool("does not link", [self.compiler, *self.options, *objects, "-o", "native/a.out", "-lm"])
        return objects

    def _tool(self, failure, command):
        outcome = self._run(command, self.scratch, COMPILE_SECONDS)
        if outcome.status != 0:
            raise Failed(failure, text(outcome.stderr))

    def _native(self, variables=()):
        return self._run([PROGRAM], self.directories["native"], NATIVE_SECONDS, variables)

    def _jitd(self, profile):
        variables = [f"--env={name}" for name in self.plan.environment]
        return self._run([self.jitctl, "run", f"--sandbox={profile}", f"--argv0={PROGRAM}", *variables, *self.objects,
                          *self.libraries, "-lm"], self.directories["jitd"], JITD_SECONDS)

    def _run(self, command, directory, seconds, variables=()):
        """Runs a command, and writes it down for who wants to do it again."""
        with open(os.path.join(self.scratch, "commands"), "a", encoding="utf-8") as file:
            file.write(f"cd {shlex.quote(directory)} && {shlex.join(command)}\n")
        environment = {**self.environment, **dict(variables)}
        return processes.run(command, directory, seconds * self.plan.timeout_factor, environment)


def without_running(plan):
    """The result of a test that is not compiled: the test's own wish comes before what is not understood of it."""
    if plan.skip:
        return {"status": "skipped", "reason": plan.skip}
    if plan.unknown:
        return {"status": "unevaluated", "reason": plan.unknown}
    return {"status": "unevaluated", "reason": f"option {native_only(plan.all_options())}"}


def native_only(options):
    """The first option with which jitd is not asked to do the same, or None."""
    for option in options:
        if (option.startswith(NATIVE_ONLY) or option.split("=")[0] in ("-flto", "-r")) and option not in HARMLESS:
            return option
    return None


def linked(compiler, cxx, options):
    """Files that gcc would link besides the objects, the C library and libgcc."""
    given = set(options) | {option.split("=")[0] for option in options}
    names = [name for option, name in LINKED_BY.items() if option in given]
    if cxx:
        names.append("libstdc++.so")
    return [library(compiler, name) for name in dict.fromkeys(names)]


@functools.lru_cache(maxsize=None)
def library(compiler, name):
    path = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout
    return os.path.realpath(path.strip())


def read_result(path, key):
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        return result if result["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def summarize(native, jitd):
    if native.status != jitd.status:
        first = (text(jitd.stderr).strip().splitlines() or [""])[0]
        return f"{jitd.describe()} instead of {native.status}: {first}"[:300]
    return "stdout differs" if native.stdout != jitd.stdout else "stderr differs"


def show(outcome):
    return {"ended": outcome.describe(), "stdout": text(outcome.stdout)[:4000], "stderr": text(outcome.stderr)[:4000]}


def text(data):
    return data.decode("utf-8", "replace")


def slug(name):
    return name.replace(" ", "_").replace("/", "_")
