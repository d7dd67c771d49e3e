"""Choose the model: the one given, the user's own, or the general model in the package."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from surface_crack.evaluation.terms import only_drawings
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.scoring.scorer import Scorer, load_scorer

GENERAL_NAME = "general"  # value of --model


class Chosen(NamedTuple):
    """A loaded model file and why it was chosen."""

    path: Path
    scorer: Scorer
    why: str


def choose_model(wanted: Path | None, *, threads: int | None = None) -> Chosen:
    """Load the model `wanted`: a file, or "general" for the general model.

    None means the model in models/ if it was trained on photos, otherwise the general model. An
    unusable model in models/ is an error; no other model is used instead. Raises DataError.
    """
    if wanted == Path(GENERAL_NAME):
        return _loaded(paths.GENERAL, "asked for", threads)
    if wanted is not None:
        return _loaded(wanted, "given by --model", threads)
    own = own_model()
    if own is None:
        return _loaded(paths.GENERAL, f"no model in {paths.MODEL.parent}/ here", threads)
    chosen = _loaded(own, f"the one in {paths.MODEL.parent}/", threads)
    if only_drawings(chosen.scorer.sources):
        why = f"the one in {paths.MODEL.parent}/ was trained on drawings only"
        return _loaded(paths.GENERAL, why, threads)
    return chosen


def model_name(path: Path) -> str:
    """Name of the model in logs and reports."""
    return "the general model of this package" if path == paths.GENERAL else str(path)


def own_model() -> Path | None:
    """Path of the model in models/, or without PyTorch of its export; None if there is none."""
    if paths.MODEL.exists() and (find_spec("torch") or not paths.ONNX.exists()):
        return paths.MODEL
    return paths.ONNX if paths.ONNX.exists() else None


def _loaded(path: Path, why: str, threads: int | None) -> Chosen:
    if path == paths.GENERAL and not path.exists():
        raise DataError(f"{path} is missing: the package is incomplete, reinstall it")
    return Chosen(path, load_scorer(path, threads=threads), why)
