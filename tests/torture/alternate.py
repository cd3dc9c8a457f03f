"""The .x files beside old tests: Tcl that adds options or asks for the test to be left out. What they do is asked of a
small evaluator; the variables that it does not know set expectations, which the native program gives here."""

import selector
import tcl

WITHOUT_EFFECT = {"load_lib", "global", "verbose"}


def apply(made, script, target):
    """Evaluates a script for a Plan: additional options, and skipping if it returns other than 0."""
    try:
        if run(made, script, target) not in (None, "0"):
            made.skip = "its .x file says so"
    except selector.Unknown as error:
        made.unknown = f".x file: {error}"
    except ValueError as error:
        made.unknown = f".x file: {error}"


def run(made, script, target):
    for name, *arguments in tcl.commands(script):
        if name == "return":
            return arguments[0] if arguments else "0"
        if name == "if":
            branch = chosen(arguments, target)
            result = run(made, branch, target) if branch else None
            if result is not None:
                return result
        elif name in ("set", "lappend") and arguments[0] == "additional_flags":
            added = [option for word in arguments[1:] for option in tcl.words(word)]
            made.additional = (made.additional if name == "lappend" else []) + added
        elif name not in WITHOUT_EFFECT and name != "set":
            raise selector.Unknown(name)
    return None


def chosen(arguments, target):
    """The branch of an `if` that is taken, or None."""
    condition, *rest = arguments
    if rest and rest[0] == "then":
        rest = rest[1:]
    if target.selects(as_selector(condition)):
        return rest[0]
    if len(rest) > 1:
        return chosen(rest[2:], target) if rest[1] == "elseif" else rest[-1]
    return None


def as_selector(condition):
    """[istarget P] becomes P and [check_effective_target_N] becomes N; another call becomes an unknown name."""
    out, at = "", 0
    while at < len(condition):
        if condition[at] == "[":
            end = tcl.match(condition, at)
            out += selector.brace(called(condition[at + 1 : end]))
            at = end + 1
        else:
            out += condition[at]
            at += 1
    for operator in ("!", "&&", "||"):
        out = out.replace(operator, f" {operator} ")
    return group(out.replace("(", "{").replace(")", "}"))


def called(call):
    name, *arguments = tcl.words(call)
    if name == "istarget":
        return arguments[0]
    prefix = "check_effective_target_"
    return name[len(prefix) :] if name.startswith(prefix) else name


def group(condition):
    """Binds ! to what follows it, which in a selector needs braces."""
    words = [selector.brace(word) if word not in ("!", "&&", "||") else word for word in tcl.words(condition)]
    out = []
    while words:
        word = words.pop(0)
        out.append("{! " + words.pop(0) + "}" if word == "!" and words else word)
    return " ".join(out)
