"""What the comments of a test ask for: DejaGnu directives become a Plan (GCC internals manual, section 7.2.1)."""

import fnmatch
import re

import selector
import tcl

# As DejaGnu greps: one directive a line, with white space inside the outer braces.
DIRECTIVE = re.compile(r"\{[ \t]+dg-[-a-z]+[ \t]+.*[ \t]\}")

# What they check is the compiler's, or follows from what the native program does.
IGNORED = set("""
    dg-warning dg-error dg-message dg-bogus dg-note dg-line dg-final dg-prune-output dg-excess-errors dg-output
    dg-xfail-if dg-xfail-run-if dg-begin-multiline-output dg-end-multiline-output dg-regexp dg-timeout
    dg-allow-blank-lines-in-output dg-ice
""".split())

# Conditions without a selector that hold for GNU tools on x86-64 Linux.
GIVEN = set("""
    dg-require-weak dg-require-weak-override dg-require-visibility dg-require-alias dg-require-ifunc
    dg-require-gc-sections dg-require-profiling dg-require-stack-size dg-require-named-sections dg-require-fork
    dg-require-mkfifo dg-require-cxa-atexit dg-require-linker-plugin dg-require-stack-check dg-require-symver
""".split())

# dg-add-options of features that need no option on x86-64, and the one that does.
FEATURES = {"bind_pic_locally": ["-fPIE"]}
FEATURES.update((name, []) for name in """ieee tls c99_runtime stack_size float16 float32 float64 float32x float64x
    float128 float128x __float128 check_function_bodies""".split())


class Plan:
    """How a test is compiled and run, or why it is not."""

    def __init__(self, action, options):
        self.action = action
        self.options = []
        self.additional = list(options)
        self.sources, self.files = [], []
        self.environment = {}
        self.fails = False
        self.timeout_factor = 1.0
        self.skip = None  # why the test itself asks not to be run
        self.unknown = None  # the directive that is not understood here

    def all_options(self):
        return self.options + self.additional


def find(source):
    """The directives of a source, each a list of words; of one that is no list, the name alone."""
    found = []
    for line in source.splitlines():
        text = DIRECTIVE.search(line)
        if text:
            try:
                found.append(tcl.words(tcl.words(text[0])[0]))
            except ValueError:
                found.append([text[0].split()[1]])
    return found


def plan(source, action="compile", cxx=False, configured=(), options=()):
    """Reads the directives in their order, as DejaGnu evaluates them. `configured` are the options that come before the
    test's own; `options` are those that its folder adds."""
    made = Plan(action, options)
    for name, *arguments in find(source):
        if name in IGNORED or made.skip:
            continue
        try:
            if name not in GIVEN:
                target = selector.Target(cxx, [*configured, *made.all_options()])
                HANDLERS[name](made, target, arguments)
        except selector.Unknown as error:
            made.unknown = made.unknown or f"{name} {error}"
        except (KeyError, IndexError, ValueError):
            made.unknown = made.unknown or name
    if not made.skip and made.action != "run":
        made.skip = f"dg-do {made.action}"
    return made


def selected(target, arguments, at):
    """Whether the optional argument `at`, {target SELECTOR} or {xfail SELECTOR}, lets a directive apply."""
    if len(arguments) <= at:
        return True
    kind, *rest = tcl.words(arguments[at])
    return kind != "target" or target.selects(" ".join(selector.brace(word) for word in rest))


def do(made, target, arguments):
    made.action = arguments[0]
    if not selected(target, arguments, 1):
        made.skip = "dg-do target" if made.action == "run" else f"dg-do {made.action}"


def set_options(made, target, arguments):
    if selected(target, arguments, 1):
        made.options = tcl.words(arguments[0])


def add_options(made, target, arguments):
    if selected(target, arguments, 1):
        made.additional += tcl.words(arguments[0])


def add_feature(made, target, arguments):
    made.additional += FEATURES[arguments[0]]


def add_sources(made, target, arguments):
    if selected(target, arguments, 1):
        made.sources += tcl.words(arguments[0])


def add_files(made, target, arguments):
    made.files += tcl.words(arguments[0])


def require(made, target, arguments):
    if selected(target, arguments, 1) and not target.has(arguments[0]):
        made.skip = f"dg-require-effective-target {arguments[0]}"


def skip_if(made, target, arguments):
    if target.selects(arguments[1]) and flags_match(target.options, *arguments[2:4]):
        made.skip = "dg-skip-if"


def flags_match(options, include="*", exclude=""):
    """Whether some element of `include` is among the options, and none of `exclude` is."""

    def among(element):
        return all(pattern == "*" or any(fnmatch.fnmatchcase(option, pattern) for option in options)
                   for pattern in element.split())

    return (any(among(element) for element in tcl.words(include)) and
            not any(element and among(element) for element in tcl.words(exclude)))


def should_fail(made, target, arguments):
    if len(arguments) < 2 or (target.selects(arguments[1]) and flags_match(target.options, *arguments[2:4])):
        made.fails = True


def set_environment(made, target, arguments):
    if selected(target, arguments, 2):
        made.environment[arguments[0]] = arguments[1]


def lengthen(made, target, arguments):
    if selected(target, arguments, 1):
        made.timeout_factor = float(arguments[0])


HANDLERS = {
    "dg-do": do,
    "dg-options": set_options,
    "dg-additional-options": add_options,
    "dg-add-options": add_feature,
    "dg-additional-sources": add_sources,
    "dg-additional-files": add_files,
    "dg-require-effective-target": require,
    "dg-skip-if": skip_if,
    "dg-shouldfail": should_fail,
    "dg-set-target-env-var": set_environment,
    "dg-timeout-factor": lengthen,
}
