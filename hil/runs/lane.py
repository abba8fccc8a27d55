"""Stages one after the other on one bench; whatever happens, the bench is left safe."""

import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.bench import Bench
from hil.errors import BenchError, InstrumentError
from hil.raw import TRACE, RawRig, RawTrace
from hil.results import ScenarioResult
from hil.runs.safe import make_safe
from hil.runs.stages import REFERENCE, Scale, Stage
from hil.runs.store import Key, forget, keep
from hil.suites.functional import Found

_ALIVE_S = 300.0
"""Of wall time: a soak of hours says so often that it is still there."""

Tell = Callable[[str, float, str], None]
"""Stage, seconds of bench time since it began, what happened."""


@dataclass
class ToldRig(RawRig):
    """A rig that tells its marks, and now and then that it is alive."""

    tell: Tell = lambda stage, bench_s, label: None
    _told_s: float = field(default_factory=time.monotonic)

    def mark(self, label: str) -> None:
        """See ``Rig.mark``."""
        super().mark(label)
        self._tell(label)

    def look(self) -> Mapping[str, float | str]:
        """See ``Rig.look``."""
        row = super().look()
        if time.monotonic() - self._told_s >= _ALIVE_S:
            places = {"air_c": "air", "module_c": "module"}
            read = [f"{word} {row[name]:.1f} °C" for name, word in places.items() if name in row]
            self._tell(", ".join(read) or "still there")
        return row

    def _tell(self, label: str) -> None:
        self._told_s = time.monotonic()
        self.tell(self.name, self.now_s() - self.start_s, label)


@dataclass
class Lane:
    """One bench and what is run on it."""

    bench: Bench
    folder: Path
    key: Key
    scale: Scale
    tell: Tell
    ended: Callable[[ScenarioResult], None] = lambda result: None
    reference: Found | None = None
    """What the pedal sounds like at room temperature, where a stage has found it."""
    refused: BenchError | None = None
    """What was wrong input after all: the run ends with 2."""
    unsafe: list[str] = field(default_factory=list)
    """What could not be switched off."""

    def run(self, stages: Sequence[Stage]) -> list[ScenarioResult]:
        """Run them in order until one is stopped; keep each as it ends. Leaves the bench safe.

        Raises ``KeyboardInterrupt`` again after that.
        """
        results = []
        try:
            for stage in stages:
                result = self._one(stage)
                results.append(result)
                if result.stopped:
                    break
        finally:
            self.unsafe += make_safe(self.bench)
        return results

    def _one(self, stage: Stage) -> ScenarioResult:
        forget(self.folder, stage.name)
        own = self.folder / stage.name
        rig = ToldRig(
            self.bench,
            RawTrace(own / TRACE),
            stage.name,
            say=lambda line: None,
            folder=own,
            tell=self.tell,
        )
        start_s = time.monotonic()
        stopped: str | None = None
        interrupted: KeyboardInterrupt | None = None
        try:
            assert stage.run is not None, "only stages of the bench are run on it"
            stage.run(rig, self.reference, self.scale)
        except KeyboardInterrupt as error:
            interrupted, stopped = error, f"interrupted ({error})" if str(error) else "interrupted"
        except InstrumentError as error:
            stopped = str(error)
        except BenchError as error:
            self.refused, stopped = error, str(error)
        except Exception as error:
            stopped = f"the bench itself failed: {type(error).__name__}: {error}"
            (own / "traceback.txt").write_text(traceback.format_exc(), "utf-8")
        if stopped:
            # At once: keeping the result may itself fail, on a disk that is full.
            self.unsafe += make_safe(self.bench)
        rig.close()
        result = replace(
            rig.result(time.monotonic() - start_s),
            stopped=stopped,
            simulated=not self.bench.measured,
        )
        keep(self.folder, result, self.key)
        self.reference = reference_of(result) or self.reference
        self.ended(result)
        if interrupted is not None:
            raise interrupted
        return result


def reference_of(result: ScenarioResult | None) -> Found | None:
    """What a stage found the pedal to sound like at room temperature; None for all but one."""
    if result is None or result.name != REFERENCE or result.stopped:
        return None
    found: Any = result.figures.get("reference")
    if not isinstance(found, Mapping):
        return None
    values = [found.get(name) for name in ("frames", "spread_frames", "gain_db")]
    if not all(each is None or math.isfinite(each) for each in values):
        return None
    return Found(*values)
