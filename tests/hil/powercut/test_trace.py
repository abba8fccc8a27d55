"""The tracer, each in a process of its own: it waits for every child that there is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def calls(body: str, folder: Path) -> tuple[int, list[str]]:
    """What stops there are for ``body``, run with ``folder``, and its exit status."""
    program = f"""
import json, os, sys, threading
from pathlib import Path
from hil.powercut.trace import Tracer
folder = Path({str(folder)!r})
def what():
{body}
names = []
code = Tracer(str(folder), names.append).run(what)
print(json.dumps([code, names]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if "ptrace" in done.stderr and "not allowed" in done.stderr:
        pytest.skip("ptrace is not allowed here")
    assert done.returncode == 0, done.stderr
    code, names = json.loads(done.stdout.splitlines()[-1])
    return code, names


def test_each_change_is_a_stop(tmp_path: Path) -> None:
    code, names = calls(
        """
    (folder / "x").mkdir()
    handle = os.open(folder / "x" / "file", os.O_CREAT | os.O_WRONLY)
    os.write(handle, b"1"); os.pwrite(handle, b"2", 0); os.ftruncate(handle, 1)
    os.fsync(handle); os.fdatasync(handle); os.fchmod(handle, 0o600); os.close(handle)
    os.rename(folder / "x" / "file", folder / "file")
    os.link(folder / "file", folder / "hard"); os.symlink("file", folder / "soft")
    os.truncate(folder / "file", 0); os.utime(folder / "file"); os.chmod(folder / "file", 0o644)
    os.unlink(folder / "soft"); os.rmdir(folder / "x"); os.sync()
""",
        tmp_path,
    )
    assert code == 0
    said = [name.removesuffix("at").removesuffix("64") for name in names]
    assert said[:6] == ["mkdir", "open", "write", "pwrite", "ftruncate", "fsync"]
    assert said[6:10] == ["fdatasync", "fchmod", "rename", "link"]
    assert said[10:13] == ["symlink", "truncate", "utimens"]
    assert said[13] in ("chmod", "fchmod")
    assert said[14] == "unlink"
    assert said[15] in ("rmdir", "unlink")
    assert said[16:] == ["sync"]


def test_what_changes_nothing_or_elsewhere_is_none(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").write_bytes(b"x")
    code, names = calls(
        f"""
    (folder / "file").read_bytes(); os.listdir(folder); os.stat(folder)
    Path({str(tmp_path / "outside")!r}).write_bytes(b"y")
    print("said", flush=True)
    for path in ("missing", "file"):
        try: os.rmdir(folder / path)
        except OSError: pass
""",
        inside,
    )
    assert (code, names) == (0, [])


def test_threads_and_children_are_followed(tmp_path: Path) -> None:
    code, names = calls(
        """
    thread = threading.Thread(target=(folder / "thread").write_bytes, args=(b"1",))
    thread.start(); thread.join()
    import subprocess
    subprocess.run(["touch", folder / "child"], check=True)
    pid = os.fork()
    if pid == 0:
        (folder / "fork").write_bytes(b"1")
        os._exit(0)
    os.waitpid(pid, 0)
""",
        tmp_path,
    )
    assert code == 0
    assert names.count("write") == 2
    assert sum(name.startswith(("open", "creat")) for name in names) == 3


def test_a_child_that_fails_says_so(tmp_path: Path) -> None:
    assert calls("    raise SystemExit(3)", tmp_path)[0] == 70
    assert calls("    os.kill(os.getpid(), 9)", tmp_path)[0] == -9
