"""Whose plans a bundle of the models slot is played with."""

from pathlib import Path
from types import SimpleNamespace

from device.studio import StudioBundle
from models.music2latent.stream import StreamSettings


def test_plans_are_those_that_were_built_in_the_slot(tmp_path: Path) -> None:
    settings = StreamSettings(window_frames=16, hop_frames=4, look_ahead_frames=2)

    def plans(folder: Path) -> Path | None:
        bundle = SimpleNamespace(folder=folder)
        return StudioBundle(bundle, "int8", settings).plans  # type: ignore[arg-type]

    slot = tmp_path / "a"
    (slot / "studio").mkdir(parents=True)
    assert plans(slot / "studio") is None
    (slot / "plans").mkdir()
    assert plans(slot / "studio") == slot / "plans"
    # A bundle that its owner made lies anywhere, beside anything.
    assert plans(slot / "mine") is None
