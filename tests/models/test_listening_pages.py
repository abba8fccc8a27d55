"""The listening pages in a real browser: blind, exact, gapless, and saved as they were answered."""

import base64
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy import stats

from models.evaluate.listening import (
    ANCHOR,
    LOUDNESS_LUFS,
    MOST_SOUNDS,
    Stimulus,
    dulled,
    excerpt,
    levelled,
    write_listening,
)
from models.evaluate.result import Evaluation, Sound
from models.evaluate.scores import read_scores
from models.quality import loudness_lufs
from tests.models.browser import Browser, browser
from tests.models.evaluate_fixture import RATE_HZ, make_evaluation, pluck

TEXT = "document.querySelector('main').innerText"
PICK = """(() => {
  element('comparison').selectedIndex = [...element('comparison').options]
    .findIndex((one) => one.text.startsWith('stage against truth'));
  element('comparison').onchange();
  element('trials').value = 16;
  element('listener').value = 'tester';
})()"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("listening")
    write_listening(make_evaluation(made, 0.45), made)
    return made


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def abx(directory: Path, shown: Browser) -> Browser:
    return opened(shown, directory / "abx.html")


@pytest.fixture
def acr(directory: Path, shown: Browser) -> Browser:
    return opened(shown, directory / "acr.html")


def opened(page: Browser, file: Path) -> Browser:
    page.errors.clear()
    page.requests.clear()
    page.open(file, before="localStorage.clear()")
    return page


def content(directory: Path) -> dict[str, Any]:
    text = (directory / "listening.js").read_text("utf-8")
    return dict(json.loads(text.removeprefix("const LISTENING = ").rstrip(";\n")))


def samples(directory: Path) -> dict[str, Any]:
    return {
        name: soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])), dtype="float32")[0]
        for name, sound in content(directory)["sounds"].items()
    }


# What is heard.


def test_switching_goes_on_at_the_same_place_without_a_click(abx: Browser) -> None:
    heard, one, other = abx.run("""(async () => {
      const rate = 48000, context = new OfflineAudioContext(1, rate / 2, rate);
      const buffer = (hz, level) => {
        const made = new AudioBuffer({ length: rate / 5, sampleRate: rate });
        made.getChannelData(0).forEach((_, i, data) => {
          data[i] = level * Math.sin(2 * Math.PI * hz * i / rate); });
        return made;
      };
      const A = buffer(200, 0.5), B = buffer(315, 0.3), switcher = new Switcher(context);
      switcher.load({ A, B, X: B });
      switcher.start(true);
      switcher.choose("X", 0.1);
      switcher.choose("B", 0.102);  // in the middle of the ramp
      switcher.choose("A", 0.3);
      const heard = await context.startRendering();
      return [heard, A, B].map((made) => [...made.getChannelData(0)]); })()""")
    at = np.arange(len(heard)) - 480  # it starts 10 ms after the order
    looped_a, looped_b = (np.asarray(sound)[at % len(sound)] for sound in (one, other))
    times_s = np.arange(len(heard)) / RATE_HZ
    start = np.interp(times_s, (0.01, 0.015), (0.0, 1.0))
    share = np.interp(times_s, (0.1, 0.105, 0.3, 0.305), (0.0, 1.0, 1.0, 0.0))
    # X and B are one sound: half way from A to X the order comes for B, and all gains stay 1.
    early = np.interp(times_s, (0.1, 0.102, 0.107), (0.0, 0.4, 1.0))
    share = np.where(times_s < 0.2, early, share)
    expected = start * ((1 - share) * looped_a + share * looped_b)
    np.testing.assert_allclose(heard, expected, atol=2e-3)


def test_x_is_the_very_sound_it_stands_for(abx: Browser) -> None:
    abx.run(PICK)
    abx.run("begin()")
    assert abx.run("(switcher.buffers.X === switcher.buffers.A)"
                   " !== (switcher.buffers.X === switcher.buffers.B)")  # fmt: skip
    assert (
        abx.run("switcher.buffers.A.length === switcher.buffers.B.length && context.sampleRate")
        == RATE_HZ
    )
    abx.run("end(false)")


def test_sounds_are_equally_loud_equally_long_and_whole(directory: Path) -> None:
    found = samples(directory)
    assert len({len(sound) for sound in found.values()}) == 1
    loudness = [loudness_lufs(sound[None], RATE_HZ) for sound in found.values()]
    assert np.ptp(loudness) < 0.02
    assert max(loudness) <= LOUDNESS_LUFS + 0.02
    assert max(np.abs(sound).max() for sound in found.values()) < 1.0
    assert all(abs(sound[0]) < 1e-3 and abs(sound[-1]) < 1e-2 for sound in found.values())


def test_a_peak_that_would_clip_lowers_all(directory: Path) -> None:
    spiky = 1e-3 * pluck(1.0, 196.0)
    spiky[0, ::12000] = 1.0
    calm = pluck(1.0, 98.0)
    both = levelled([Stimulus("c", 0.5, "x", spiky), Stimulus("c", 0.5, "y", calm)], RATE_HZ)
    assert max(np.abs(one.sound).max() for one in both) <= 0.981
    first, second = (loudness_lufs(one.sound, RATE_HZ) for one in both)
    assert first == pytest.approx(second, abs=0.02)
    silent = levelled([Stimulus("c", 0.5, "x", np.zeros((1, RATE_HZ), np.float32))], RATE_HZ)
    assert not silent[0].sound.any()


def test_the_loudest_four_seconds_are_taken() -> None:
    sound = np.full(10 * RATE_HZ, 0.01, np.float32)
    sound[3 * RATE_HZ : 7 * RATE_HZ] = 0.5
    assert excerpt(sound, RATE_HZ) == slice(3 * RATE_HZ, 7 * RATE_HZ)
    assert excerpt(sound[:100], RATE_HZ) == slice(0, 100)


def test_the_low_anchor_has_no_treble() -> None:
    noise = np.random.default_rng(0).standard_normal((1, RATE_HZ)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(dulled(noise, RATE_HZ)[0]))
    assert spectrum[:3000].mean() > 100 * spectrum[5000:].mean()


def test_beyond_the_limit_whole_cases_are_left_out(tmp_path: Path) -> None:
    made = make_evaluation(tmp_path, 0.45)
    case = [one for one in made.sounds if one.case == "jc → deluxe"]
    many = tuple(
        Sound(f"case {number}", one.role, one.method, one.position, one.file)
        for number in range(MOST_SOUNDS)
        for one in case
    )
    write_listening(Evaluation(made.provenance, sounds=many), tmp_path)
    found = content(tmp_path)["sounds"].values()
    assert len(found) == 6 * (MOST_SOUNDS // 6)  # two ends, three methods, an anchor


def test_cases_with_and_without_a_truth_take_turns(tmp_path: Path) -> None:
    made = make_evaluation(tmp_path, 0.45)
    known = [one for one in made.sounds if one.case == "drive: tanh"]
    other = [one for one in made.sounds if one.case == "jc → deluxe"]
    many = tuple(replace(one, case=f"known {number}") for number in range(12) for one in known)
    write_listening(Evaluation(made.provenance, sounds=(*many, *other)), tmp_path)
    found = content(tmp_path)["sounds"].values()
    cases = list(dict.fromkeys(one["case"] for one in found))
    assert cases[:3] == ["known 0", "jc → deluxe", "known 1"]
    assert len(found) <= MOST_SOUNDS


def test_sounds_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    made = make_evaluation(tmp_path, 0.45)
    soundfile.write(tmp_path / made.sounds[1].file, np.zeros(999), RATE_HZ)
    with pytest.raises(ValueError, match=r"'drive: tanh'.*expected one of each"):
        write_listening(made, tmp_path)
    assert not (tmp_path / "abx.html").exists()


# Whole sessions.


def answer(page: Browser, right: bool) -> None:
    """One trial by keyboard alone; the buffers tell what no page shows."""
    turn = page.run("element('turn').textContent")
    if not page.run("switcher.playing"):
        page.press(" ")
        page.wait("switcher.playing")
    for key in ("b", "x"):
        page.press(key)
    is_a = page.run("switcher.buffers.X === switcher.buffers.A")
    page.press("ArrowLeft" if is_a == right else "ArrowRight")
    page.wait(f"element('test').hidden || element('turn').textContent !== {json.dumps(turn)}")


def test_abx_session_by_keyboard(abx: Browser, tmp_path: Path) -> None:
    abx.run(PICK)
    abx.run("element('begin').click()")
    abx.wait("!element('test').hidden")
    abx.press("ArrowLeft")  # before anything was heard: no answer
    assert abx.run("session.trials.length") == 0
    for turn in range(16):
        shown = abx.run(TEXT)
        assert f"Trial {turn + 1} of 16" in shown
        assert "right" not in shown.lower().replace("what was right is shown", "")
        assert abx.run("localStorage.length") == 0
        answer(abx, right=turn % 4 != 1)
    shown = abx.run(TEXT)
    assert "12 of 16 right" in shown
    p = stats.binomtest(12, 16, 0.5, alternative="greater").pvalue
    assert f"p = {p:.3f}" in shown
    abx.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    abx.run("element('save').click()")
    end = time.monotonic() + 30.0
    while not (files := list(tmp_path.glob("*.json"))):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    (row,) = read_scores(files).abx
    assert (row.first, row.second, row.trials, row.correct) == ("stage", "truth", 16, 12)
    assert row.p == pytest.approx(p)
    saved = json.loads(files[0].read_text("utf-8"))
    assert [trial["correct"] for trial in saved["trials"]] == [turn % 4 != 1 for turn in range(16)]
    assert saved["listener"] == "tester" and saved["evaluation"]["seed"] == 7
    assert abx.run("JSON.parse(localStorage.getItem('purga-abx'))") == [saved]
    assert abx.errors == []


def test_abx_stopped_early_has_no_p(abx: Browser) -> None:
    abx.run(PICK)
    abx.run("begin()")
    answer(abx, right=True)
    abx.run("element('stop').click()")
    shown = abx.run(TEXT)
    assert "1 of 1 right" in shown and "has no p" in shown and "p =" not in shown
    assert abx.run("stored()[0].complete") is False


@pytest.mark.parametrize("trials", ["4", "101", "7.5", ""])
def test_abx_takes_five_to_a_hundred_trials(abx: Browser, trials: str) -> None:
    abx.run(f"element('trials').value = '{trials}'")
    abx.run("begin()")
    assert abx.run("element('test').hidden")


def test_abx_verdict_claims_no_more_than_it_knows(abx: Browser) -> None:
    none = " ".join(abx.run("verdict(8, 16, true)"))
    assert "No difference was shown (12 right" in none and "no proof" in none
    heard = " ".join(abx.run("verdict(16, 16, true)"))
    assert "p = 0.000015" in heard.replace("1.5e-5", "0.000015") and "repeat" in heard
    assert "p ≤ 0.05" in heard


def test_acr_session_by_keyboard(acr: Browser, tmp_path: Path) -> None:
    acr.run("element('cases').value = 1")
    acr.run("element('begin').click()")
    acr.wait("!element('test').hidden")
    scale = {"stage": 4, "truth": 5, "tone itself": 5, "crossfade": 2, ANCHOR: 1,
             "direct + crossfade": 2, "drive + crossfade": 3, "drive + stage": 4}  # fmt: skip
    order = acr.run("order.map(([name, practice]) => [LISTENING.sounds[name].method, practice])")
    kinds = {method for method, practice in order if practice}
    assert ANCHOR in kinds and "tone itself" in kinds
    practice = [practice for _, practice in order]
    assert practice == sorted(practice, reverse=True)
    for turn, (method, _) in enumerate(order):
        acr.press("5")  # not heard yet: no rating, no way on
        assert acr.run("!rating() && element('next').disabled && choices()[0].disabled")
        assert method not in acr.run(TEXT)
        acr.press(" ")
        acr.wait("whole")
        acr.press(str(scale[method]))
        acr.press("Enter")
        acr.wait(f"session.ratings.length === {turn + 1} && element('play').textContent === 'Play'"
                 " || !element('result').hidden")  # fmt: skip
    rows = acr.run("[...element('scores').rows].map((row) =>"
                   " [...row.cells].slice(0, 3).map((cell) => cell.textContent))")  # fmt: skip
    kept = [method for method, practice in order if not practice]
    assert rows[-1] == [ANCHOR, "1", "1.00"]
    assert {row[0]: (int(row[1]), float(row[2])) for row in rows} == {
        method: (kept.count(method), float(scale[method])) for method in kept
    }
    file = tmp_path / "acr.json"
    file.write_text(json.dumps(acr.run("stored()")), "utf-8")
    found = {row.method: (row.ratings, row.mean) for row in read_scores([file]).opinions}
    assert found == {method: (kept.count(method), scale[method]) for method in kept}
    assert acr.errors == []


def test_acr_orders_differ_and_hold_each_sound_once(acr: Browser) -> None:
    orders = acr.run("Array.from({ length: 6 }, () => sequence().filter(([, practice]) =>"
                     " !practice).map(([name]) => name))")  # fmt: skip
    items = acr.run("LISTENING.rating.items")
    assert all(sorted(order) == sorted(items) for order in orders)
    assert len({tuple(order) for order in orders}) == 6


def test_a_page_without_its_sounds_says_so(directory: Path, shown: Browser, tmp_path: Path) -> None:
    (tmp_path / "abx.html").write_bytes((directory / "abx.html").read_bytes())
    shown.open(tmp_path / "abx.html")
    assert "listening.js, which holds the sounds, is missing" in shown.run(TEXT)


def test_a_session_survives_a_browser_that_stores_nothing(abx: Browser) -> None:
    abx.run("Storage.prototype.setItem = () => { throw new Error('full'); }")
    abx.run(PICK)
    abx.run("begin()")
    answer(abx, right=False)
    abx.run("end(false)")
    assert "save the file now" in abx.run(TEXT)


def test_nothing_is_asked_of_a_network(directory: Path, shown: Browser) -> None:
    shown.requests.clear()
    for name in ("abx.html", "acr.html"):
        shown.open(directory / name)
    assert shown.requests and all(
        one.startswith((directory.absolute().as_uri(), "data:")) for one in shown.requests
    )


def test_everything_that_is_used_has_a_name(directory: Path, shown: Browser) -> None:
    for name in ("abx.html", "acr.html"):
        shown.open(directory / name)
        tree = shown.send("Accessibility.getFullAXTree")["nodes"]
        for node in tree:
            if node.get("role", {}).get("value") in ("button", "combobox", "textbox", "spinbutton"):
                assert node["name"]["value"], (name, node)
