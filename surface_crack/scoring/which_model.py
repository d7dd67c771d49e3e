"""Which model answers where none is given: one's own, or the general one that the package holds."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from surface_crack.evaluation.terms import only_drawings
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.scoring.scorer import Scorer, load_scorer

GENERAL_NAME = "general"  # as an answer to --model


class Chosen(NamedTuple):
    """A model file, loaded, and why it is this one."""

    path: Path
    scorer: Scorer
    why: str


def choose_model(wanted: Path | None, *, threads: int | None = None) -> Chosen:
    """The file `wanted`, the general model if that is the word for it, or what suits best (None).

    What suits best is the model in models/ if it has learnt from photos, else the general one. An
    unusable model in models/ is an error, and no reason to answer with another one. Raises
    DataError.
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
        why = f"the one in {paths.MODEL.parent}/ has seen drawings only"
        return _loaded(paths.GENERAL, why, threads)
    return chosen


def model_name(path: Path) -> str:
    """The model's name for people."""
    return "the general model of this package" if path == paths.GENERAL else str(path)


def own_model() -> Path | None:
    """The model in models/: the pipeline's own, or where there is no PyTorch the exported one."""
    if paths.MODEL.exists() and (find_spec("torch") or not paths.ONNX.exists()):
        return paths.MODEL
    return paths.ONNX if paths.ONNX.exists() else None


def _loaded(path: Path, why: str, threads: int | None) -> Chosen:
    if path == paths.GENERAL and not path.exists():
        raise DataError(f"{path} is missing: the package is incomplete, install it anew")
    return Chosen(path, load_scorer(path, threads=threads), why)
