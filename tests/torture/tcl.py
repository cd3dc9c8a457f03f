"""Words of a Tcl list, which is what a DejaGnu directive is."""

SPACE = " \t\n\r\f\v"
CLOSING = {"{": "}", "[": "]"}


def words(text, calls=False):
    """Splits a list into its words and strips one level of braces or quotes from each. In a script, a word may be a
    call in brackets (`calls`), which it is left with."""
    found, at = [], 0
    while True:
        while at < len(text) and text[at] in SPACE:
            at += 1
        if at == len(text):
            return found
        if text[at] == "{":
            end = match(text, at)
            found.append(text[at + 1 : end])
            at = end + 1
        elif text[at] == '"':
            end = quote_end(text, at)
            found.append(unescape(text[at + 1 : end]))
            at = end + 1
        else:
            end = at
            while end < len(text) and text[end] not in SPACE:
                end = match(text, end) if calls and text[end] == "[" else end
                end += 2 if text[end] == "\\" else 1
            found.append(text[at:end] if text[at] == "[" else unescape(text[at:end]))
            at = end


def match(text, at):
    """The index of what closes the brace or bracket at `at`. Raises ValueError if nothing does."""
    opening, closing, depth, index = text[at], CLOSING[text[at]], 0, at
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == opening:
            depth += 1
        elif text[index] == closing:
            depth -= 1
            if depth == 0:
                return index
        index += 1
    raise ValueError(f"nothing closes the {opening!r} in {text!r}")


def quote_end(text, at):
    index = at + 1
    while index < len(text) and text[index] != '"':
        index += 2 if text[index] == "\\" else 1
    if index >= len(text):
        raise ValueError(f"nothing closes the quote in {text!r}")
    return index


def unescape(text):
    """Removes backslashes before other than letters and digits; those mean regular expressions, which nobody reads."""
    out, index = [], 0
    while index < len(text):
        if text[index] == "\\" and index + 1 < len(text) and not text[index + 1].isalnum():
            index += 1
        out.append(text[index])
        index += 1
    return "".join(out)


def commands(script):
    """Splits a script into commands, each a list of words; comments and blank lines are none."""
    found, command, at = [], "", 0
    while at < len(script):
        char = script[at]
        if not command.strip() and char == "#":
            end = script.find("\n", at)
            at = len(script) if end < 0 else end
        elif char in "\n;":
            found.append(command)
            command = ""
            at += 1
        elif char in CLOSING or char == '"':
            end = (quote_end if char == '"' else match)(script, at) + 1
            command += script[at:end]
            at = end
        elif char == "\\" and script[at + 1 : at + 2] == "\n":
            command += " "
            at += 2
        else:
            command += char
            at += 1
    found.append(command)
    return [words(command, calls=True) for command in found if command.strip()]
