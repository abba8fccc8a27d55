"""The measurements as Markdown, for the bundle's card."""

from collections.abc import Iterable, Sequence

from models.music2latent.measure import WindowStudy
from models.music2latent.measure_rates import Conversion, RateRow
from models.music2latent.spectrum import HOP
from models.music2latent.stream import NETWORK_RATE_HZ


def window_table(study: WindowStudy, weights: str) -> str:
    """Windows, hops and look-aheads against the whole phrase; ``weights`` says which were used."""
    seconds = study.whole_frames * HOP / NETWORK_RATE_HZ
    head = "window", "hop", "look-ahead", "latency ms", "decodes / s", "cosine", "SNR dB", "LSD dB"
    rows = [
        (
            f"{row.window_frames}",
            f"{row.hop_frames}",
            f"{row.look_ahead_frames}",
            f"{row.latency_ms:.1f}",
            f"{row.decodes_per_s:.1f}",
            f"{row.latent_cosine:.4f}",
            f"{row.decoded_snr_db:.1f}",
            f"{row.distance_db:.2f}",
        )
        for row in study.rows
    ]
    return (
        f"Sliding windows against the whole phrase ({seconds:.1f} s) decoded at once, from the "
        f"same noise; {weights}. The whole phrase against itself from other noise: SNR "
        f"{study.other_noise_snr_db:.1f} dB, LSD {study.other_noise_distance_db:.2f} dB. Latency "
        "at 48 kHz with conversion, without computing.\n\n" + _table(head, rows)
    )


def rate_table(rows: Sequence[RateRow], converter: Conversion, weights: str) -> str:
    """The rates the network can be fed at, and what the converter does."""
    head = "network fed at Hz", "hop", "latency ms", "decodes / s", "shift semitones", "A to A dB"
    cells = [
        (
            f"{row.network_hz}",
            f"{row.hop_frames}",
            f"{row.latency_ms:.1f}",
            f"{row.decodes_per_s:.1f}",
            f"{row.shift_semitones:+.2f}",
            f"{row.own_tone_db:.1f}",
        )
        for row in rows
    ]
    return (
        f"Feeding the network at the device's rate or converted; {weights}. The converter, "
        f"{converter.device_hz} ↔ {converter.network_hz} Hz, there and back: ripple "
        f"{converter.ripple_db:.3f} dB to 18 kHz, −3 dB at {converter.edge_hz / 1000.0:.1f} kHz, "
        f"aliases {converter.alias_db:.0f} dB, images {converter.image_db:.0f} dB, "
        f"{converter.latency_ms:.2f} ms. A to A: log-spectral distance of the knob at A from tone "
        "A.\n\n" + _table(head, cells)
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
