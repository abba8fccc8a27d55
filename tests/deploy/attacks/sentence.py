"""What the pedal says when it refuses: one clear sentence."""

MOST = 600


def sentence_of(problem: BaseException) -> str:
    """The sentence; asserts that it is one, on one line, and no longer than a terminal can bear."""
    said = str(problem)
    assert said.strip() == said != "", repr(said)
    assert said.isprintable(), repr(said)
    assert said.endswith(".") and not said.endswith(".)."), said
    assert ".;" not in said and ".," not in said, f"ends within: {said}"
    assert len(said) <= MOST, f"{len(said)} signs: {said[:200]}…"
    assert "Traceback" not in said and "object at 0x" not in said, said
    return said
