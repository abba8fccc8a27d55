"""The text of a PDF as fpdf2 writes it, a page each, with no library between."""

import re
import zlib
from pathlib import Path

_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)\sendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\n(.*?)\nendstream", re.DOTALL)


def pages_of(file: Path) -> list[str]:
    """Each page's text, in the order in which it was written; fonts by their ToUnicode tables."""
    data = file.read_bytes()
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    objects = {int(number): body for number, body in _OBJECT.findall(data)}
    fonts = {number: _letters(objects, body) for number, body in objects.items() if _font(body)}
    pages = []
    for body in objects.values():
        if not re.search(rb"/Type /Page\b(?!s)", body):
            continue
        names = _resources(objects, body)
        content = _content(objects[_reference(body, b"Contents")])
        pages.append(_text(content, {name: fonts[number] for name, number in names.items()}))
    return pages


def _font(body: bytes) -> bool:
    return b"/Type /Font" in body and b"/ToUnicode" in body


def _reference(body: bytes, name: bytes) -> int:
    found = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    assert found, name
    return int(found[1])


def _content(body: bytes) -> bytes:
    found = _STREAM.search(body)
    assert found
    return zlib.decompress(found[1]) if b"FlateDecode" in body else found[1]


def _resources(objects: dict[int, bytes], page: bytes) -> dict[bytes, int]:
    body = objects[_reference(page, b"Resources")]
    fonts = re.search(rb"/Font\s*<<(.*?)>>", body, re.DOTALL)
    assert fonts
    return {name: int(number) for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", fonts[1])}


def _letters(objects: dict[int, bytes], font: bytes) -> dict[int, str]:
    table = _content(objects[_reference(font, b"ToUnicode")])
    letters = {}
    for code, text in re.findall(rb"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]+)>", table):
        letters[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    return letters


def _text(content: bytes, fonts: dict[bytes, dict[int, str]]) -> str:
    said, letters = [], dict[int, str]()
    tokens = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\)\s*Tj", re.DOTALL)
    for name, string in tokens.findall(content):
        if name:
            letters = fonts[name]
            continue
        raw = re.sub(rb"\\(.)", lambda found: _escaped(found[1]), string, flags=re.DOTALL)
        codes = [raw[at] * 256 + raw[at + 1] for at in range(0, len(raw) - 1, 2)]
        said.append("".join(letters.get(code, "?") for code in codes))
    return "\n".join(said)


def _escaped(letter: bytes) -> bytes:
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}.get(letter, letter)
