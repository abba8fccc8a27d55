"""The build's commands: ``python -m build COMMAND``."""

import sys
from collections.abc import Sequence

from build.commands import COMMANDS
from models.errors import PurgaError

USAGE = "usage: python -m build COMMAND [--help]\n\n" + "".join(
    f"  {name:14}{command.summary}\n" for name, command in COMMANDS.items()
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed work, 2 wrong input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        print(USAGE, end="", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except PurgaError as error:
        print(f"python -m build {arguments[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
