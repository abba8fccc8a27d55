"""What the control loop tells the world: the report, the journal, and the service manager.

Looked at ten times a second, and at once when the states decide something new; a report is written
once a second and when something a player would notice has changed.
"""

import os
import time
from pathlib import Path

from device.plain import asdict
from device.processes.control import ControlLoop
from device.processes.control_report import LEARN_REQUEST, write_report
from device.processes.journal import Journal
from device.processes.message import last_message
from device.processes.watchdog import Watchdog
from device.states import Decision
from device.unit_config import FileChange

LOOK_S = 0.1
REPORT_S = 1.0
SHOWN_TRANSITIONS = 8
LONGEST_LEARNING_S = 600.0


class Watch:
    """Reports, logs, and looks for a command's request to learn."""

    def __init__(
        self,
        report: Path,
        journal: Journal,
        watchdog: Watchdog | None = None,
        *,
        config_problem: str = "",
        file: FileChange | None = None,
        notes: tuple[str, ...] = (),
        meters: Path | None = None,
    ) -> None:
        """``watchdog`` tells the service manager that the loop turns.

        ``meters`` say why there is no interface: ``audio`` itself logs nothing while it plays.

        ``config_problem`` is why ``pedal.toml`` could not be used, ``notes`` what else was found
        at the start; both are shown for as long as the process runs, which is until ``file`` has
        changed where it could not be used.
        """
        self._report = report
        self._request = report.with_name(LEARN_REQUEST)
        self._journal = journal
        self._watchdog = watchdog or Watchdog({})
        self._ready = False
        self._config_problem = config_problem
        self._file = file
        self._notes = notes
        self._meters = meters
        self._look_s = self._report_s = float("-inf")
        self._noticed: tuple[object, ...] = ()
        self._told: set[str] = set()
        self._unwritten = ""
        self._signed: Decision | None = None
        self._asked_s: float | None = None

    def turn(self, loop: ControlLoop, now_s: float, changed: bool) -> None:
        """Look, where that is due or the states decided something new."""
        if now_s < self._look_s and not changed:
            return
        self._look_s = now_s + LOOK_S
        self._sign(loop)
        loop.learn_asked = self._learn_asked(now_s)
        self._tell_transitions(loop)
        state, decision = loop.state, loop.power.decision
        noticed = (
            *(state.preset, state.bypass, state.mute, loop.audio, loop.power.held),
            *(decision.state, decision.ceiling, decision.warnings),
            *(loop.hands.moved(), loop.hands.learning),
        )
        if noticed != self._noticed or now_s - self._report_s >= REPORT_S:
            self._noticed, self._report_s = noticed, now_s
            problems = self._problems(loop)
            self._tell_problems(problems)
            if self._config_problem and self._file is not None and self._file.changed():
                self._journal.say("pedal.toml has changed; starting again with it", "notice")
                raise SystemExit(0)
            self._write(loop, now_s, problems)

    def finish(self, loop: ControlLoop) -> None:
        """Say the last things, and keep what was asked for."""
        self._watchdog.stopping()
        self._tell_transitions(loop)
        self._write(loop, self._report_s, self._problems(loop))

    def _learn_asked(self, now_s: float) -> bool:
        """Whether a command asks for learning; one that died leaves its request behind."""
        if not os.path.exists(self._request):
            self._asked_s = None
            return False
        if self._asked_s is None:
            self._asked_s = now_s
        return now_s - self._asked_s < LONGEST_LEARNING_S

    def _sign(self, loop: ControlLoop) -> None:
        """Tell the service manager that the loop turns, and in what state it is."""
        if not self._ready:
            self._ready = True
            self._watchdog.ready()
        self._watchdog.alive()
        decision = loop.power.decision
        if decision is not self._signed:
            self._signed = decision
            self._watchdog.status(self._config_problem or f"{decision.state}: {decision.cause}")

    def _tell_transitions(self, loop: ControlLoop) -> None:
        decision = loop.power.decision
        for change in loop.power.states.drain():
            way = change.after
            if change.before != change.after:
                way = f"{change.before} → {change.after}"
            self._journal.say(
                f"{way}: {change.cause}",
                "error" if change.after == "fault" else "notice",
                PURGA_STATE=change.after,
                PURGA_STATE_BEFORE=change.before,
                PURGA_CAUSE=change.cause,
                PURGA_RELAY=int(loop.power.held),
                PURGA_CEILING=decision.ceiling,
            )

    def _problems(self, loop: ControlLoop) -> list[str]:
        told = [self._config_problem] if self._config_problem else []
        told += [*self._notes, *loop.problems()]
        if self._meters is not None and loop.audio == "absent":
            reason = last_message(self._meters)
            told += [f"interface: {reason}"] if reason else []
        return [*told, self._unwritten] if self._unwritten else told

    def _tell_problems(self, problems: list[str]) -> None:
        """Say each once, and when it is over."""
        for problem in problems:
            if problem not in self._told:
                self._journal.say(problem, "warning", PURGA_PROBLEM=problem)
        for problem in self._told.difference(problems):
            self._journal.say(f"over: {problem}", "notice", PURGA_PROBLEM_OVER=problem)
        self._told = set(problems)

    def _write(self, loop: ControlLoop, now_s: float, problems: list[str]) -> None:
        try:
            write_report(self._report, {**_report(loop, now_s), "problems": problems})
            self._unwritten = ""
        except OSError as error:
            self._unwritten = f"{self._report}: cannot be written ({error.strerror or error})"
            loop.disk_full = True
        else:
            loop.disk_full = False


def _report(loop: ControlLoop, now_s: float) -> dict[str, object]:
    """What ``status`` shows and the next process goes on with."""
    state, decision, heartbeat = loop.state, loop.power.decision, loop.heartbeat
    temperatures = asdict(loop.power.temperatures)
    return {
        "pid": os.getpid(),
        "now_s": round(now_s, 3),
        "monotonic_s": round(time.monotonic(), 3),
        "turns": loop.turns,
        "late_turns": loop.late_turns,
        "audio": loop.audio,
        "state": decision.state,
        "cause": decision.cause,
        "relay": loop.power.held,
        "relay_edges": loop.power.edges(),
        "heater": decision.heater,
        "ceiling": decision.ceiling,
        "engine": decision.engine,
        "warnings": list(decision.warnings),
        "position": float(state.position),
        "preset": state.preset,
        "presets": loop.presets,
        "presets_broken": heartbeat.broken,
        "bypass": state.bypass,
        "mute": state.mute,
        **loop.hands.report(),
        "temperatures": temperatures,
        "transitions": [
            {"now_s": round(each.now_s, 3), "from": each.before, "to": each.after}
            | {"cause": each.cause}
            for each in list(loop.power.states.transitions)[-SHOWN_TRANSITIONS:]
        ],
    }
