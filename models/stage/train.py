"""Training the stage network: material, steps, and the file that the pedal plays, in one command.

``python -m models train`` draws the material once, goes on where it was stopped, and writes
``stage.onnx``. Every step's batch depends on the seed and the step's number only.
"""

import argparse
import copy
import ctypes
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from models.errors import ModelError, PurgaError
from models.stage.colour import SHAPE_TAPS, TRAIT_BANDS, TRAIT_ROWS, WHITEN_TAPS, colour_of
from models.stage.graph import stage_onnx
from models.stage.loss import Objective
from models.stage.material import make_dataset
from models.stage.model import STAGE_FILE
from models.stage.network import StageNetwork
from models.stage.shape import BLOCK_FRAMES, Shape
from models.stage.split import REAL_AUDIO, read_split

SEGMENT_FRAMES = 704 * BLOCK_FRAMES
WARM_FRAMES = 192 * BLOCK_FRAMES
"""The network starts from silence; so much is played before anything is judged."""

_BATCH = 8
_RATE, _RATE_LAST = 4e-3, 0.02
_WARM_STEPS = 50
_DOUBT_FROM = 0.3  # of all steps; from the start the gate would shut before anything is learnt
_CHECKPOINT_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What a training is: another plan in the same folder is refused."""

    steps: int = 8000
    cases: int = 2400
    seconds: float = 1.6
    seed: int = 1


class Material:
    """Drawn cases with their colours, read where they lie."""

    def __init__(self, folder: Path) -> None:
        self._arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("a", "b", "truths", "positions")
        }
        self._colours = _colours(folder, self._arrays)

    def batch(self, rng: np.random.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        """What the network hears, and the truth of the frames that are judged."""
        cases, frames = self._arrays["a"].shape
        which = rng.integers(cases, size=_BATCH)
        starts = rng.integers(frames - SEGMENT_FRAMES, size=_BATCH)
        places = rng.integers(self._arrays["positions"].shape[1], size=_BATCH)

        def cut(name: str) -> Tensor:
            pieces = [
                self._arrays[name][case, start : start + SEGMENT_FRAMES]
                for case, start in zip(which, starts, strict=True)
            ]
            return torch.from_numpy(np.stack(pieces))[:, None]

        truth = [
            self._arrays["truths"][case, place, start + WARM_FRAMES : start + SEGMENT_FRAMES]
            for case, place, start in zip(which, places, starts, strict=True)
        ]
        positions = torch.from_numpy(self._arrays["positions"][which, places])[:, None, None]
        colours = [torch.from_numpy(part[which]) for part in self._colours]
        return (cut("a"), cut("b"), positions, *colours), torch.from_numpy(np.stack(truth))


def _colours(folder: Path, arrays: dict[str, Any]) -> list[Any]:
    """The colour of every case, found once and kept beside the material."""
    kept = folder / "colours.npz"
    cases = len(arrays["a"])
    if kept.is_file():
        with np.load(kept) as colours:
            return [colours[name] for name in ("whiten", "shape", "traits")]
    found = [
        np.zeros((cases, WHITEN_TAPS), np.float32),
        np.zeros((cases, SHAPE_TAPS), np.float32),
        np.zeros((cases, TRAIT_ROWS, 2 * TRAIT_BANDS), np.float32),
    ]
    for case in tqdm(range(cases), desc="colours", unit="case"):
        colour = colour_of(arrays["a"][case : case + 1], arrays["b"][case : case + 1])
        for part, value in zip(found, (colour.whiten, colour.shape, colour.traits), strict=True):
            part[case] = value
    np.savez(kept, whiten=found[0], shape=found[1], traits=found[2])
    return found


class Training:
    """A network on its way: weights, their running mean, and the step."""

    def __init__(self, plan: Plan, shape: Shape, device: str) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = device
        self.network = StageNetwork(shape).to(device)
        self.mean = copy.deepcopy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=1e-4
        )
        self.step = 0

    def advance(self, material: Material) -> float:
        """One step; the mean distance over the crossfade's, of this batch."""
        rng = np.random.default_rng([self.plan.seed, self.step])
        heard, truth = material.batch(rng)
        heard, truth = tuple(part.to(self.device) for part in heard), truth.to(self.device)
        a, b, position = heard[:3]
        blend = ((1.0 - position) * a + position * b)[:, 0, WARM_FRAMES:]
        sounding = truth.square().mean(-1) > 1e-5
        objective = Objective(blend[sounding], truth[sounding])
        self.network.doubting = self.step >= _DOUBT_FROM * self.plan.steps
        made: Tensor = self.network(*heard)
        loss, distance = objective(made[sounding, 0, WARM_FRAMES:])
        for group in self.optimiser.param_groups:
            group["lr"] = _RATE * self._pace()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        share = 1.0 - min(0.995, self.step / (self.step + 20))
        with torch.no_grad():
            pairs = zip(self.mean.parameters(), self.network.parameters(), strict=True)
            for mean, weight in pairs:
                mean.lerp_(weight, share)
        return float(distance.sum() / objective.blend_db[0].sum())

    def _pace(self) -> float:
        fall = 0.5 + 0.5 * math.cos(math.pi * self.step / self.plan.steps)
        return min(1.0, (self.step + 1) / _WARM_STEPS) * (_RATE_LAST + (1.0 - _RATE_LAST) * fall)

    def save(self, file: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "plan": asdict(self.plan),
            "shape": asdict(self.network.shape),
            "step": self.step,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        beside = file.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(file)

    def load(self, file: Path) -> None:
        """Go on from a checkpoint. Raises ``ModelError`` for another plan's or a damaged one."""
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            plan, shape = state["plan"], state["shape"]
        except Exception as error:  # a damaged pickle raises nearly anything
            raise ModelError(
                f"{file}: the checkpoint is damaged ({type(error).__name__}); delete it."
            ) from error
        if plan != asdict(self.plan) or shape != asdict(self.network.shape):
            raise ModelError(
                f"{file} belongs to another training ({json.dumps(plan)}, {json.dumps(shape)}); "
                "choose another folder with --out."
            )
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def onnx(self) -> bytes:
        """The network as the pedal plays it: the running mean of its weights."""
        weights = {name: value.cpu().numpy() for name, value in self.mean.state_dict().items()}
        return stage_onnx(self.network.shape, weights)


def train(plan: Plan, out: Path, audio: Path, target: Path, device: str, shape: Shape) -> None:
    """Train to the end of the plan, from where ``out`` was left, and write ``target``."""
    split = read_split(audio)
    folder = make_dataset(out / "material", split, plan.cases, plan.seconds, plan.seed)
    material = Material(folder)
    training = Training(plan, shape, device)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.is_file():
        training.load(checkpoint)
    saved = time.monotonic()
    recent: list[float] = []
    with tqdm(total=plan.steps, initial=training.step, desc="training", unit="step") as bar:
        while training.step < plan.steps:
            recent = [*recent[-199:], training.advance(material)]
            bar.set_postfix(ratio=f"{np.mean(recent):.3f}", refresh=False)
            bar.update()
            if time.monotonic() - saved > _CHECKPOINT_S:
                training.save(checkpoint)
                saved = time.monotonic()
    training.save(checkpoint)
    beside = target.with_suffix(".new")
    beside.write_bytes(training.onnx())
    beside.replace(target)
    print(f"{target}: {target.stat().st_size / 1e3:.0f} kB after {training.step} steps")


def _keep_memory() -> None:
    """Tell glibc to keep what is freed: handing 50 MB back at every step takes half the time."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((-3, 1 << 25), (-1, 1 << 30), (-2, 1 << 28)):
            libc.mallopt(option, value)
    except OSError:
        pass  # another C library has its own ways


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 0, or 2 with one sentence for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m models train", description="Train the stage network."
    )
    parser.add_argument("--out", type=Path, default=Path("out/train"), help="working folder")
    parser.add_argument("--audio", type=Path, default=REAL_AUDIO, help="folder of real audio")
    parser.add_argument("--onnx", type=Path, default=STAGE_FILE, help="file to write")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--cases", type=int, default=Plan.cases, help="cases of material to draw")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=1, help="one is as fast as two, mostly")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    if given.steps < 1 or given.cases < 1 or given.threads < 1:
        parser.error("expected at least one step, one case and one thread")
    torch.set_num_threads(given.threads)
    _keep_memory()
    plan = Plan(steps=given.steps, cases=given.cases, seed=given.seed)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        train(plan, given.out, given.audio, given.onnx, given.device, Shape())
    except PurgaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
