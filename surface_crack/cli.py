"""The `surface-crack` command: tools around the pipeline, which itself runs with `dvc repro`.

Each subcommand imports its dependencies only when it runs, so that `--help` answers at once.
"""

import argparse
import io
import json
import logging
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from surface_crack.project.console import run
from surface_crack.project.errors import SurfaceCrackError
from surface_crack.project.streams import protect_streams

log = logging.getLogger("surface-crack")


def main() -> None:
    protect_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that its encoding lacks
    run("surface-crack", run_command)


def run_command() -> None:
    arguments = parser().parse_args()
    if warning := other_code_warning():
        log.warning(warning)
    try:
        arguments.run(arguments)
    except ModuleNotFoundError as error:  # `inspect` and `validate` need no extra
        if not error.name or error.name.startswith(__package__):
            raise
        raise SurfaceCrackError(
            f"{arguments.command} needs {error.name}, which is not installed: run "
            '`pip install -e ".[pipeline]"` in a clone of the project'
        ) from None


def other_code_warning() -> str:
    """A warning if the current folder is a clone of the project but the code of another one runs,
    as in a git worktree, or with one environment for two clones; else ''.
    """
    here, running = Path("surface_crack"), Path(__file__).parent
    if not (Path("dvc.yaml").is_file() and here.is_dir()) or here.samefile(running):
        return ""
    return (
        f"running the code in {running}, not in {here.resolve()}: to change that, run `python -m "
        "pip install -e .` here, or give this folder its own .venv"
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="surface-crack", description="Tools around the crack detection pipeline"
    )
    top.add_argument("--version", action="version", version=version("surface-crack"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(
        name: str, function: Callable[[argparse.Namespace], None], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:])
        added.set_defaults(run=function)
        return added

    add("check", check, "check params.yaml and the photos before `dvc repro`")

    command = add("inspect", inspect, "find cracks in whole photos and write a report")
    command.epilog = "Exit code 1: some files could not be read; the report covers all others."
    command.add_argument(
        "inputs", nargs="+", type=path, metavar="PHOTO|FOLDER|ZIP", help="what to inspect"
    )
    command.add_argument(
        "--out", type=path, required=True, help="output folder for the report and the tables"
    )
    add_model(command)
    command.add_argument(
        "--mm-per-px",
        type=positive,
        help="scale of your photos, in millimetres per pixel: adds areas in mm²",
    )
    add_patch_px(command)
    command.add_argument(
        "--threshold",
        type=share,
        metavar="T",
        help="flag places with a crack probability of at least T; from (1 + T) / 2 on they are "
        "reported as cracks, below that as unsure (default: the model's own)",
    )
    command.add_argument(
        "--jobs",
        type=whole_number(1, 64),
        metavar="1..64",
        help="number of photos to process in parallel (default: one per core)",
    )
    command.add_argument(
        "--validated",
        type=path,
        metavar="REPORT.JSON",
        help="report.json that `validate --out` wrote for this model; the report quotes it",
    )
    command.add_argument("--fresh", action="store_true", help="process finished photos again")

    command = add("validate", validate, "test on your labelled photos whether to use the model")
    command.epilog = "Exit code 0 whatever the verdict; scripts read verdict.use from --json."
    command.add_argument("path", type=path, help="folder or zip of photos in class folders")
    add_model(command)
    add_patch_px(command, "each whole photo is one patch")
    command.add_argument(
        "--group-pattern",
        type=pattern,
        metavar="REGEX",
        help="photos with equal matches in their paths form a group (default: group_pattern in "
        "params.yaml; '': no groups)",
    )
    command.add_argument("--json", action="store_true", help="print the result as a JSON object")
    command.add_argument(
        "--out", type=path, help="output folder for report, predictions and misclassified photos"
    )

    command = add("tiles", tiles, "cut large photos and their masks or boxes into labelled tiles")
    command.add_argument(
        "photos", nargs="+", type=path, metavar="PHOTO|FOLDER|ZIP", help="what to cut"
    )
    command.add_argument(
        "--labels",
        type=path,
        required=True,
        help="labels of the cracks: a folder of PNG masks (black: no crack) or of YOLO text files, "
        "each named like its photo, or a COCO .json",
    )
    command.add_argument(
        "--out", type=path, required=True, help="output zip, such as data/raw/x.zip"
    )
    command.add_argument(
        "--side",
        type=whole_number(32, 4096),
        default=256,
        metavar="32..4096",
        help="side of a tile, in pixels of the photo (default: %(default)s)",
    )
    command.add_argument(
        "--crack",
        nargs="+",
        default=[],
        metavar="CLASS",
        help="classes that are cracks, by name (COCO) or number (YOLO)",
    )

    command = add("audit", audit, "rank the labels by how likely they are wrong")
    command.add_argument(
        "--folds",
        type=whole_number(2, 20),
        default=5,
        metavar="2..20",
        help="number of cross-validation folds, each of which trains a network "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--out", type=path, default=Path("data/audit"), help="output folder (default: %(default)s)"
    )

    add("verify", verify, "compare all outputs and the cache with what dvc.lock records")
    add("fresh", fresh, "discard the checkpoint of an interrupted training")

    command = add("download", download, "download a data set of real photos")
    command.add_argument("name", choices=("metu", "sdnet"), help="METU or SDNET2018")
    command.add_argument("--url", help="download from this address instead of the known ones")
    command.add_argument(
        "--to", type=path, default=Path("data/raw"), help="output folder (default: %(default)s)"
    )
    return top


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        type=path,
        help="'general' for the model in the package, a .onnx file, or a .safetensors file beside "
        "its decision.json (default: the one in models/ if it was trained on real photos, else "
        "the general one)",
    )


def add_patch_px(command: argparse.ArgumentParser, default: str = "that photo's size") -> None:
    command.add_argument(
        "--patch-px",
        type=positive,
        help="side of a patch, in pixels of your photos, that shows as much as a training photo "
        f"(default: {default})",
    )


def path(text: str) -> Path:
    """A path. Raises ArgumentTypeError for '', which an unset shell variable gives."""
    if not text:
        raise argparse.ArgumentTypeError("must be a path, got ''")
    return Path(text)


def pattern(text: str) -> str:
    """A regular expression. Raises ArgumentTypeError."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"is not a regular expression: {error}") from None
    return text


def positive(text: str) -> float:
    """A number in (0, 1e6), so that areas stay finite. Raises ArgumentTypeError."""
    return _number(text, 1e6, "a number above 0 and below a million")


def share(text: str) -> float:
    """A number in (0, 1): 0 would flag everything, 1 nothing. Raises ArgumentTypeError."""
    return _number(text, 1, "a number above 0 and below 1")


def _number(text: str, end: float, expected: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < end:
            return number
    raise argparse.ArgumentTypeError(f"must be {expected}, got {text!r}")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An argument type: an integer from `low` to `high`. It raises ArgumentTypeError."""

    def parse(text: str) -> int:
        with suppress(ValueError):
            if low <= (number := int(text)) <= high:
                return number
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {low} to {high}, got {text!r}"
        )

    return parse


def check(_: argparse.Namespace) -> None:
    """Raises ParamsError or DataError for what would stop the pipeline."""
    from surface_crack.checks.inputs import check

    check()


def inspect(arguments: argparse.Namespace) -> None:
    """Write a report on whole photos. Raises DataError, also if any of them could not be read."""
    from surface_crack.inspection.run import Request, inspect

    options = {key: x for key, x in vars(arguments).items() if key not in ("command", "run")}
    inspect(Request(**options))


def validate(arguments: argparse.Namespace) -> None:
    """Print scores and a verdict. Raises ParamsError or DataError; a bad verdict is no error."""
    from surface_crack.validation.run import validate_photos

    found, text = validate_photos(
        arguments.path,
        arguments.out,
        model=arguments.model,
        group_pattern=arguments.group_pattern,
        patch_px=arguments.patch_px,
    )
    if arguments.json:
        text = json.dumps(found, indent=2, sort_keys=True, allow_nan=False)
    sys.stdout.write(text.rstrip("\n") + "\n")


def tiles(arguments: argparse.Namespace) -> None:
    """Write a zip of tiles. Raises DataError."""
    from surface_crack.cutting.tiles import cut

    cut(arguments.photos, arguments.labels, arguments.out, arguments.side, arguments.crack)


def audit(arguments: argparse.Namespace) -> None:
    """List the labels, most likely wrong first. Raises ParamsError, DataError or TrainingError."""
    from surface_crack.audit.run import audit

    audit(arguments.out, arguments.folds)


def verify(_: argparse.Namespace) -> None:
    """Raises DataError if a lock file is missing or invalid, or if anything is damaged."""
    from surface_crack.checks.verify import verify
    from surface_crack.evaluation.terms import counted
    from surface_crack.project.errors import DataError

    found = verify()
    for damage in found.damaged:
        log.error("%s\n    to fix it: %s", *damage)
    if found.missing:
        log.info(
            "not here (`dvc pull` or `dvc repro`, `make robustness export`): %s",
            ", ".join(found.missing),
        )
    if found.damaged:
        raise DataError(f"{counted(len(found.damaged), 'damaged file')}, see above")
    log.info("%d outputs and %d cached objects: all as recorded", found.outputs, found.objects)


def fresh(_: argparse.Namespace) -> None:
    """Delete the checkpoint, so the next training starts over. Raises StageError while one runs."""
    from surface_crack.project import paths
    from surface_crack.project.errors import StageError
    from surface_crack.project.params import PIPELINE
    from surface_crack.project.stage import stage_lock

    if not PIPELINE.exists():
        raise StageError(f"{PIPELINE} is missing here: run from the project's root folder")
    with stage_lock("train"):
        found = paths.RESUME.exists()
        log.info("%s", "checkpoint discarded" if found else "there is no checkpoint to discard")
        paths.RESUME.unlink(missing_ok=True)


def download(arguments: argparse.Namespace) -> None:
    """Download a data set and print the next steps. Raises DownloadError."""
    from surface_crack.download.archive import download

    archive = download(arguments.name, arguments.to, arguments.url)
    log.info("%s is ready. To use it, set in params.yaml:", archive)
    log.info("    raw: %s", archive.as_posix())
    if arguments.name == "sdnet":  # tiles of one photo: <kind>/<class>/<photo>-<tile>.jpg
        log.info(r"    group_pattern: ([^/]+)/[^/]+/(\d+)-\d+\.jpg")
    log.info("For `dvc exp run --temp` and `--queue`, track it with DVC first:")
    log.info("    dvc add %s", archive.as_posix())
    log.info("    git add %s.dvc", archive.as_posix())
