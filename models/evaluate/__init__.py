"""How near the tones in between come: ``python -m models evaluate`` (README.md)."""
