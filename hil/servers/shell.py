r"""A small shell: as much of ``sh`` as somebody types on a pedal's console.

Words in quotes, ``$?``, ``;``, ``&&``, ``||``, newlines and ``{ … }``; redirections are read and
left out, since both streams are the same line there. ``printf``, ``echo``, ``true``, ``false`` and
assignments are its own, everything else is asked of ``commands``.
"""

import re
from collections.abc import Callable

Run = Callable[[list[str]], tuple[str, int]]
"""Of a command's words; gives what it printed and its exit code, 127 where there is none."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+) | (?P<redirect>\d?[<>]&?\d?(?:/[\w/.]+)?)
      | (?P<mark>&&|\|\||;|\n|&)
      | (?P<word>(?:'[^']*' | "[^"]*" | \\. | [^\s;&|<>'"\\])+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
_MARKS = (";", "\n", "&")


class Shell:
    """One that is logged in to."""

    def __init__(self, run: Run, prompt: str) -> None:
        """``prompt`` is what ``PS1`` holds at first."""
        self._run = run
        self.variables = {"PS1": prompt, "PS2": "> "}
        self.echoes = True
        self._code = 0
        self._begun = ""

    @property
    def prompt(self) -> str:
        """What it shows when it waits."""
        return self.variables["PS2" if self._begun else "PS1"]

    def line(self, text: str) -> str:
        """Type a line; gives what came of it, lines ended by a line feed alone."""
        text = self._begun + text
        tokens = _tokens(text)
        if tokens is None or tokens.count("{") > tokens.count("}"):
            self._begun = text + "\n"
            return ""
        self._begun = ""
        return self._list(tokens)

    def _list(self, tokens: list[str]) -> str:
        """Commands one after another."""
        printed: list[str] = []
        command: list[str] = []
        joined = ";"
        for token in [*tokens, ";"]:
            if token in ("&&", "||", *_MARKS):
                skipped = {"&&": self._code != 0, "||": self._code == 0}.get(joined, False)
                if command and not skipped:
                    printed.append(self._command(command))
                joined = token if command or token in ("&&", "||") else joined
                command = []
            elif token not in ("{", "}"):
                command.append(token)
        return "".join(printed)

    def _command(self, words: list[str]) -> str:
        while words and (found := _ASSIGNMENT.fullmatch(words[0])):
            self.variables[found[1]] = self._plain(found[2])
            words = words[1:]
        if not words:
            self._code = 0
            return ""
        given = [self._plain(word) for word in words]
        name, arguments = given[0], given[1:]
        if name == "printf":
            self._code = 0
            return _printf(arguments)
        if name == "echo":
            self._code = 0
            return " ".join(arguments) + "\n"
        if name in ("true", "false", ":"):
            self._code = int(name == "false")
            return ""
        if name == "stty":
            self.echoes = "-echo" not in arguments and (self.echoes or "echo" in arguments)
            self._code = 0
            return ""
        printed, self._code = self._run(given)
        return printed

    def _plain(self, word: str) -> str:
        """A word without its quotes, and with what stands behind its dollars."""

        def piece(found: re.Match[str]) -> str:
            if found["single"] is not None:
                return found["single"]
            if found["double"] is not None:
                return self._filled(found["double"])
            if found["escaped"] is not None:
                return found["escaped"]
            return self._filled(found["bare"])

        return re.sub(
            r"""'(?P<single>[^']*)'|"(?P<double>[^"]*)"|\\(?P<escaped>.)|(?P<bare>[^'"\\]+)""",
            piece,
            word,
            flags=re.DOTALL,
        )

    def _filled(self, text: str) -> str:
        text = text.replace("$?", str(self._code))
        return re.sub(r"\$\{?(\w+)\}?", lambda found: self.variables.get(found[1], ""), text)


def _tokens(text: str) -> list[str] | None:
    """Words and marks; None where a quotation does not end."""
    if _open(text):
        return None
    found = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup in ("word", "mark"):
            found.append(match[0])
    return found


def _open(text: str) -> bool:
    """Whether a quotation has begun and not ended."""
    quote = ""
    for letter in text:
        if letter in "'\"" and not quote:
            quote = letter
        elif letter == quote:
            quote = ""
    return quote != ""


def _printf(given: list[str]) -> str:
    if not given:
        return ""
    left = iter(given[1:])

    def piece(found: re.Match[str]) -> str:
        if found[1] is not None:
            return _ESCAPES.get(found[1], found[0])
        return "%" if found[2] == "%" else next(left, "")

    return re.sub(r"\\(.)|%([sd%])", piece, given[0])
