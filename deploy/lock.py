"""Lock the requirements: `python -m deploy.lock` writes every requirements/*.txt.

The files hold for all our Pythons and both machines, by environment markers, carry the hash of
every file of every release, and name no registry: where packages come from is the machine's
affair. Versions already locked are kept unless `--upgrade` is given.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each is held to the pins of those before it that its .in file names, so this order matters.
FILES = ("run", "tools", "test", "board", "training")

OPTIONS = (
    "--universal",
    "--python-version=3.11",
    # One version of a package for every Python: what is heard on one is heard on the others.
    "--fork-strategy=fewest",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--quiet",
)


def main(argv: list[str] | None = None) -> int:
    """Write the files; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.lock", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where allowed")
    args = parser.parse_args(argv)
    for name in FILES:
        source, target = f"requirements/{name}.in", f"requirements/{name}.txt"
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, source, "-o", target]
        if args.upgrade:
            command.append("--upgrade")
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{source} could not be locked; {target} is as it was.", file=sys.stderr)
            return 1
        pins = sum("==" in line.split(";")[0] for line in (ROOT / target).read_text().splitlines())
        print(f"{target}: {pins} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
