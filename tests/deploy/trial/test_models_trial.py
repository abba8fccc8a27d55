"""What the update asks of the models' trials."""

import hashlib
import os
from functools import partial
from pathlib import Path

import pytest

from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Places
from deploy.slots import SlotState
from deploy.trial import trials
from deploy.trial.limits import Here, Limits, here_of
from deploy.trial.models_trial import ModelsTrial
from deploy.trial.tries import MOST_TRIES
from deploy.trial.verdict import Verdict, one_line, plain_figures
from device.processes.bank_report import BankReport, write_bank
from device.processes.meters import Meters
from tests.deploy.trial.slots_made import PLAIN, preset, release_of

PEDAL = """[audio]
rate_hz = 96000
period_frames = 32
interface_dbu = 9.5
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "root")


@pytest.fixture
def slot(places: Places) -> SlotState:
    folder = places.slots("models") / "b"
    folder.mkdir(parents=True)
    preset(folder, PLAIN)
    content = release_of(folder).model_dump_json().encode()
    (folder / "release.json").write_bytes(content)
    return SlotState("b", folder, 7, hashlib.sha256(content).hexdigest(), "trial", "")


def test_models_for_a_newer_firmware_are_not_fetched(places: Places, slot: SlotState) -> None:
    release = release_of(slot.folder, needs_firmware=5)
    versions: tuple[int | None, ...] = (5, 6, None)
    for version in versions:
        ModelsTrial(places, places.root, firmware=partial(_same, version)).admit(release)
    with pytest.raises(UpdateError, match="needs firmware release 5, and 4 runs here"):
        ModelsTrial(places, places.root, firmware=lambda: 4).admit(release)


def test_they_are_tried_for_this_pedal(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Here] = []

    def self_test(folder: Path, limits: Limits, here: Here) -> Verdict:
        asked.append(here)
        return Verdict(True, "")

    monkeypatch.setattr(trials, "self_test", self_test)
    pedal = tmp_path / "pedal.toml"
    pedal.write_text(PEDAL)
    (tmp_path / "run").mkdir()
    trial = ModelsTrial(places, tmp_path / "run", pedal)
    trial.self_test(slot.folder)
    (places.slots("models") / "a").mkdir()
    (places.slots("models") / "active").symlink_to("a")
    trial.self_test(slot.folder)
    present = (places.slots("models") / "a").resolve()
    assert asked == [Here(96000, 32, 9.5), Here(96000, 32, 9.5, present)]


@pytest.mark.parametrize("content", [None, "", "no toml", "[audio]\nrate_hz = 1\n"])
def test_a_wrong_pedal_toml_is_no_reason_to_refuse(tmp_path: Path, content: str | None) -> None:
    pedal = tmp_path / "pedal.toml"
    if content is not None:
        pedal.write_text(content)
    assert here_of(pedal) == here_of(None) == Here()


def test_how_the_pedal_is_is_noted_before_and_watched_after(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    meters = Meters(runtime / "meters")
    meters.store("rate_hz", 48000)
    meters.store("period_frames", 64)
    meters.count("periods", 75_000)
    meters.count("path_errors", 5)
    write_bank(runtime, BankReport(_pid()))
    monkeypatch.setattr(trials, "self_test", lambda *about: Verdict(True, ""))
    assert ModelsTrial(places, runtime).self_test(slot.folder).ok
    assert (places.root / "probation-models.json").exists()
    # Another process of the update, after the slot was activated.
    trial = ModelsTrial(places, runtime)
    write_bank(runtime, BankReport(_pid(), slot=str(slot.folder.resolve())))
    assert trial.look(slot) is None
    meters.count("periods", 751 * 600)
    verdict = trial.look(slot)
    assert verdict is not None and verdict.ok, verdict


def test_a_failed_self_test_notes_nothing(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "self_test", lambda *about: Verdict(False, "It hums."))
    assert not ModelsTrial(places, tmp_path).self_test(slot.folder).ok
    assert not (places.root / "probation-models.json").exists()


# ---- tries that come to no end ------------------------------------------------------------------


@pytest.fixture
def trial(places: Places, slot: SlotState, monkeypatch: pytest.MonkeyPatch) -> ModelsTrial:
    """TensorRT does not read what this slot brings, today as ever."""

    def build_engines(folder: Path, here: Here, limits: Limits) -> dict[str, str]:
        raise UpdateFailedError("TensorRT 10.3 does not read the graph.")

    monkeypatch.setattr(trials, "inspect", lambda *about: None)
    monkeypatch.setattr(trials, "build_engines", build_engines)
    return ModelsTrial(places, places.root)


def tried(trial: ModelsTrial, slot: SlotState) -> str:
    """What comes of a try: by another process of the update each time."""
    again = ModelsTrial(trial._places, trial._runtime)
    try:
        again.inspect(slot.folder, release_of(slot.folder))
        again.build(slot.folder)
        return again.self_test(slot.folder).why
    except UpdateFailedError:
        return "not now"
    except UpdateError as problem:
        return str(problem)


def test_what_cannot_be_built_is_refused_after_some_tries(
    trial: ModelsTrial, slot: SlotState
) -> None:
    for _ in range(MOST_TRIES):
        assert tried(trial, slot) == "not now"
    assert tried(trial, slot) == (
        f"Its trial came to no end on this pedal {MOST_TRIES} times, the last time because of "
        "this: TensorRT 10.3 does not read the graph."
    )
    # Another release begins at nothing.
    (slot.folder / "release.json").write_bytes(b"another")
    assert tried(trial, slot) == "not now"


def test_tries_that_took_the_machine_with_them_count(
    trial: ModelsTrial, slot: SlotState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*about: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "build_engines", crash)
    for _ in range(MOST_TRIES):
        with pytest.raises(KeyboardInterrupt):
            tried(trial, slot)
    assert tried(trial, slot) == f"Its trial came to no end on this pedal {MOST_TRIES} times."


def test_a_self_test_that_could_not_be_held_counts_and_one_that_could_ends_it(
    trial: ModelsTrial, slot: SlotState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "build_engines", lambda *about: {})
    verdicts = [Verdict(False, "Others had the processors.", again=True)] * (MOST_TRIES - 1)
    verdicts += [Verdict(True, "Fine."), *verdicts, *verdicts]
    monkeypatch.setattr(trials, "self_test", lambda *about: verdicts.pop(0))
    said = [tried(trial, slot) for _ in range(2 * MOST_TRIES + 1)]
    assert said[MOST_TRIES - 1] == "Fine."
    assert all("Others had the processors." in each for each in said[MOST_TRIES:])
    assert said[-1].startswith("Its trial came to no end"), said[-1]


def test_a_refusal_is_an_end(
    trial: ModelsTrial, slot: SlotState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*about: object) -> None:
        raise UpdateError("It has no sound.")

    monkeypatch.setattr(trials, "inspect", refuse)
    for _ in range(MOST_TRIES + 2):
        assert tried(trial, slot) == "It has no sound."
    assert not (trial._places.root / "trial-models.json").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"no json", b'{"release_sha256": 1}', b"\xff", b"[" * 9999]
)
def test_an_account_that_cannot_be_read_is_none(
    trial: ModelsTrial, slot: SlotState, content: bytes
) -> None:
    (trial._places.root / "trial-models.json").write_bytes(content)
    assert tried(trial, slot) == "not now"


def test_an_account_that_cannot_be_written_stops_nothing(
    trial: ModelsTrial, slot: SlotState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*about: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploy.trial.tries.put", full)
    for _ in range(MOST_TRIES + 1):
        assert tried(trial, slot) == "not now"


def test_sentences_are_one_short_line(tmp_path: Path) -> None:
    assert one_line(f"{tmp_path}/x.onnx: is\n  not\tgood\x1b[31m", tmp_path) == (
        "x.onnx: is not good?[31m"
    )
    assert len(one_line("x" * 10_000)) == 400


def test_figures_are_numbers_and_texts() -> None:
    figures = plain_figures({"a": 1, "b": float("nan"), "c": True, "d": None, "e": 1 / 3})
    assert figures == {"a": 1.0, "b": "nan", "c": "True", "d": "None", "e": 0.3333}


def _same(version: int | None) -> int | None:
    return version


def _pid() -> int:
    return os.getpid()
