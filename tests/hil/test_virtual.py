"""The virtual pedal as far as it can be tested without building it."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from device.config import load_config
from hil.__main__ import main
from hil.virtual import cache, suite
from hil.virtual.captures import write_capture
from hil.virtual.errors import VirtualError
from hil.virtual.guest import relay
from hil.virtual.guest.pins import Edge
from hil.virtual.kernel import source_archive
from hil.virtual.scenarios.report import check, fact
from hil.virtual.suite import SCENARIOS, pedal_toml, scenarios
from models.nam.capture import read_capture


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(suite, "studio_bundle", lambda: tmp_path)
    monkeypatch.setattr(suite, "ways", lambda text: tmp_path)


@pytest.mark.parametrize("profile", ["ci", "full"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_every_scenario_has_a_module_and_a_pedal_that_can_be_read(
    scenario: suite.Scenario, profile: suite.Profile, tmp_path: Path
) -> None:
    job = scenario.job(profile)
    assert callable(importlib.import_module(f"hil.virtual.scenarios.{job.name}").run)
    for name, text in job.etc.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    config = load_config(tmp_path / "purga" / "pedal.toml", runtime=tmp_path)
    assert config.board == "jetson"


def test_a_whole_run_leaves_out_what_belongs_to_the_full_profile() -> None:
    ci, full = scenarios("ci"), scenarios("full")
    assert set(ci) < set(full) == set(SCENARIOS)
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)


def test_only_128_by_2_tolerates_lost_periods() -> None:
    tolerated = {
        each.name: each.job("full").options["tolerated"]
        for each in SCENARIOS
        if "tolerated" in each.job("full").options
    }
    assert [name for name, percent in tolerated.items() if percent] == ["playing-128x2"]


def test_the_pedal_is_configured_as_asked() -> None:
    table: dict[str, Any] = tomllib.loads(pedal_toml(256, 4, '"presets/one.toml"'))
    assert (table["audio"]["period_frames"], table["audio"]["periods"]) == (256, 4)
    assert table["bank"]["presets"] == ["presets/one.toml"]


def test_the_small_capture_is_one(tmp_path: Path) -> None:
    (tmp_path / "small.nam").write_text(write_capture())
    read_capture(tmp_path / "small.nam")  # raises for what is none
    assert write_capture() == write_capture() != write_capture(seed=1)


def test_what_was_built_is_kept_and_what_failed_leaves_nothing() -> None:
    built: list[Path] = []

    def build(target: Path) -> None:
        built.append(target)
        (target / "file").write_text("x")

    def fail(target: Path) -> None:
        build(target)
        raise VirtualError("half-way")

    with pytest.raises(VirtualError):
        cache.kept("thing", "a", fail)
    assert not list(cache.cache_folder().glob("thing-*"))
    assert cache.kept("thing", "a", build) == cache.kept("thing", "a", build)
    assert len(built) == 2
    assert cache.digest(["a", "b"]) != cache.digest(["ab"])


def test_old_builds_are_removed_but_for_the_newest_few() -> None:
    for key in "abcdefg":
        cache.kept("thing", key, lambda target: None)
    left = sorted(each.name for each in cache.cache_folder().glob("thing-*"))
    assert "thing-g" in left
    assert 1 < len(left) < 7


def test_the_newest_kernel_source_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    (tmp_path / "linux-source-6.1.tar.xz").touch()
    with pytest.raises(VirtualError, match=r"linux-source-6\.1\.tar\.xz"):
        source_archive(tmp_path)
    for version in ("6.12", "6.9", "6.13"):
        (tmp_path / f"linux-source-{version}.tar.xz").touch()
    assert source_archive(tmp_path).name == "linux-source-6.13.tar.xz"


class Edges:
    """A scope that saw edges each 10 ms in given times, s."""

    def __init__(self, *times: tuple[float, float]) -> None:
        self._edges = [
            Edge(start + 0.01 * index, index % 2)
            for start, end in times
            for index in range(round((end - start) / 0.01))
        ]

    def edges(self, offset: int) -> list[Edge]:
        return self._edges


def test_the_relay_falls_off_after_the_last_edge_and_is_held_again_after_some() -> None:
    gap = relay.gap_after(Edges((1.0, 3.0), (5.0, 8.0)), 3.0)  # type: ignore[arg-type]
    assert gap.dropped_s == pytest.approx(3.09, abs=0.03)
    assert gap.back_s == pytest.approx(5.15, abs=0.03)


def test_a_relay_that_never_comes_back_is_not_back() -> None:
    gap = relay.gap_after(Edges((1.0, 3.0)), 3.0)  # type: ignore[arg-type]
    assert gap.dropped_s is not None
    assert gap.back_s is None


def test_a_number_that_was_not_measured_does_not_hold() -> None:
    assert not check("a", "g", "w", 5.0, None, "s")["ok"]
    assert check("a", "g", "w", 5.0, 5.0, "s")["ok"]
    assert not check("a", "g", "w", 5.0, 4.9, "s", least=True)["ok"]
    assert not fact("a", "g", "w", False)["ok"]


def test_a_scenario_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--only", "nothing"]) == 2
    assert "there is no scenario nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["run", "--at-once", "0"])
    assert ended.value.code == 2
