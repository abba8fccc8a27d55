"""``python -m build train-adapter``: learn a low-rank adapter for a tone from recordings of it."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from device.files import read_sound_at
from models.command import OURS, PackageMissingError
from models.errors import ModelError
from models.music2latent.adapters import write_adapter
from models.music2latent.checkpoint import SAFETENSORS, read_weights
from models.music2latent.spectrum import spectra_of
from models.music2latent.stream import NETWORK_RATE_HZ

JUDGED_SEED = 2**31
"""Of the noise that what was learnt is judged under; no training draws it."""


def train(given: argparse.Namespace) -> dict[str, object]:
    """Read, learn, write; what came of it. Raises ``PurgaError``."""
    try:
        import torch

        from models.music2latent.adapters_train import AdapterTraining, Plan
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        raise PackageMissingError(
            f"The package {error.name} is not installed; deploy/host-setup music2latent installs "
            "it (CC BY-NC 4.0: not for commercial use)."
        ) from error
    if given.out.suffix != SAFETENSORS:
        raise ModelError(f"{given.out}: an adapter's name must end in {SAFETENSORS}.")
    if given.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("--device cuda was given, but there is no GPU that torch can use.")
    torch.set_num_threads(given.threads)
    plan = Plan(
        rank=given.rank,
        alpha=given.rank if given.alpha is None else given.alpha,
        steps=given.steps,
        seed=given.seed,
        window_frames=given.window,
        rate=given.rate,
    )
    plan.check()
    weights = read_weights(given.checkpoint)
    notes: list[str] = []
    sounds = [read_sound_at(file, NETWORK_RATE_HZ, notes) for file in given.tone]
    for note in notes:
        print(note)
    learnt_from = [spectra_of(each)[0] for each in sounds]
    training = AdapterTraining(weights, learnt_from, plan, given.device)
    before = training.judge(JUDGED_SEED)
    with tqdm(total=plan.steps, desc="training", unit="step") as bar:
        while training.step < plan.steps:
            bar.set_postfix(distance=f"{training.advance():.4f}", refresh=False)
            bar.update()
    after = training.judge(JUDGED_SEED)
    seconds = sum(each.shape[1] for each in sounds) / NETWORK_RATE_HZ
    note = f"{', '.join(file.name for file in given.tone)}; {seconds:.1f} s; {plan.steps} steps"
    write_adapter(training.adapter(note), given.out)
    return {
        "file": str(given.out),
        "rank": plan.rank,
        "steps": plan.steps,
        "seed": plan.seed,
        "distance_before": before,
        "distance_after": after,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0. Raises ``PurgaError``, with nothing written."""
    parser = argparse.ArgumentParser(
        prog="python -m build train-adapter",
        description="Learn a low-rank adapter of the studio engine's decoder for a tone, from "
        "recordings of that tone. The weights themselves stay as they are.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="the weights")
    parser.add_argument("--tone", type=Path, required=True, nargs="+", metavar="RECORDING")
    parser.add_argument("--out", type=Path, required=True, help="adapter to write, .safetensors")
    parser.add_argument("--rank", type=int, default=8, help="0 learns nothing (default 8)")
    parser.add_argument("--alpha", type=float, help="weight of what is learnt (default the rank)")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same adapter")
    parser.add_argument("--window", type=int, default=16, help="frames learnt at once (default 16)")
    parser.add_argument("--rate", type=float, default=1e-3, help="step of the optimiser")
    parser.add_argument("--threads", type=int, default=1, help="one is as fast as two, mostly")
    parser.add_argument(
        "--device",
        default="cpu",
        choices=("cpu", "cuda"),
        help="cuda is fast, but not repeatable to the bit",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args(arguments)
    if given.threads < 1 or given.seed < 0:
        parser.error("expected at least one thread and a seed of 0 or more")
    made = train(given)
    print(
        f"{made['file']}: rank {made['rank']}, distance {made['distance_before']:.4f} before and "
        f"{made['distance_after']:.4f} after {made['steps']} steps, under noise not learnt from"
    )
    if given.json:
        print(json.dumps(made))
    return 0
