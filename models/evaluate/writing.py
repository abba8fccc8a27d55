"""Pages from templates, and files that appear whole or not at all."""

import os
import tempfile
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def _source(name: str) -> Markup:
    """Give a script or style sheet as it is: ours, and so not escaped."""
    return Markup((_TEMPLATES / name).read_text("utf-8"))


def render(template: str, **values: Any) -> str:
    """Fill one of the templates; raises ``jinja2.UndefinedError`` for a value not given."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["source"] = _source
    environment.filters["svg"] = Markup
    return environment.get_template(template).render(**values)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file, whole or not at all, and return its path; the folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, content: str) -> Path:
    """Write a UTF-8 file, whole or not at all, and return its path."""
    return write_bytes(path, content.encode("utf-8"))
