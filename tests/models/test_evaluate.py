"""What an evaluation measures: families with truth, pairs without, and what follows of both."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate.methods import blend
from models.evaluate.pairs import POSITIONS, Pairing, Route, plane, play, travel
from models.evaluate.result import Evaluation, PairRow, Provenance, Trail, WayPoint
from models.evaluate.study import METHODS_OF_WAYS
from models.evaluate.summary import summarise
from models.evaluate.table import tables
from models.evaluate.tones import DRIVES_DB, Tones, loudness_of
from models.evaluate.truths import Material, draw_cases, hear, rows
from models.evaluate.ways import Ways, direct, parameter
from models.quality import at_level, loudness_lufs
from models.stage.families import Case
from models.units import Audio, gain_from_db
from tests.conftest import plucked

BASELINE = "direct + crossfade"
GUITAR = plucked(36000, seed=3)


class Gain:
    """An amplifier that is clean at any drive."""

    def play(self, sound: Audio) -> Audio:
        return sound * np.float32(2.0)


class Clipper:
    """An amplifier that clips hard."""

    def play(self, sound: Audio) -> Audio:
        return np.tanh(sound * np.float32(200.0))


def fresh_tones() -> Tones:
    return Tones({"clean": Gain(), "twin": Gain(), "lead": Clipper()}, None, GUITAR)


def journey(a: str, b: str) -> PairRow:
    pairing = Pairing(fresh_tones(), a, b, "")
    return travel(pairing, direct(pairing), "crossfade", blend)


# ---- families with truth ------------------------------------------------------------------------


class Drive:
    """A family of one: tanh, driven."""

    name = "drive"

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Sequence[float]) -> Case:
        def tone(p: float) -> Audio:
            return at_level(np.tanh(guitar * np.float32(gain_from_db(40.0 * p))))

        name = f"drawn {rng.integers(1000)}"
        return Case(self.name, name, tone(0.0), tone(1.0), tuple(tone(p) for p in positions))


def cases(seed: int = 1) -> list[Case]:
    material = Material([("riff", GUITAR)], seed=seed, cases=2, seconds=0.6)
    return list(draw_cases("drive", Drive(), material))


def test_the_truth_itself_is_no_way_off_and_the_crossfade_is_its_own_measure() -> None:
    case = cases()[0]
    know = dict(zip((0.25, 0.5, 0.75), case.truths, strict=True))
    morphs = {"crossfade": blend, "oracle": lambda a, b, p: know[p]}
    found = rows("drive", hear(case, morphs, None))
    assert [(row.position, row.method) for row in found] == [
        (p, name) for p in (0.25, 0.5, 0.75) for name in ("crossfade", "oracle")
    ]
    for row in found:
        expected = 1.0 if row.method == "crossfade" else 0.0
        assert row.ratio.lsd_db == row.worst_lsd_ratio == row.ratio.mel_db == expected
        assert row.ratio.convergence == expected
        assert (row.mean.lsd_db > 0.5) == (row.method == "crossfade")
        assert row.mean.cdpam is None and row.ratio.cdpam is None


def test_level_does_not_count_as_distance_but_as_loudness() -> None:
    case = cases()[0]
    loud = hear(case, {"loud": lambda a, b, p: blend(a, b, p) * np.float32(2.0)}, None)
    plain = hear(case, {"plain": blend}, None)
    for one, other in zip(loud, plain, strict=True):
        assert one.distances.lsd_db == pytest.approx(other.distances.lsd_db, abs=1e-4)
        gained = one.loudness_error_lu - other.loudness_error_lu
        assert gained == pytest.approx(6.02, abs=0.05)


def test_means_are_over_cases_and_the_worst_case_is_told() -> None:
    both = cases()

    def half(a: Audio, b: Audio, p: float) -> Audio:
        return blend(a, b, p) if a is both[0].a else both[1].truths[round(4 * p) - 1]

    heard = [one for case in both for one in hear(case, {"crossfade": blend, "half": half}, None)]
    for row in rows("drive", heard):
        group = [
            o.distances.lsd_db
            for o in heard
            if (o.position, o.method) == (row.position, row.method)
        ]
        assert row.cases == 2
        assert row.mean.lsd_db == pytest.approx(np.mean(group))
        assert row.worst_lsd_ratio == 1.0
        if row.method == "half":
            assert 0.0 < row.ratio.lsd_db < 1.0


def test_cases_depend_on_the_seed_and_on_nothing_else() -> None:
    one, again, other = cases(), cases(), cases(seed=2)
    assert [case.name for case in one] == [case.name for case in again]
    assert all(np.array_equal(a.a, b.a) for a, b in zip(one, again, strict=True))
    assert [case.name for case in one] != [case.name for case in other]
    assert one[0].name != one[1].name


# ---- pairs --------------------------------------------------------------------------------------


def test_between_two_equal_tones_nothing_changes() -> None:
    row = journey("clean", "twin")
    assert max(row.lsd.nearest_db) < 1e-3
    assert row.lsd.length_db < 1e-2
    assert row.worst_loudness_error_lu < 1e-3
    assert row.saturation == pytest.approx((0.0,) * 11, abs=1e-3)


def test_ends_are_real_tones_and_the_middle_of_a_crossfade_is_not() -> None:
    row = journey("clean", "lead")
    assert row.lsd.nearest_db[0] < 1e-3 and row.lsd.nearest_db[-1] < 1e-3
    assert min(row.lsd.nearest_db[3:6]) > 0.5
    assert row.loudness_error_lu[0] == row.loudness_error_lu[-1] == 0.0
    assert row.truth_db is None


def test_saturation_is_the_share_of_a_swing_that_is_swallowed() -> None:
    row = journey("clean", "lead")
    assert row.saturation[0] == pytest.approx(0.0, abs=1e-3)
    assert row.saturation[-1] > 0.7
    assert row.label == BASELINE


def test_both_tones_come_at_one_loudness() -> None:
    tones = fresh_tones()
    way = direct(Pairing(tones, "clean", "lead", "")).at(0.5)
    a, b = (
        loudness_lufs(tones.at(name, 0.0)) + level_db
        for name, level_db in (("clean", way.level_a_db), ("lead", way.level_b_db))
    )
    assert a == pytest.approx(b, abs=0.01)


def test_loudness_of_what_the_standard_would_gate() -> None:
    quiet = GUITAR * np.float32(gain_from_db(-60.0))
    assert loudness_of(quiet) == pytest.approx(loudness_of(GUITAR) - 60.0, abs=1e-3)


def test_one_capture_at_two_drives_is_compared_with_the_truth() -> None:
    pairing = Pairing(fresh_tones(), "lead@-36", "lead", "")
    blended = travel(pairing, direct(pairing), "crossfade", blend)
    turned = travel(pairing, parameter(pairing), "chain", blend)
    assert blended.truth_db is not None and turned.truth_db is not None
    assert max(turned.truth_db["lsd"]) < 0.01 and max(turned.truth_db["mel"]) < 0.01
    assert max(blended.truth_db["lsd"]) > 1.0
    assert turned.worst_loudness_error_lu < 0.01
    assert turned.saturation_is_monotone


def test_one_way_may_be_played_with_the_other_tone_silent() -> None:
    # At an end of the blend only one tone is heard, so nothing of the other may be rendered.
    class Never:
        def play(self, sound: Audio) -> Audio:
            raise AssertionError("this tone is not heard")

    tones = Tones({"clean": Gain(), "never": Never()}, None, GUITAR)
    pairing = Pairing(tones, "clean", "never", "")
    assert play(pairing, WayPoint(0.2, -6.0, 0.0, 0.0, 0.0, blend=0.0), blend).any()


def test_ways_by_drive_are_found_on_the_probe_and_laid_over_both_tones() -> None:
    tones, probe = fresh_tones(), Tones({"clean": Gain(), "lead": Clipper()}, None, GUITAR[:, ::-1])
    pairing = Pairing(tones, "clean", "lead", "")
    found = Ways(probe).between(pairing)
    assert [(route.path, route.law) for route in found] == [
        ("direct", "linear"),
        ("direct", "perceptual"),
        ("drive", "linear"),
        ("drive", "perceptual"),
    ]
    assert METHODS_OF_WAYS.keys() >= {(route.path, route.law) for route in found}
    for route in found:
        first, last = route.at(0.0), route.at(1.0)
        assert (first.drive_a_db, first.blend) == (0.0, 0.0)
        assert (last.drive_b_db, last.blend) == (0.0, 1.0)
        assert first.level_a_db == pytest.approx(tones.level_db("clean"), abs=1e-4)
        assert last.level_b_db == pytest.approx(tones.level_db("lead"), abs=1e-4)
        assert (route.path == "drive") == (min(route.at(p).drive_b_db for p in POSITIONS) < -3.0)
    plain, _, drive, _ = (travel(pairing, route, "crossfade", blend) for route in found)
    # The lead cleans up when it is driven less, so this way need not mix two sounds.
    assert drive.lsd.mean_nearest_db < 0.6 * plain.lsd.mean_nearest_db


def test_the_plane_is_nothing_where_the_tones_are_equal() -> None:
    found = plane(Pairing(fresh_tones(), "clean", "lead", ""))
    table = np.array(found.lsd_db)
    assert table.shape == (len(DRIVES_DB), len(DRIVES_DB)) == np.shape(found.mel_db)
    assert table[0, 0] < table[-1, -1]  # both clean, one clipped
    same = np.array(plane(Pairing(fresh_tones(), "clean", "twin", "")).lsd_db)
    assert same.max() < 0.1


# ---- derived figures ----------------------------------------------------------------------------


@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=20))
def test_evenness_is_one_for_even_steps_and_more_for_others(steps: list[float]) -> None:
    trail = Trail((0.0,) * (len(steps) + 1), tuple(steps))
    assert 1.0 - 1e-9 <= trail.evenness <= len(steps) + 1e-9
    assert Trail((0.0,) * 4, (2.0,) * 3).evenness == pytest.approx(1.0)


def row_of(label: tuple[str, str, str], nearest: float, step: float, saturation: Sequence[float]):
    trail = Trail((0.0, nearest, 0.0), (step, step))
    way = tuple(WayPoint(p, 0.0, 0.0, 0.0, 0.0, p) for p in (0.0, 0.5, 1.0))
    path, method, law = label
    return PairRow(
        a="a", b="b", cabinet="", path=path, method=method, law=law, positions=(0.0, 0.5, 1.0),
        way=way, lsd=trail, mel=trail, saturation=tuple(saturation),
        loudness_error_lu=(0.0, -0.4, 0.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("saturation", "monotone"),
    [((0.0, 0.5, 1.0), True), ((1.0, 0.5, 0.0), True), ((0.0, 1.0, 0.5), False),
     ((0.2, 0.185, 0.3), True), ((0.2, 0.17, 0.3), False), ((0.5, 0.5, 0.5), True)],
)  # fmt: skip
def test_saturation_may_not_turn_back(saturation: Sequence[float], monotone: bool) -> None:
    row = row_of(("drive", "stage", "linear"), 1.0, 1.0, saturation)
    assert row.saturation_is_monotone is monotone
    assert row_of(("p", "m", "l"), 1.0, 1.0, (0.9, 0.4, 0.6)).saturation_turn == pytest.approx(0.2)


def test_summaries_are_over_the_plain_crossfade_under_their_own_law() -> None:
    base = row_of(("direct", "crossfade", "linear"), 3.0, 2.0, (0.0, 0.5, 1.0))
    even = row_of(("direct", "crossfade", "perceptual"), 6.0, 2.0, (0.0, 0.5, 1.0))
    drive = row_of(("drive", "stage", "perceptual"), 3.0, 3.0, (0.0, 1.0, 0.5))
    first, _, second = summarise([base, even, drive])
    assert (first.label, first.nearest_ratio, first.length_ratio) == (BASELINE, 1.0, 1.0)
    assert second.label == "drive + stage, perceptual"
    assert (second.nearest_ratio, second.length_ratio, second.monotone) == (0.5, 1.5, 0)
    assert second.worst_loudness_error_lu == 0.4
    assert summarise([base, drive])[1:] == ()


def provenance() -> Provenance:
    return Provenance("c", 1, True, "", "", False, {}, (), {}, 1.0, ("Nothing was measured.",))


def test_results_are_json_and_every_figure_is_a_number_or_null() -> None:
    base = row_of(("direct", "crossfade", "linear"), float("nan"), 2.0, (0.0, 0.5, 1.0))
    evaluation = Evaluation(provenance(), pairs=(base,))
    read = json.loads(json.dumps(evaluation.as_dict(), allow_nan=False))
    assert read["pairs"][0]["label"] == BASELINE
    assert read["pairs"][0]["lsd"]["nearest_db"] == [0.0, None, 0.0]
    assert read["pairs"][0]["lsd"]["length_db"] == 4.0
    assert read["provenance"]["missing"] == ["Nothing was measured."]


def test_tables_are_aligned_and_tell_what_is_missing() -> None:
    heard = hear(cases()[0], {"crossfade": blend}, None)
    base = row_of(("direct", "crossfade", "linear"), 3.0, 2.0, (0.0, 0.5, 1.0))
    text = tables(
        Evaluation(provenance(), truths=tuple(rows("drive", heard)), pairs=(base,),
                   summaries=summarise([base]))
    )  # fmt: skip
    assert text.endswith("Nothing was measured.")
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split()[:4] == ["family", "at", "method", "LSD/dB"]
    assert len(table) == 4 and len({len(line) for line in table}) == 1


def test_ways_are_asked_for_their_place_at_every_position() -> None:
    asked = []

    def at(position: float) -> WayPoint:
        asked.append(position)
        return WayPoint(position, 0.0, 0.0, 0.0, 0.0, position)

    row = travel(Pairing(fresh_tones(), "clean", "twin", ""), Route("p", "l", at), "m", blend)
    assert tuple(asked) == POSITIONS == row.positions
