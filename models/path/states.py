"""What two tones sound like between each other, and how far such sounds are apart."""

import numpy as np
import numpy.typing as npt

from models.path.tone import DRIVES_DB, Floats, Tone, loudness_lufs
from models.quality.spectral import FLOOR, WINDOW_FRAMES, Spectra, mel_filters

Levels = npt.NDArray[np.float32]
"""Levels in dB of sounds at −20 dBFS RMS, ``(…, times, bins or bands)``."""

EVERY = 4
"""Of the probe's spectra one in so many is compared: neighbours overlap by three quarters."""

_TINY = 1e-20
_MIXTURES = 64
_CHUNK = 64
_POWER = 0.01 * 0.375 * WINDOW_FRAMES  # mean power of a bin at −20 dBFS under a Hann window


def levels_db(power: npt.NDArray[np.float32], total: npt.NDArray[np.float32]) -> Levels:
    """Levels of powers ``(…, times, bands)``, brought to −20 dBFS by each sound's ``total``.

    ``total`` ``(…)`` is the mean power over times and bins. The floor is the quality measures'.
    """
    scale = np.sqrt(_POWER / (total + _TINY)).astype(np.float32)[..., None, None]
    return np.asarray(
        20.0 * np.log10(np.sqrt(np.maximum(power, 0.0)) * scale + np.float32(FLOOR)), np.float32
    )


def distance_db(one: Levels, other: Levels) -> Floats:
    """Root mean square over bands of the difference, mean over times, shape ``(…)``."""
    difference = one - other
    squares = np.einsum("...i,...i->...", difference, difference) / difference.shape[-1]
    return np.asarray(np.sqrt(squares).mean(axis=-1), np.float64)


class Pair:
    """Two tones brought to one loudness at every drive, so that a blend of them is even."""

    def __init__(self, a: Tone, b: Tone, rate_hz: int) -> None:
        """Measure both. Raises ``ValueError`` where their probes differ in shape."""
        if a.spectra.shape != b.spectra.shape:
            raise ValueError(
                f"The tones have the shapes {a.spectra.shape} and {b.spectra.shape}, expected "
                "the same phrase for both."
            )
        self.rate_hz = rate_hz
        self.times = a.spectra.shape[1]
        self.loud_a = loudness_lufs(a.spectra, rate_hz)
        self.loud_b = loudness_lufs(b.spectra, rate_hz)
        self.saturation_a, self.saturation_b = a.saturation(), b.saturation()
        self._a, self._b = _at_zero(a.spectra, self.loud_a), _at_zero(b.spectra, self.loud_b)

    def sounds(
        self, drive_a_db: Floats, drive_b_db: Floats, blend: Floats, every: int = 1
    ) -> Spectra:
        """Spectra of blends, ``(states, times, bins)``; all arguments ``(states,)``.

        Between the drives that were tried both neighbours are mixed.
        """
        p = np.asarray(blend, np.float32)[:, None, None]
        a = _between(self._a[:, ::every], drive_a_db)
        b = _between(self._b[:, ::every], drive_b_db)
        b -= a
        b *= p
        b += a
        return b

    def makeup_db(self, drive_a_db: Floats, drive_b_db: Floats, blend: Floats) -> Floats:
        """What brings blends of tones of one loudness to it, dB, ``(states,)``."""
        pieces = [
            -loudness_lufs(self.sounds(*(state[None] for state in states)), self.rate_hz)
            for states in zip(drive_a_db, drive_b_db, blend, strict=True)
        ]
        return np.concatenate(pieces)

    def level_a_db(self, drive_db: Floats) -> Floats:
        """What brings tone A at drives to 0 LUFS, dB."""
        return np.asarray(-np.interp(drive_db, DRIVES_DB, self.loud_a), np.float64)

    def level_b_db(self, drive_db: Floats) -> Floats:
        """What brings tone B at drives to 0 LUFS, dB."""
        return np.asarray(-np.interp(drive_db, DRIVES_DB, self.loud_b), np.float64)

    def saturation(self, drive_a_db: Floats, drive_b_db: Floats, blend: Floats) -> Floats:
        """Saturation of blends, 0…1: the tones' own, by their share."""
        a = np.interp(drive_a_db, DRIVES_DB, self.saturation_a)
        b = np.interp(drive_b_db, DRIVES_DB, self.saturation_b)
        return np.asarray((1.0 - blend) * a + blend * b, np.float64)

    def real(self) -> Spectra:
        """All real tones, A and B at every drive, ``(2 · drives, times, bins)``, thinned out."""
        return np.concatenate([self._a[:, ::EVERY], self._b[:, ::EVERY]])


def mel_levels(sounds: Spectra) -> Levels:
    """Levels of 64 mel bands of ``(…, times, bins)``: what a distance is measured on."""
    power = _power(sounds)
    return levels_db(power @ mel_filters().T, power.mean(axis=(-2, -1)))


def bin_levels(sounds: Spectra) -> Levels:
    """Levels of the bins themselves of ``(…, times, bins)``: the finer measure."""
    power = _power(sounds)
    return levels_db(power, power.mean(axis=(-2, -1)))


def level_sets(
    pair: Pair, drive_a_db: Floats, drive_b_db: Floats, blend: Floats, every: int
) -> tuple[Levels, Levels]:
    """Levels of many states by mel bands and by bins, ``(states, times, 64)`` each.

    Distances between the second are those between the levels of all bins, within some percent:
    what many bands measure, as many random mixtures of them measure too (Johnson and
    Lindenstrauss 1984), and there are fewer of them.
    """
    filters = mel_filters().T
    generator = np.random.default_rng(1984)
    mixtures = generator.standard_normal((filters.shape[0], _MIXTURES)).astype(np.float32)
    mixtures *= np.float32(np.sqrt(1.0 / filters.shape[0]))
    times = -(-pair.times // every)
    mel = np.empty((len(blend), times, filters.shape[1]), np.float32)
    mixed = np.empty((len(blend), times, _MIXTURES), np.float32)
    for start in range(0, len(blend), _CHUNK):
        part = slice(start, start + _CHUNK)
        power = _power(pair.sounds(drive_a_db[part], drive_b_db[part], blend[part], every))
        total = power.mean(axis=(-2, -1))
        mel[part] = levels_db(power @ filters, total)
        mixed[part] = levels_db(power, total) @ mixtures
    return mel, mixed


def _at_zero(sounds: Spectra, loudness: Floats) -> Spectra:
    gain = 10.0 ** (-np.maximum(loudness, -150.0) / 20.0)
    return np.asarray(sounds * gain[:, None, None], np.complex64)


def _between(sounds: Spectra, drive_db: Floats) -> Spectra:
    place = np.interp(drive_db, DRIVES_DB, np.arange(len(DRIVES_DB), dtype=np.float64))
    below = np.minimum(place.astype(np.intp), len(DRIVES_DB) - 2)
    part = (place - below).astype(np.float32)[:, None, None]
    if not part.any():
        return np.asarray(sounds[below])
    mixed: Spectra = sounds[below + 1]
    mixed -= sounds[below]
    mixed *= part
    mixed += sounds[below]
    return mixed


def _power(sounds: Spectra) -> npt.NDArray[np.float32]:
    return np.square(sounds.real) + np.square(sounds.imag)
