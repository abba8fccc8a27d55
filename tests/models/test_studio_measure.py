"""The measurements: they measure what the stream gives, and the numbers are what they say."""

import numpy as np
import pytest

from models.latent import slerp
from models.music2latent.measure import WindowRow, window_study
from models.music2latent.measure_rates import conversion, rate_rows
from models.music2latent.measure_tables import rate_table, window_table
from models.music2latent.noise import frame_noise
from models.music2latent.spectrum import BINS, HOP, Analysis, Synthesis
from models.music2latent.stream import StreamSettings, StudioStream
from tests.models.studio_support import PassCodec, PooledCodec, pooled, through

WHOLE = 48


def tones() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    time = np.arange((WHOLE + 3) * HOP) / 44100.0
    made = []
    for drive in (1.0, 6.0):
        wave = sum(np.sin(2.0 * np.pi * f * time) / n for n, f in enumerate((82, 165, 330, 660), 1))
        level = (
            0.2 + 0.1 * np.sin(2.0 * np.pi * 3.0 * time) + 0.001 * generator.normal(size=time.size)
        )
        made.append((0.3 * np.tanh(drive * level * wave)).astype(np.float32)[None])
    return made[0], made[1]


class Local(PassCodec):
    """Every frame by itself: no window sees what another does not."""

    def decode(self, latents, noise, position, target) -> None:
        target[:] = self._spectra[:1] + noise


def test_a_codec_that_looks_at_one_frame_loses_nothing_by_windows() -> None:
    study = window_study(Local, *tones(), windows=(8, 16), hops=(1, 3, 8), whole_frames=WHOLE)
    assert len(study.rows) > 6
    for row in study.rows:
        assert row.decoded_snr_db == 400.0 and row.distance_db == 0.0
        assert row.latent_cosine > 0.999999
    assert study.other_noise_snr_db < 20.0


def test_windows_that_see_more_come_closer() -> None:
    """A codec that divides by the window's mean level, as a group normalisation does."""

    class Normalised(PassCodec):
        def decode(self, latents, noise, position, target) -> None:
            target[:] = self._spectra[:1] / (0.1 + np.sqrt(np.mean(np.square(self._spectra[0]))))

    study = window_study(
        Normalised, *tones(), windows=(8, 16), hops=(1,), look_aheads=(0,), whole_frames=WHOLE
    )
    short, long = study.rows
    assert short.window_frames == 8 and long.window_frames == 16
    assert 0.0 < long.distance_db < short.distance_db
    assert short.decoded_snr_db < long.decoded_snr_db < 400.0


@pytest.mark.parametrize("shape", [(8, 1, 0), (8, 3, 4), (16, 8, 8), (16, 16, 0)])
def test_what_is_measured_is_what_the_stream_gives(shape: tuple[int, int, int]) -> None:
    """The stream's sound, against the whole phrase's, by the row's own numbers."""
    a, b = tones()
    window, hop, ahead = shape
    frames: dict[int, np.ndarray] = {}

    class Noting(PooledCodec):
        """Keeps, for each frame, what the first window that may give it made of it."""

        last = min(k for k in range(-3, 99) if (k + 1) % hop == 0 and k - ahead >= -3) - hop

        def decode(self, latents, noise, position, target) -> None:
            super().decode(latents, noise, position, target)
            self.last += hop
            for frame in range(self.last - ahead - hop + 1, self.last - ahead + 1):
                frames[frame] = target[0, ..., frame - self.last + window - 1].copy()

    stream = StudioStream(Noting(window), StreamSettings(window, hop, ahead), 44100, 1000)
    sound = through(stream, a, b, np.full(a.shape[1], 0.5, np.float32))
    # What was noted is what is heard.
    synthesis, out = Synthesis(), np.zeros(HOP, np.float32)
    for frame in range(-3, sound.shape[1] // HOP):
        synthesis.push(frames[frame], out)
        if frame >= 0:
            np.testing.assert_array_equal(out, sound[0, HOP * frame : HOP * (frame + 1)])
    (row,) = _study(window, hop, ahead)
    judged = range(16, WHOLE - 16)
    whole = _whole(a, b)[..., judged.start : judged.stop]
    given = np.stack([frames[frame] for frame in judged], axis=-1)
    error = np.sum(np.square(whole - given, dtype=np.float64))
    snr_db = 10.0 * np.log10(np.sum(np.square(whole, dtype=np.float64)) / error)
    assert row.decoded_snr_db == pytest.approx(snr_db, abs=1e-6)
    assert row.latency_ms == pytest.approx(_latency(shape), abs=1e-9)
    assert row.decodes_per_s == pytest.approx(44100 / 512 / hop)


def _study(window: int, hop: int, ahead: int) -> tuple[WindowRow, ...]:
    study = window_study(
        PooledCodec,
        *tones(),
        windows=(window, 16) if window != 16 else (16,),
        hops=(hop,),
        look_aheads=(ahead,),
        whole_frames=WHOLE,
    )
    return tuple(row for row in study.rows if row.window_frames == window)


def _latency(shape: tuple[int, int, int]) -> float:
    stream = StudioStream(PassCodec(shape[0]), StreamSettings(*shape), 48000, 1)
    return stream.latency_frames / 48.0


def _whole(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The whole phrase through the codec, written out."""
    made = np.zeros((WHOLE + 4, 2, 2, BINS), np.float32)
    Analysis(2).push(np.concatenate([a, b]), made)
    spectra = np.ascontiguousarray(np.moveaxis(made[3 : 3 + WHOLE], 0, -1))
    latents = pooled(spectra)
    noise = np.stack([frame_noise(0, frame) for frame in range(WHOLE)], axis=-1)[None]
    target = np.zeros_like(noise)
    PooledCodec(WHOLE).decode(slerp(latents[:1], latents[1:], 0.5), noise, 0.5, target)
    return target[0]


def test_phrases_that_do_not_fit_are_refused() -> None:
    a, b = tones()
    with pytest.raises(ValueError, match="expected at least 48 frames"):
        window_study(PassCodec, a, b, windows=(16,), whole_frames=40)
    with pytest.raises(ValueError, match=r"hold \d+ whole frames, expected 64"):
        window_study(PassCodec, a, b, windows=(16,), whole_frames=64)
    with pytest.raises(ValueError, match="tones of one length"):
        window_study(PassCodec, a, b[:, 1:], windows=(16,), whole_frames=WHOLE)


def test_the_converter_is_transparent() -> None:
    measured = conversion()
    assert measured.ripple_db < 0.01
    assert measured.edge_hz > 19000.0
    assert measured.alias_db < -75.0 and measured.image_db < -75.0
    assert measured.latency_ms == pytest.approx(35 / 48.0 + 32 / 44.1)


def test_rates_differ_by_latency_work_and_pitch() -> None:
    tone = np.random.default_rng(1).normal(0.0, 0.05, (1, 24000)).astype(np.float32)
    converted, native = rate_rows(PassCodec(16), tone, hops=(1,))
    assert (converted.network_hz, native.network_hz) == (44100, 48000)
    assert native.latency_ms == pytest.approx(2047 / 48.0)
    assert converted.latency_ms > native.latency_ms + 4.0
    assert native.decodes_per_s / converted.decodes_per_s == pytest.approx(48000 / 44100)
    assert converted.shift_semitones == 0.0
    assert native.shift_semitones == pytest.approx(-1.467, abs=1e-3)
    # Nothing but what lies near half the network's rate is lost on a codec that loses nothing.
    assert native.own_tone_db < 0.5


def test_tables_have_a_line_a_row() -> None:
    study = window_study(
        PooledCodec, *tones(), windows=(8,), hops=(1, 8), look_aheads=(0, 4), whole_frames=WHOLE
    )
    text = window_table(study, "weights that nobody trained")
    lines = text.splitlines()
    assert "weights that nobody trained" in lines[0]
    assert len([line for line in lines if line.startswith("| 8 |")]) == len(study.rows) == 3
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    rows = rate_rows(PassCodec(8), np.zeros((1, 9000), np.float32), hops=(1, 2))
    text = rate_table(rows, conversion(), "a codec")
    assert len([line for line in text.splitlines() if line[:3] in ("| 4", "| 3")]) == 4
