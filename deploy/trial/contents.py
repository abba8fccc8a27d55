"""What the files of a models slot hold, read with suspicion; runs in the child process."""

from pathlib import Path

from deploy.trial.graphs import STAGE_BYTES, check_finite, check_stage, read_bounded
from deploy.trial.limits import Here
from deploy.trial.presets import FOLDER, check_presets
from deploy.trial.verdict import Figures
from device.studio import read_studio
from models.certificate import Limits as CertificateLimits
from models.errors import ModelError
from models.manifest import KINDS, read_bundle
from models.onnx_file import parse_onnx

STAGE, STUDIO = "stage.onnx", "studio"

_LEAST = ("latent_cosine", "golden_latent_snr_db", "golden_decoded_snr_db")
_MOST = ("log_spectral_distance_db",)


def check_contents(folder: Path, here: Here) -> Figures:
    """Read everything in a slot whose files are the release's; returns what is in it.

    Raises ``ModelError``, ``PresetError`` or ``AudioFileError`` with one sentence.
    """
    figures: Figures = {}
    if (folder / STAGE).exists():
        check_stage(read_bounded(folder / STAGE, STAGE_BYTES), str(folder / STAGE))
        figures["stage"] = "read"
    if (folder / STUDIO).exists():
        figures["studio"] = check_studio(folder / STUDIO)
    if (folder / FOLDER).exists():
        figures["presets"] = float(check_presets(folder, here.dbu))
    return figures


def check_studio(folder: Path) -> str:
    """A studio bundle: its manifest's word kept, at every precision; returns its name.

    Raises ``ModelError``.
    """
    bundle = read_bundle(folder)
    _check_limits(bundle.certificate().limits, folder)
    for precision in bundle.precisions:
        for kind in KINDS:
            where = str(bundle.model(kind, precision))
            check_finite(parse_onnx(bundle.read_model(kind, precision), where), where)
    # Whether the stream's windows and hops go together.
    read_studio(folder, graphs=False)
    return bundle.manifest.name


def _check_limits(limits: CertificateLimits, folder: Path) -> None:
    """A bundle may promise more than is asked, not less: the self-test goes by its limits."""
    own = CertificateLimits()
    lax = [name for name in _LEAST if getattr(limits, name) < getattr(own, name)]
    lax += [name for name in _MOST if getattr(limits, name) > getattr(own, name)]
    if lax:
        raise ModelError(
            f"{folder / 'certificate.json'}: states {lax[0]} {getattr(limits, lax[0]):g}, laxer "
            f"than {getattr(own, lax[0]):g}; build the bundle again."
        )
