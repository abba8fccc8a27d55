"""How long a link may take, and how often it may fail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of everything that a server or a phone's link can do. Never hangs, never floods."""

    connect_s: float = 10.0
    """Until a connection stands, its encryption too."""
    read_s: float = 20.0
    """Until an answer's head is there, and between two pieces of its body."""
    deadline_s: float = 3600.0
    """Spent on the link in one run, waits included; building and testing do not count."""
    lowest_rate_bytes_s: float = 1000.0
    """Slower than that over ``rate_window_s`` is no link (TUF's slow retrieval)."""
    rate_window_s: float = 30.0
    tries: int = 5
    """Failures in a row before giving up; one that came further begins a new row."""
    progress_bytes: int = 4096
    """What counts as having come further."""
    pause_s: float = 1.0
    """Before the second try; doubled each time, with jitter."""
    pause_most_s: float = 60.0
    retry_after_most_s: float = 300.0
    """A server that asks for a longer wait is left for the next run."""
    redirects: int = 3
    bad_chunks: int = 8
    """Chunks in one run that came whole but were not the signed ones, before giving up."""
