"""The person at the bench, asked on the terminal."""

import sys
from dataclasses import dataclass
from typing import TextIO

_YES, _NO = ("y", "yes", "j", "ja", "1"), ("n", "no", "nein", "0")


@dataclass
class TerminalOperator:
    """See ``hil.bench.Operator``."""

    name: str = ""
    """As it stands in the report."""
    asks: TextIO | None = None
    hears: TextIO | None = None
    """By default standard error and standard input."""

    def ask(self, what: str) -> bool | None:
        """See the protocol. None where nobody sits at a terminal, or who does leaves it open."""
        asks, hears = self.asks or sys.stderr, self.hears or sys.stdin
        if hears is None or not hears.isatty():
            return None
        while True:
            print(f"{what} [y/n, Enter for neither] ", end="", file=asks, flush=True)
            line = hears.readline()
            answer = line.strip().casefold()
            if answer in _YES:
                return True
            if answer in _NO:
                return False
            if not answer:
                return None
            print("Please answer y or n.", file=asks, flush=True)
