"""Lock the requirements: `python -m deploy.lock` writes every requirements/*.txt.

The files hold for all our Pythons and both machines, by environment markers, carry the hash of
every file of every release, and name no registry: where packages come from is the machine's
affair. Versions already locked are kept unless `--upgrade` is given.
"""

import argparse
import functools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each is held to the pins of those before it that its .in file names, so this order matters.
FILES = (
    "run",
    "tools",
    "test",
    "board",
    "update",
    "bench",
    "build",
    "evaluate",
    "training",
    "music2latent",
    "cdpam",
)

OPTIONS = (
    "--universal",
    "--python-version=3.11",
    # One version of a package for every Python: what is heard on one is heard on the others.
    "--fork-strategy=fewest",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
)

# uv reads none of pip's settings; a machine that names a mirror or a certificate names it to pip.
FROM_PIP = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}

# The interpreter is named, or uv would look through every one on the machine for each version.
UV = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", f"--python={sys.executable}")


def compile_requirements(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `uv pip compile` in the project's root, with the machine's registry as pip knows it."""
    return subprocess.run(
        [*UV, *arguments],
        cwd=ROOT,
        env=os.environ | _registry(),
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def _registry() -> dict[str, str]:
    settings = {}
    for name, variable in FROM_PIP.items():
        if variable in os.environ:
            continue
        value = os.environ.get("PIP_" + name.replace("-", "_").upper())
        if not value:
            command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
            asked = subprocess.run(command, capture_output=True, text=True, check=False)
            value = asked.stdout.strip() if asked.returncode == 0 else ""
        if value:
            settings[variable] = value
    return settings


def main(argv: list[str] | None = None) -> int:
    """Write the files; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.lock", description="Lock the requirements again."
    )
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where allowed")
    args = parser.parse_args(argv)
    upgrade = ["--upgrade"] if args.upgrade else []
    for name in FILES:
        source, target = f"requirements/{name}.in", f"requirements/{name}.txt"
        done = compile_requirements(*OPTIONS, *upgrade, source, "--output-file", target)
        if done.returncode:
            print(f"{done.stderr}\n{source} could not be locked.", file=sys.stderr)
            return 1
        pins = sum("==" in line.split(";")[0] for line in (ROOT / target).read_text().splitlines())
        print(f"{target}: {pins} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
