"""The trials of this pedal: models are played unheard, firmware is installed, both are watched."""

from pathlib import Path

from deploy.client.seams import Trial
from deploy.firmware.trial import FirmwareTrial
from deploy.places import Component, Places
from deploy.slots import SlotState
from deploy.trial import Probation, Verdict
from deploy.trial.models_trial import ModelsTrial
from device.config import default_runtime

PEDAL = Path("/etc/purga/pedal.toml")
PEDAL_RUNTIME = Path("/run/purga")
"""Where the pedal's services keep their meters."""


def trials_here(places: Places) -> dict[Component, Trial]:
    """What a new release goes through on this machine."""
    runtime = PEDAL_RUNTIME if PEDAL_RUNTIME.is_dir() else default_runtime()
    return {
        "models": ModelsHere(places, runtime, PEDAL if PEDAL.is_file() else None),
        "firmware": FirmwareHere(places, Watch(places, runtime, "firmware")),
    }


class Watch:
    """Watching the active slot; what was seen lies beside the slots and outlasts the power."""

    def __init__(self, places: Places, runtime: Path, component: Component) -> None:
        self._places = places
        self._runtime = runtime
        self._component: Component = component
        self._probation: Probation | None = None
        self._of: str | None = None

    def begin(self, slot: SlotState) -> None:
        """Note how the pedal is before ``slot`` plays."""
        self._probation_of(slot).begin()

    def look(self, slot: SlotState) -> Verdict | None:
        """Look once."""
        return self._probation_of(slot).look()

    def _probation_of(self, slot: SlotState) -> Probation:
        if self._probation is None or self._of != slot.release_sha256:
            self._of = slot.release_sha256
            self._probation = Probation(
                self._runtime,
                self._places.root / f"probation-{self._component}.json",
                self._component,
                slot.folder,
                slot.release_sha256 or "",
            )
        return self._probation


class ModelsHere(ModelsTrial):
    """Stage network, studio bundle and presets."""

    def begin(self, slot: SlotState) -> None:
        """The self-test has noted how the pedal is."""


class FirmwareHere(FirmwareTrial):
    """Source and wheels."""

    def __init__(self, places: Places, watch: Watch) -> None:
        super().__init__(places.slots("firmware"), watch.look)
        self._begin = watch.begin

    def begin(self, slot: SlotState) -> None:
        """Note how the pedal is with the firmware before."""
        self._begin(slot)
