"""Reading a .nam capture: untrusted JSON in, a checked network with named weights out."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ModelError
from models.nam import limits
from models.nam.fields import Fields, Place, describe, whole
from models.nam.filters import ConvNet, Linear, read_convnet, read_linear
from models.nam.lstm import Lstm, read_lstm
from models.nam.wavenet import WaveNet, read_shape
from models.nam.wavenet_weights import read_wavenet
from models.nam.weights import Counter, Source, read_weights

DEFAULT_RATE_HZ = 48_000
"""The rate of a capture that states none, as in NeuralAmpModelerPlugin."""

ARCHITECTURES = ("WaveNet", "LSTM", "ConvNet", "Linear", "SlimmableContainer", "Sequential")


@dataclass(frozen=True, eq=False)
class Sequence:
    """Networks in a row, each fed by the one before."""

    parts: "tuple[Network, ...]"

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return self.parts[-1].outputs

    @property
    def receptive_field_frames(self) -> int:
        """Input frames that one output frame depends on."""
        return 1 + sum(part.receptive_field_frames - 1 for part in self.parts)


Network = WaveNet | Lstm | ConvNet | Linear | Sequence


@dataclass(frozen=True, eq=False)
class Capture:
    """A capture, checked and complete.

    ``architecture`` is the one that the file names; ``network`` is what plays, at the size asked
    for. ``loudness_db`` (dB, of the trainer's standard input), ``input_level_dbu`` and
    ``output_level_dbu`` (dBu that stand for full scale) are ``None`` where the file has none.
    ``receptive_field_frames`` counts the frames that one output frame depends on;
    ``prewarm_frames`` of silence settle the network, as the reference does before it plays.
    """

    file: str
    architecture: str
    sample_rate_hz: int
    loudness_db: float | None
    input_level_dbu: float | None
    output_level_dbu: float | None
    network: Network
    receptive_field_frames: int
    prewarm_frames: int


def read_capture(path: str | Path, size: float = 1.0) -> Capture:
    """Read and check a .nam file.

    ``size`` 0…1 selects the size of a slimmable capture; at a breakpoint the larger is taken,
    and a capture of one size ignores it. Raises ``ModelError`` with one sentence (file, place,
    what was found, what was expected) for whatever is wrong with the file, ``ValueError`` for
    a ``size`` outside 0…1.
    """
    if not 0.0 <= size <= 1.0:
        raise ValueError(f"The size of a capture is {size!r}, expected 0 to 1.")
    place = Place(str(path))
    # What overflows or is no number here never settles, and is refused for that when it is loaded.
    with np.errstate(all="ignore"):
        model = _Reader(size).model(_parse(Path(path), place), place, depth=0)
    network = model.network
    if network.outputs != 1:
        raise place.child("config").fault(
            f"a network of {network.outputs} outputs", "one output: the pedal is mono"
        )
    return Capture(
        place.file,
        model.architecture,
        model.rate_hz or DEFAULT_RATE_HZ,
        model.loudness_db,
        model.input_level_dbu,
        model.output_level_dbu,
        network,
        _receptive_field(network),
        _prewarm(network, model.rate_hz or DEFAULT_RATE_HZ),
    )


def _parse(path: Path, place: Place) -> object:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise place.fault("no regular file", "a .nam file")
        if status.st_size > limits.FILE_BYTES:
            raise place.fault(
                f"a file of {status.st_size} bytes", f"at most {limits.FILE_BYTES} bytes"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        if isinstance(error, FileNotFoundError):
            raise ModelError(
                f"{path}: does not exist, expected a .nam file; check its name"
            ) from None
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise place.fault(f"not readable ({reason})", "a .nam file") from None
    try:
        # ValueError covers broken JSON, text that is no UTF-8 and numbers of endless length.
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        found = "nested too deeply" if isinstance(error, RecursionError) else "no complete JSON"
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise place.fault(found + where, "the JSON of a .nam capture") from None


@dataclass(frozen=True)
class _Model:
    architecture: str
    rate_hz: int | None
    loudness_db: float | None
    input_level_dbu: float | None
    output_level_dbu: float | None
    network: Network


class _Reader:
    """Reads a model object, and the models inside it."""

    def __init__(self, size: float) -> None:
        self._size = size

    def model(self, value: object, place: Place, depth: int) -> _Model:
        """A model object: architecture, config, weights and what is said about them."""
        if depth > limits.DEPTH:
            raise place.fault("a model inside models", f"at most {limits.DEPTH} levels of them")
        fields = Fields(value, place)
        architecture = fields.text("architecture", ARCHITECTURES)
        config = fields.object("config")
        rate_hz = _rate(fields)
        metadata = Fields(fields.raw("metadata", {}), place.child("metadata"))
        network: Network
        if architecture == "SlimmableContainer":
            chosen = self._submodel(config, rate_hz, depth)
            network = chosen.network
            rate_hz = rate_hz or chosen.rate_hz
        elif architecture == "Sequential":
            network, rate_hz = self._sequence(config, rate_hz, depth)
            chosen = None
        else:
            network = self._network(architecture, fields, config, rate_hz, depth)
            chosen = None
        levels = [metadata.optional_number(name, -200.0, 200.0) for name in _LEVELS]
        if chosen is not None:
            # A smaller size is trained for itself: what it says of its level counts first.
            own = (chosen.loudness_db, chosen.input_level_dbu, chosen.output_level_dbu)
            levels = [
                mine if mine is not None else level for mine, level in zip(own, levels, strict=True)
            ]
        return _Model(architecture, rate_hz, levels[0], levels[1], levels[2], network)

    def _network(
        self, architecture: str, fields: Fields, config: Fields, rate_hz: int | None, depth: int
    ) -> Network:
        condition = None
        if architecture == "WaveNet" and config.has("condition_dsp"):
            inner = self.model(
                config.raw("condition_dsp"), config.place.child("condition_dsp"), depth + 1
            )
            _check_rate(inner.rate_hz, rate_hz, config.place.child("condition_dsp"))
            condition = inner.network
        counter = Counter(config.place)
        self._walk(architecture, config, counter, condition)
        place = fields.place.child("weights")
        weights = read_weights(fields.raw("weights"), place, counter.needed)
        network = self._walk(architecture, config, weights, condition)
        frames = _prewarm(network, rate_hz or DEFAULT_RATE_HZ)
        work = frames * (counter.dense + 1000 * counter.arrays)
        if work > limits.SETTLING_WORK:
            raise config.place.fault(
                f"a network that needs {work} steps ({frames} frames) to settle",
                f"at most {limits.SETTLING_WORK}",
            )
        return network

    def _walk(
        self, architecture: str, config: Fields, weights: Source, condition: Network | None
    ) -> Network:
        if architecture == "LSTM":
            return read_lstm(config, weights)
        if architecture == "ConvNet":
            return read_convnet(config, weights)
        if architecture == "Linear":
            return read_linear(config, weights)
        shape = read_shape(config)
        expected = 1 if condition is None else condition.outputs
        for index, array in enumerate(shape.arrays):
            if array.condition != expected:
                place = config.place.child("layers").child(index).child("condition_size")
                raise place.fault(str(array.condition), f"{expected}, what the condition has")
        return read_wavenet(shape, self._size, config.place, weights, condition)

    def _submodel(self, config: Fields, rate_hz: int | None, depth: int) -> _Model:
        place = config.place.child("submodels")
        submodels = config.list("submodels", 1, limits.SUBMODELS)
        highest = -1.0
        chosen: _Model | None = None
        for index, entry in enumerate(submodels):
            fields = Fields(entry, place.child(index))
            limit = fields.number("max_value", 0.0, 1e6)
            if limit <= highest:
                raise fields.place.child("max_value").fault(
                    describe(limit), f"more than {highest:g}, the one before"
                )
            highest = limit
            # All are read, so that a capture does not break when the size is moved.
            model = self.model(fields.raw("model"), fields.place.child("model"), depth + 1)
            _check_rate(model.rate_hz, rate_hz, fields.place.child("model"))
            if chosen is None and (self._size < limit or index == len(submodels) - 1):
                chosen = model
        if highest < 1.0 or chosen is None:
            raise (
                place.child(len(submodels) - 1)
                .child("max_value")
                .fault(describe(highest), "1 or more in the last submodel")
            )
        return chosen

    def _sequence(
        self, config: Fields, rate_hz: int | None, depth: int
    ) -> tuple[Sequence, int | None]:
        config.whole("weights_version", 2, 2)
        name = "models" if config.has("models") else "layers"
        place = config.place.child(name)
        parts: list[Network] = []
        for index, entry in enumerate(config.list(name, 1, limits.SUBMODELS)):
            inner = place.child(index)
            if isinstance(entry, dict) and "model" in entry:
                entry, inner = entry["model"], inner.child("model")
            model = self.model(entry, inner, depth + 1)
            _check_rate(model.rate_hz, rate_hz, inner)
            rate_hz = rate_hz or model.rate_hz
            parts.append(model.network)
            if model.network.outputs != 1:
                raise inner.fault(f"a network of {model.network.outputs} outputs", "one output")
        return Sequence(tuple(parts)), rate_hz


_LEVELS = ("loudness", "input_level_dbu", "output_level_dbu")


def _rate(fields: Fields) -> int | None:
    if not fields.has("sample_rate"):
        return None
    return whole(fields.raw("sample_rate"), fields.place.child("sample_rate"), *limits.RATE_HZ)


def _check_rate(inner_hz: int | None, outer_hz: int | None, place: Place) -> None:
    if inner_hz is not None and outer_hz is not None and inner_hz != outer_hz:
        raise place.child("sample_rate").fault(
            str(inner_hz), f"{outer_hz}, that of the model around it"
        )


def _receptive_field(network: Network) -> int:
    if isinstance(network, WaveNet) and network.condition is not None:
        return network.receptive_field_frames + _receptive_field(network.condition) - 1
    if isinstance(network, Sequence):
        return 1 + sum(_receptive_field(part) - 1 for part in network.parts)
    return network.receptive_field_frames


def _prewarm(network: Network, rate_hz: int) -> int:
    if isinstance(network, Lstm):
        return rate_hz // 2
    if isinstance(network, Sequence):
        return sum(_prewarm(part, rate_hz) for part in network.parts)
    own = network.receptive_field_frames
    if isinstance(network, WaveNet) and network.condition is not None:
        own += _prewarm(network.condition, rate_hz)
    return own
