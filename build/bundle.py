"""From a checkpoint to a bundle: export, calibrate, quantise, write, check.

``python -m build bundle --checkpoint FILE --out DIR`` runs the stages one after another in a work
folder and writes the bundle in one step: until the last file is there and has been read back, an
older bundle at ``--out`` stays as it is.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import build.calibrate
import build.check
import build.quantise
from build.export import add_export_arguments
from build.export import run as run_export
from build.quantise import add_quantise_arguments, summary
from build.windows import add_material_arguments
from build.work import Work
from models.certificate import parse_certificate
from models.errors import ModelError
from models.facts import CERTIFICATE, GOLDEN, KINDS, PRECISIONS, Facts, model_name
from models.golden import unpack_golden
from models.manifest import Bundle, write_bundle
from models.music2latent.graphs.writer import OPSET


def assemble(work: Work, out: Path) -> Bundle:
    """Write the bundle of a work folder in which every stage has run.

    Raises ``ModelError`` for what is missing there, ``BundleWriteError`` where the disk does not
    take it.
    """
    settings = work.settings()
    shared = {name: value for name, value in settings if name in Facts.model_fields}
    facts = Facts(
        **shared,
        opset={precision: OPSET for precision in PRECISIONS},
        licences={"graphs and weights": settings.weights_licence},
        tools={
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
    )
    models = {
        (kind, precision): work.read(model_name(kind, precision))
        for kind in KINDS
        for precision in PRECISIONS
    }
    golden = unpack_golden(work.read(GOLDEN), facts.golden_shapes(), GOLDEN)
    certificate = parse_certificate(work.read(CERTIFICATE), CERTIFICATE)
    return write_bundle(out, facts, models, golden, certificate)


def main(argv: Sequence[str]) -> int:
    """``python -m build bundle``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m build bundle", description=__doc__)
    add_export_arguments(parser)
    add_material_arguments(parser)
    add_quantise_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the bundle goes")
    parser.add_argument("--work", metavar="DIR", help="keep what the stages leave (a folder)")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(list(argv))
    if options.windows < 1:
        raise ModelError(f"--windows is {options.windows}, expected 1 or more.")
    if options.work:
        return _run(options, Work(Path(options.work)))
    with tempfile.TemporaryDirectory(prefix="purga-studio-") as folder:
        return _run(options, Work(Path(folder)))


def _run(options: argparse.Namespace, work: Work) -> int:
    run_export(options, work)
    build.calibrate.run(options, work)
    certificate = build.quantise.run(options, work)
    bundle = assemble(work, Path(options.out))
    print(summary(certificate))
    sizes = {
        name: sum(
            entry.bytes for file, entry in bundle.manifest.files.items() if f".{name}." in file
        )
        for name in bundle.precisions
    }
    print(
        f"{options.out}: bundle {bundle.sha256[:12]}, "
        + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    )
    status = build.check.main([options.out])
    if options.json:
        figures = {
            "bundle": str(options.out),
            "sha256": bundle.sha256,
            "bytes": sizes,
            "ready": status == 0,
            "parity": {
                name: parity.model_dump() for name, parity in certificate.precisions.items()
            },
        }
        print(json.dumps(figures, sort_keys=True))
    return status
