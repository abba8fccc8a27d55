"""All trials of the models component, as the update asks for them (``deploy.client.seams``)."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Places
from deploy.release import Release
from deploy.slots import SlotState
from deploy.trial import trials
from deploy.trial.files import RELEASE_FILE
from deploy.trial.limits import Here, Limits, here_of
from deploy.trial.probation import Probation
from deploy.trial.tries import Tries
from deploy.trial.verdict import Verdict
from deploy.trial.watched import WatchLimits


class ModelsTrial:
    """Inspects, builds and tests a models slot for this pedal, and watches it while it plays."""

    def __init__(
        self,
        places: Places,
        runtime: Path,
        pedal: Path | None = None,
        *,
        firmware: Callable[[], int | None] = lambda: None,
        limits: Limits | None = None,
        watch: WatchLimits | None = None,
        make: Callable[..., Probation] = Probation,
    ) -> None:
        """``runtime`` is the pedal's folder of meters, ``pedal`` its ``pedal.toml``.

        ``firmware`` gives the version of the firmware release that runs, None where it is not
        from a release.
        """
        self._places, self._runtime, self._pedal = places, runtime, pedal
        self._firmware = firmware
        self._limits, self._watch = limits or Limits(), watch or WatchLimits()
        self._make = make
        self._probation: tuple[str, Probation] | None = None
        self._tries = Tries(places.root / "trial-models.json")

    def admit(self, release: Release) -> None:
        """Raise ``UpdateError`` for models that this firmware is too old for."""
        version = self._firmware()
        # Code that is from no release is somebody's own, who knows what it can play.
        if version is not None and release.needs_firmware > version:
            raise UpdateError(
                f"{release.name}: needs firmware release {release.needs_firmware}, and "
                f"{version} runs here; update the firmware first."
            )

    def inspect(self, folder: Path, release: Release) -> None:
        """See ``deploy.trial.inspect``; refuses also what came to no end too often."""
        self._tries.begin(_sha256(folder))
        with self._ending(folder):
            trials.inspect(folder, release, self._here(), self._limits)

    def build(self, folder: Path) -> dict[str, str]:
        """See ``deploy.trial.build_engines``."""
        with self._ending(folder):
            return trials.build_engines(folder, self._here(), self._limits)

    def self_test(self, folder: Path) -> Verdict:
        """See ``deploy.trial.self_test``; notes also how the pedal is before the slot plays."""
        verdict = trials.self_test(folder, self._limits, self._here())
        if verdict.again:
            self._tries.put_off(_sha256(folder), verdict.why)
            return verdict
        self._tries.end()
        if verdict.ok:
            self._watching(folder, _sha256(folder)).begin()
        return verdict

    def look(self, slot: SlotState) -> Verdict | None:
        """How the active slot does; see ``Probation.look``."""
        return self._watching(slot.folder, slot.release_sha256 or "").look()

    @contextlib.contextmanager
    def _ending(self, folder: Path) -> Iterator[None]:
        """Keep whether a step came to an end, be it a refusal."""
        try:
            yield
        except UpdateFailedError as problem:
            self._tries.put_off(_sha256(folder), str(problem))
            raise
        except UpdateError:
            self._tries.end()
            raise

    def _here(self) -> Here:
        """The pedal as it is now, with the slot that plays."""
        active = self._places.slots("models") / "active"
        present = active.resolve() if active.is_symlink() and active.is_dir() else None
        return here_of(self._pedal, present)

    def _watching(self, folder: Path, release_sha256: str) -> Probation:
        """The probation of a release, which goes on with what was seen of it before."""
        if self._probation is None or self._probation[0] != release_sha256:
            state = self._places.root / "probation-models.json"
            made = self._make(self._runtime, state, "models", folder, release_sha256, self._watch)
            self._probation = (release_sha256, made)
        return self._probation[1]


def _sha256(folder: Path) -> str:
    """Of the release file in a slot; as of an empty one where it cannot be read."""
    try:
        content = (folder / RELEASE_FILE).read_bytes()
    except OSError:
        content = b""
    return hashlib.sha256(content).hexdigest()
