"""What is seen of a slot while it plays, added up: pure logic, no files and no clock.

Only playing counts. A pedal that is switched off, has no interface or plays something else adds
nothing, neither time nor blame; it goes on with the next boot, for as many boots as it takes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from deploy.trial import unheard
from deploy.trial.unheard import Unheard, UnheardLimits
from deploy.trial.verdict import Figures, Verdict

FORMAT = 1
LONG_AGO_S = 3600.0
"""Playing time before the trial that is enough to know how the pedal was."""

RATES: Mapping[str, str] = {
    "xruns": "the interface lost periods",
    "deadline_misses": "periods took too long",
}
"""Counted also on a healthy pedal, now and then: held against how it was before."""

NEVER: Mapping[str, str] = {
    "tone_nan_periods": "a tone gave what is no number",
    "guard_nan_periods": "the last guard stopped what is no number",
    "path_errors": "the sound path failed",
    "studio_nan": "the studio engine gave what is no number",
}
"""Not one may be counted."""

REJECTED = "banks_rejected"
PLAYING_STATES = frozenset({"warm-up", "ready", "play", "hot"})
HEAT = "the module is about to shut down from heat"
"""How the table of states words it."""


@dataclass(frozen=True)
class WatchLimits:
    """What a slot may do while it is on trial."""

    played_s: float = 600.0
    """Of playing: every preset of an evening's first songs, and long enough for heat to come."""
    xruns: float = 3.0
    """A cable that is plugged makes one; a model that is too slow makes one a second."""
    deadline_misses: float = 50.0
    """Of 450,000 periods in that time; the change of banks itself costs none."""
    as_before: float = 2.0
    """Times the rate of before, beyond these: a pedal that was ill before is not ill of this."""
    restarts: int = 3
    """Of ``audio`` within a boot; people restart things, a model that crashes does so for ever."""
    engine_restarts: int = 5
    """Of the studio engine, which may be started anew for a new bundle and stood in for."""
    fault_s: float = 60.0
    """In the state ``fault`` while ``audio`` turns, for firmware: a wrong plug is found sooner."""
    hot_share: float = 0.5
    """Of the playing time in the state ``hot``, where it was not hot before."""
    unheard: UnheardLimits = field(default_factory=UnheardLimits)


@dataclass(frozen=True)
class Seen:
    """One look at the running pedal."""

    boot: str
    """Which boot of the machine this is."""
    pid: int
    """Of the process that plays."""
    counters: Mapping[str, int]
    """The meters' (``device.processes.meters.COUNTERS``)."""
    period_s: float
    loading: bool = False
    plays: bool = False
    """Whether what is heard is the slot on trial."""
    rejected: str = ""
    """Why ``audio`` has sent this slot's bank back; empty where it has not."""
    broken: str = ""
    """Which of its presets cannot be played, and why."""
    state: str | None = None
    """The pedal's, None where control says nothing."""
    cause: str = ""
    hottest_c: float | None = None
    engine_pid: int = 0
    engine_nan: int = 0


@dataclass(frozen=True)
class Watched:
    """What has been added up so far of one release; everything that is kept."""

    release_sha256: str
    firmware: bool = False
    """Whether it is firmware: then faults count too."""
    played_s: float = 0.0
    counted: Mapping[str, float] = field(default_factory=dict)
    restarts: int = 0
    engine_restarts: int = 0
    engine_nan: int = 0
    fault_s: float = 0.0
    hot_s: float = 0.0
    hottest_c: float | None = None
    boots: int = 0
    rejected: str = ""
    broken: str = ""
    overheated: str = ""
    before_s: float = 0.0
    """Playing time that the rates of before are known from."""
    before: Mapping[str, float] = field(default_factory=dict)
    """What was counted in it."""
    before_hot: bool = False
    before_rejected: str = ""
    """Why ``audio`` had sent back what lay in the slot before, as it still says."""
    last: Mapping[str, object] | None = None
    """The latest look: boot, pid, whether it played, engine, and the counters then."""
    unheard: Unheard = field(default_factory=Unheard)
    """For how long it has not played."""


def begun(release_sha256: str, seen: Seen | None, firmware: bool = False) -> Watched:
    """Begin, while the slot before still plays; ``seen`` says how the pedal is with that one."""
    watched = Watched(release_sha256, firmware)
    if seen is None:
        return watched
    played_s = _playing(seen.counters) * seen.period_s
    share = min(1.0, LONG_AGO_S / played_s) if played_s > 0.0 else 0.0
    return replace(
        watched,
        before_s=played_s * share,
        before={name: seen.counters.get(name, 0) * share for name in RATES},
        before_hot=seen.state == "hot",
        before_rejected=seen.rejected,
        last=_look(seen, plays=False),
        boots=1,
    )


def step(watched: Watched, seen: Seen) -> Watched:
    """Add one look."""
    last = watched.last or {}
    same_boot = last.get("boot") == seen.boot
    same_process = same_boot and last.get("pid") == seen.pid
    played_before = last.get("plays") is True
    engine_before = last.get("engine_pid", 0) if same_boot else 0
    # One that is on its way says nothing; it is compared with the one before.
    engine_pid = seen.engine_pid or engine_before
    watched = replace(
        watched,
        boots=watched.boots + (not same_boot),
        restarts=watched.restarts + (same_boot and not same_process),
        rejected=watched.rejected or _rejected(watched, seen, same_process),
        before_rejected=watched.before_rejected if same_process else "",
        broken=watched.broken or seen.broken,
    )
    plays = seen.plays and not seen.loading
    if plays:
        before = last.get("counters")
        if not last:
            before = seen.counters  # whose it was so far, nobody knows
        elif not same_process or not isinstance(before, Mapping):
            before = {}  # a process that was started since has counted all of it with this slot
        watched = _add_up(watched, seen, before, same_process and played_before)
        if seen.cause.startswith(HEAT) and not watched.before_hot:
            watched = replace(watched, overheated=seen.cause)
        if engine_before and engine_pid != engine_before:
            watched = replace(watched, engine_restarts=watched.engine_restarts + 1)
        if seen.engine_pid and seen.engine_nan:
            watched = replace(watched, engine_nan=max(watched.engine_nan, seen.engine_nan))
    return replace(watched, last={**_look(seen, plays), "engine_pid": engine_pid})


def _rejected(watched: Watched, seen: Seen, same_process: bool) -> str:
    """Why this slot was sent back; not what ``audio`` still says of another release in it."""
    if not same_process or seen.rejected != watched.before_rejected:
        return seen.rejected
    before = (watched.last or {}).get("counters")
    counted = before if isinstance(before, Mapping) else {}
    return seen.rejected if _more(seen.counters, counted, REJECTED) else ""


def _add_up(watched: Watched, seen: Seen, before: Mapping[str, object], goes_on: bool) -> Watched:
    """What was counted since ``before``; ``goes_on``: this slot has played all the while."""
    counted = {**dict.fromkeys((*NEVER, *RATES), 0.0), **watched.counted}
    for name in NEVER:
        counted[name] += _more(seen.counters, before, name)
    if not goes_on:
        # What was lost while it started and loaded is no fault; it is measured from here on.
        return replace(watched, counted=counted)
    for name in RATES:
        counted[name] += _more(seen.counters, before, name)
    periods = max(0, _playing(seen.counters) - _playing(before))
    seconds = periods * seen.period_s
    sounding = seen.state is None or seen.state in PLAYING_STATES
    hottest_c = watched.hottest_c
    if seen.hottest_c is not None:
        hottest_c = seen.hottest_c if hottest_c is None else max(hottest_c, seen.hottest_c)
    return replace(
        watched,
        counted=counted,
        played_s=watched.played_s + (seconds if sounding else 0.0),
        fault_s=watched.fault_s + (seconds if seen.state == "fault" else 0.0),
        hot_s=watched.hot_s + (seconds if seen.state == "hot" else 0.0),
        hottest_c=hottest_c,
    )


def judged(watched: Watched, limits: WatchLimits) -> Verdict | None:
    """What that means; None while there is too little to say.

    Not ok and ``again``: it does not play, so there will hardly be a verdict.
    """
    why = _wrong(watched, limits)
    if why:
        return Verdict(False, why, figures(watched))
    if watched.played_s < limits.played_s:
        why = unheard.given_up(watched.unheard, limits.unheard)
        return Verdict(False, why, figures(watched), again=True) if why else None
    why = f"It has played for {watched.played_s:.0f} s, and nothing went wrong."
    return Verdict(True, why, figures(watched))


def _wrong(watched: Watched, limits: WatchLimits) -> str:
    """What went wrong first, as a sentence; empty where nothing did."""
    if watched.rejected:
        return f"Audio has sent it back: {watched.rejected}"
    if watched.broken:
        return f"A preset of it cannot be played: {watched.broken}"
    for name, what in NEVER.items():
        count = watched.counted.get(name, 0.0)
        if count:
            return f"While it played, {what} {count:.0f} times, and not once is taken."
    if watched.engine_nan:
        return f"The studio engine gave {watched.engine_nan} windows that were no numbers."
    for name, what in RATES.items():
        count, most = watched.counted.get(name, 0.0), allowed(watched, limits, name)
        if count > most:
            return (
                f"While it played, {what} {count:.0f} times in {watched.played_s:.0f} s, at most "
                f"{most:.0f} are taken."
            )
    if watched.restarts > limits.restarts:
        return f"Audio was started again {watched.restarts} times, at most {limits.restarts} are."
    if watched.engine_restarts > limits.engine_restarts:
        return (
            f"The studio engine was started again {watched.engine_restarts} times, at most "
            f"{limits.engine_restarts} are taken."
        )
    if watched.overheated:
        return f"It made the pedal too hot to play: {watched.overheated}."
    hot_s = limits.hot_share * limits.played_s
    if watched.hot_s > hot_s and not watched.before_hot:
        return f"The pedal was hot for {watched.hot_s:.0f} s with it, at most {hot_s:.0f} s are."
    if watched.firmware and watched.fault_s > limits.fault_s:
        return f"The pedal was in fault for {watched.fault_s:.0f} s with it."
    return ""


def allowed(watched: Watched, limits: WatchLimits, name: str) -> float:
    """How often that may be counted by now, by its own limit and by how it was before."""
    rate_hz = watched.before.get(name, 0.0) / watched.before_s if watched.before_s > 0.0 else 0.0
    return float(getattr(limits, name)) + limits.as_before * rate_hz * watched.played_s


def figures(watched: Watched) -> Figures:
    """For the record."""
    found: Figures = {
        "played_s": round(watched.played_s, 1),
        "boots": float(watched.boots),
        "restarts": float(watched.restarts),
        "engine_restarts": float(watched.engine_restarts),
        "unheard_boots": float(watched.unheard.boots),
    }
    found.update({name: float(watched.counted.get(name, 0.0)) for name in (*RATES, *NEVER)})
    if watched.hottest_c is not None:
        found["hottest_c"] = round(watched.hottest_c, 1)
    return found


def packed(watched: Watched) -> bytes:
    """As JSON with a newline at its end."""
    return (json.dumps({"format": FORMAT, **asdict(watched)}, indent=1) + "\n").encode()


def unpacked(content: bytes) -> Watched | None:
    """What ``packed`` wrote; None for anything else: then watching begins anew."""
    try:
        data = json.loads(content)
        if data.pop("format") != FORMAT:
            return None
        if "unheard" in data:
            data["unheard"] = unheard.unpacked(data["unheard"])
        watched = Watched(**data)
        numbers = (watched.played_s, watched.before_s, watched.fault_s, watched.hot_s)
        mappings = (watched.counted, watched.before, watched.last or {})
        texts = (
            watched.release_sha256,
            watched.rejected,
            watched.broken,
            watched.overheated,
            watched.before_rejected,
        )
        whole = (watched.restarts, watched.engine_restarts, watched.engine_nan, watched.boots)
        good = (
            all(isinstance(each, int | float) for each in numbers)
            and all(isinstance(each, dict) for each in mappings)
            and all(isinstance(each, str) for each in texts)
            and all(type(each) is int for each in whole)
            and all(
                isinstance(count, int | float)
                for each in (watched.counted, watched.before)
                for count in each.values()
            )
            and isinstance(watched.hottest_c, int | float | None)
        )
        return watched if good else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _playing(counters: Mapping[str, object]) -> int:
    """Periods in which a preset could be heard."""
    return (
        _count(counters, "periods")
        - _count(counters, "absent_periods")
        - _count(counters, "loading_periods")
    )


def _more(now: Mapping[str, object], before: Mapping[str, object], name: str) -> int:
    return max(0, _count(now, name) - _count(before, name))


def _count(counters: Mapping[str, object], name: str) -> int:
    value = counters.get(name, 0)
    return value if isinstance(value, int) else 0


def _look(seen: Seen, plays: bool) -> dict[str, object]:
    names = ("periods", "absent_periods", "loading_periods", REJECTED, *RATES, *NEVER)
    return {
        "boot": seen.boot,
        "pid": seen.pid,
        "plays": plays,
        "engine_pid": seen.engine_pid,
        "counters": {name: seen.counters.get(name, 0) for name in names},
    }
