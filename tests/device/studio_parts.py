"""Who computes the studio sound in tests: codecs and peers that do exactly what they are told."""

from pathlib import Path

import numpy as np
import onnx

from device.sound.morph import Crossfade, MorphEngine, Studio
from device.sound.morph.studio import StudioTiming
from models.manifest import Bundle, Kind, Precision, write_bundle
from models.morph import Positions
from models.music2latent.architecture import TINY, random_weights
from models.music2latent.graphs.decoder import decoder_onnx
from models.music2latent.graphs.encoder import encoder_onnx
from models.units import Audio
from tests.build.bundles import CERTIFICATE, facts, golden_of

RATE_HZ = 48000
PERIOD = 64
TIMING = StudioTiming(stream_frames=1500, hop_frames=600)


class ScriptedPeer:
    """Answers each period with ``gain`` times tone A, ``lag_periods`` later, unless told not to.

    ``replies`` is what waits to be received: ``(generation, first frame, sound)``.
    """

    def __init__(self, gain: float = -1.0, lag_periods: int = 0) -> None:
        self.gain, self.lag_periods = np.float32(gain), lag_periods
        self.alive, self.silent, self.frozen = True, False, False
        """Somebody is there; who computes nothing; whose replies are on their way."""
        self.lost = self.refused = self.foreign = 0
        self.generation = self.frame = 0
        self.sent: list[tuple[int, int, Audio, Audio, Positions]] = []
        self.replies: list[tuple[int, int, Audio]] = []
        self.sound = np.zeros((1, 4096), np.float32)
        self.received = 0
        self._due: list[tuple[int, tuple[int, int, Audio]]] = []

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        self.prepared = (rate_hz, period_frames)

    def send(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        period = len(self.sent)
        self.sent.append((generation, frame, a.copy(), b.copy(), position.copy()))
        if self.alive and not self.silent:
            self._due.append((period + self.lag_periods, (generation, frame, self.gain * a)))
        while self._due and self._due[0][0] <= period:
            self.replies.append(self._due.pop(0)[1])

    def receive(self) -> int:
        self.received += 1
        if self.frozen or not self.replies:
            return 0
        self.generation, self.frame, sound = self.replies.pop(0)
        frames = sound.shape[1]
        self.sound[:, :frames] = sound
        return frames

    def behind(self) -> bool:
        return False

    def wait(self, patience_s: float) -> bool:
        return True


def prepared(
    peer: ScriptedPeer, stand_in: MorphEngine | None = None, period: int = PERIOD
) -> Studio:
    """A studio engine that is ready to play."""
    engine = Studio(stand_in or Crossfade(), peer, TIMING)
    engine.prepare(RATE_HZ, period)
    return engine


def play(
    engine: MorphEngine, a: Audio, b: Audio, knob: Positions | float, period: int = PERIOD
) -> Audio:
    """Whole periods through a prepared engine, the knob being the position."""
    frames = a.shape[1] // period * period
    positions = np.broadcast_to(np.asarray(knob, np.float32), (a.shape[1],)).copy()
    out = np.zeros((1, frames), np.float32)
    for start in range(0, frames, period):
        piece = slice(start, start + period)
        engine.process(a[:, piece], b[:, piece], positions[piece], out[:, piece])
    return out


def steepest(sound: Audio) -> float:
    """Largest step from one sample to the next."""
    return float(np.abs(np.diff(sound[0])).max())


def tiny_bundle(folder: Path) -> Bundle:
    """A bundle of the whole architecture with few channels and random weights, in fp32."""
    weights = random_weights(TINY, 1)
    models: dict[tuple[Kind, Precision], onnx.ModelProto] = {
        ("encoder", "fp32"): encoder_onnx(weights, 16),
        ("decoder", "fp32"): decoder_onnx(weights, 16),
    }
    opset = models["encoder", "fp32"].opset_import[0].version
    of = facts(name="tiny", bins=1024, latent_channels=64, opset={"fp32": opset})
    written = {which: model.SerializeToString() for which, model in models.items()}
    certificate = CERTIFICATE.model_copy(update={"precisions": {}})
    return write_bundle(folder, of, written, golden_of(models, of), certificate)
