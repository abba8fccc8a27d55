"""What the pedal says when it refuses: one clear sentence."""

MOST = 600


def sentence_of(problem: BaseException) -> str:
    """The sentence; asserts that it is one, on one line, and no longer than a terminal can bear."""
    said = str(problem)
    assert said.strip() == said != "", repr(said)
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in said), repr(said)
    assert said.endswith((".", ".)")), said
    assert len(said) <= MOST, f"{len(said)} signs: {said[:200]}…"
    assert "Traceback" not in said and "object at 0x" not in said, said
    return said
