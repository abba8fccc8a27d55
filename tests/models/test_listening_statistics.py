"""What the listening pages compute in the browser, against SciPy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.models.browser import Browser, browser

SCRIPT = Path(__file__).resolve().parents[2] / "models/evaluate/templates/statistics.js"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("page") / "empty.html"
    file.write_text(f"<!DOCTYPE html><script>{SCRIPT.read_text('utf-8')}</script>", "utf-8")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        found.open(file)
        yield found


def test_binomial_p_is_that_of_scipy(page: Browser) -> None:
    cases = [(k, n) for n in (1, 2, 5, 10, 16, 25, 50, 100) for k in range(n + 1)]
    cases += [(k, 1000) for k in (0, 1, 499, 500, 531, 600, 999, 1000)]
    ours = page.run(f"{json.dumps(cases)}.map(([k, n]) => statistics.binomialTail(k, n))")
    theirs = [stats.binomtest(k, n, 0.5, alternative="greater").pvalue for k, n in cases]
    np.testing.assert_allclose(ours, theirs, rtol=1e-11)


@pytest.mark.parametrize("wrong", ["-1, 5", "6, 5", "1.5, 5", "0, 0", "3, 1001", "NaN, 5"])
def test_binomial_p_refuses_what_no_test_gives(page: Browser, wrong: str) -> None:
    assert (
        page.run(
            f"(() => {{ try {{ return statistics.binomialTail({wrong}); }}"
            " catch (error) { return error.name; } })()"
        )
        == "RangeError"
    )


def test_power_is_that_of_scipy(page: Browser) -> None:
    for trials in (5, 16, 40):
        need = page.run(f"statistics.criticalCorrect({trials}, 0.05)")
        assert stats.binom.sf(need - 1, trials, 0.5) <= 0.05 < stats.binom.sf(need - 2, trials, 0.5)
        power = page.run(f"statistics.power({trials}, 0.05, 0.7)")
        assert power == pytest.approx(stats.binom.sf(need - 1, trials, 0.7), rel=1e-9)
    assert page.run("statistics.criticalCorrect(4, 0.05)") == 5  # four trials cannot show anything


def test_opinion_score_is_that_of_scipy(page: Browser) -> None:
    rng = np.random.default_rng(0)
    for count in (2, 3, 7, 30, 400):
        ratings = rng.integers(1, 6, count)
        ours = page.run(f"statistics.opinion({ratings.tolist()})")
        low, _ = stats.t.interval(0.95, count - 1, ratings.mean(), stats.sem(ratings))
        assert ours["mean"] == pytest.approx(ratings.mean())
        assert ours["mean"] - ours["half"] == pytest.approx(low, abs=1e-9)
    assert page.run("statistics.opinion([4])") == {"count": 1, "mean": 4, "half": None}


def test_every_order_is_one_way_of_shuffling(page: Browser) -> None:
    orders = page.run("""(() => {
      const orders = [];
      for (const two of [0, 1]) for (const three of [0, 1, 2]) for (const four of [0, 1, 2, 3]) {
        const lots = { 2: two, 3: three, 4: four };
        orders.push(statistics.shuffled([1, 2, 3, 4], (below) => lots[below]).join(""));
      }
      return orders; })()""")
    assert len(orders) == len(set(orders)) == 24


def test_lots_are_even(page: Browser) -> None:
    # The words that would make the first faces likelier are drawn again.
    drawn = page.run("""(() => {
      const words = [0xffffffff, 5], asked = crypto.getRandomValues;
      crypto.getRandomValues = (array) => { array[0] = words.shift(); return array; };
      const lot = statistics.randomIndex(3);
      delete crypto.getRandomValues;
      return [lot, words.length]; })()""")
    assert drawn == [2, 0]
    counts = page.run(
        "(() => { const counts = [0, 0]; for (let i = 0; i < 10000; i += 1)"
        " counts[statistics.randomIndex(2)] += 1; return counts; })()"
    )
    assert min(counts) > 4500  # 10 standard deviations
