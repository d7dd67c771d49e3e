"""Check, inspect, validate, tiles, audit, verify: all around the pipeline, which `dvc repro` runs.

The `surface-crack` command. Each subcommand imports what it needs only when it runs, so that
`--help` answers at once.
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
from surface_crack.project.streams import steady

log = logging.getLogger("surface-crack")


def main() -> None:
    steady()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    run("surface-crack", begin)


def begin() -> None:
    arguments = parser().parse_args()
    if other := code_of_another_folder():
        log.warning(other)
    installed(arguments)


def code_of_another_folder() -> str:
    """What to do where the current folder has this code, too, and another copy of it runs: in a
    git worktree, or with one environment for two clones. '' elsewhere.
    """
    here, running = Path("surface_crack"), Path(__file__).parent
    if not (Path("dvc.yaml").is_file() and here.is_dir()) or here.samefile(running):
        return ""
    return (
        f"the code that runs is that of {running}, not of {here.resolve()}: to change that, run "
        "`python -m pip install -e .` here, or give this folder a .venv of its own"
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="surface-crack", description=(__doc__ or "").split("\n")[0])
    top.add_argument("--version", action="version", version=version("surface-crack"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[:1].upper() + text[1:])

    add("check", "check params.yaml and the photos before `dvc repro`")
    inspect = add("inspect", "where are the cracks? whole photos to a report")
    inspect.epilog = "Exit code 1: some files could not be read; all others are in the report."
    inspect.add_argument(
        "inputs", nargs="+", type=path, metavar="PHOTO|FOLDER|ZIP", help="what to inspect"
    )
    inspect.add_argument("--out", type=path, required=True, help="folder for report and tables")
    add_model(inspect)
    inspect.add_argument(
        "--mm-per-px", type=positive, help="millimetres per pixel: areas in mm², too"
    )
    add_patch_px(inspect)
    inspect.add_argument(
        "--threshold",
        type=share,
        help="probability from which a place is flagged; it is called a crack from half-way to 1 "
        "(default: the model's own)",
    )
    inspect.add_argument(
        "--jobs",
        type=whole_number(1, 64),
        metavar="1..64",
        help="photos at once (default: one per core)",
    )
    inspect.add_argument(
        "--validated",
        type=path,
        metavar="REPORT.JSON",
        help="what `validate --out` wrote about this model, for the report to quote",
    )
    inspect.add_argument("--fresh", action="store_true", help="do finished photos again")
    validate = add("validate", "may the model be used on these photos?")
    validate.epilog = "Exit code 0 whatever the verdict; with --json a program reads verdict.use."
    validate.add_argument("path", type=path, help="folder or zip of photos in class folders")
    add_model(validate)
    add_patch_px(validate, "all of each photo is one patch")
    validate.add_argument(
        "--group-pattern",
        type=pattern,
        metavar="REGEX",
        help="photos in whose paths it finds the same belong together (default: that of "
        "params.yaml; '': none)",
    )
    validate.add_argument("--json", action="store_true", help="print one JSON object")
    validate.add_argument("--out", type=path, help="folder for report, predictions and mistakes")
    tiles = add("tiles", "cut large photos and their masks or boxes into labelled tiles")
    tiles.add_argument("photos", nargs="+", type=path, metavar="PHOTO|FOLDER|ZIP")
    tiles.add_argument(
        "--labels",
        type=path,
        required=True,
        help="where the cracks are: a folder of PNG masks (black: none) or of YOLO text files, "
        "each called like its photo, or a COCO .json",
    )
    tiles.add_argument(
        "--out", type=path, required=True, help="zip to write, such as data/raw/x.zip"
    )
    tiles.add_argument(
        "--side",
        type=whole_number(32, 4096),
        default=256,
        metavar="32..4096",
        help="of a tile, pixels of the photo (default: %(default)s)",
    )
    tiles.add_argument(
        "--crack",
        nargs="+",
        default=[],
        metavar="CLASS",
        help="names (COCO) or numbers (YOLO) of the classes that are cracks",
    )
    audit = add("audit", "which labels are most likely wrong?")
    audit.add_argument(
        "--folds",
        type=whole_number(2, 20),
        default=5,
        metavar="2..20",
        help="networks to train (default: %(default)s)",
    )
    audit.add_argument(
        "--out", type=path, default=Path("data/audit"), help="folder (default: %(default)s)"
    )
    add("verify", "are outputs and cache still what dvc.lock records?")
    add("fresh", "forget what an interrupted training would go on from")
    download = add("download", "fetch a data set of real photos")
    download.add_argument("name", choices=("metu", "sdnet"))
    download.add_argument("--url", help="fetch from this address instead of the known ones")
    download.add_argument(
        "--to", type=path, default=Path("data/raw"), help="folder (default: %(default)s)"
    )
    return top


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        type=path,
        help="'general' for the model in the package, a .onnx file, or a .safetensors file beside "
        "its decision.json (default: the one in models/ if it has learnt from photos, else the "
        "general one)",
    )


def add_patch_px(command: argparse.ArgumentParser, default: str = "its size") -> None:
    command.add_argument(
        "--patch-px",
        type=positive,
        help="pixels of your photos that show as much as a training photo does "
        f"(default: {default})",
    )


def path(text: str) -> Path:
    """Not '', which is what an unset variable gives, and would be the current folder.

    Raises ArgumentTypeError.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path, got ''")
    return Path(text)


def pattern(text: str) -> str:
    """A regular expression. Raises ArgumentTypeError."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"is no regular expression: {error}") from None
    return text


def positive(text: str) -> float:
    """A number above 0, below a million: areas stay finite. Raises ArgumentTypeError."""
    return _number(text, 1e6, "a number above 0 and below a million")


def share(text: str) -> float:
    """A number in (0, 1): at 0 all would be flagged, at 1 nothing. Raises ArgumentTypeError."""
    return _number(text, 1, "a number above 0 and below 1")


def _number(text: str, end: float, want: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < end:
            return number
    raise argparse.ArgumentTypeError(f"must be {want}, got {text!r}")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A type of option, from `least` to `most`. Raises ArgumentTypeError."""

    def parse(text: str) -> int:
        with suppress(ValueError):
            if least <= (number := int(text)) <= most:
                return number
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {least} to {most}, got {text!r}"
        )

    return parse


def installed(arguments: argparse.Namespace) -> None:
    """`dispatch`, where all that it takes is there: `inspect` and `validate` need no extra."""
    try:
        dispatch(arguments)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith(__package__):
            raise
        raise SurfaceCrackError(
            f"{arguments.command} takes {error.name}, which is not installed: run "
            '`pip install -e ".[pipeline]"` in a clone of the project'
        ) from None


def dispatch(arguments: argparse.Namespace) -> None:
    if arguments.command == "check":
        check()
    elif arguments.command == "inspect":
        inspect(arguments)
    elif arguments.command == "validate":
        judge(arguments)
    elif arguments.command == "tiles":
        cut(arguments)
    elif arguments.command == "audit":
        doubt(arguments.out, arguments.folds)
    elif arguments.command == "verify":
        verify()
    elif arguments.command == "fresh":
        forget()
    else:
        fetch(arguments.name, arguments.to, arguments.url)


def check() -> None:
    """Raises ParamsError or DataError for what would stop the pipeline, before DVC deletes."""
    from surface_crack.checks.inputs import check

    check()


def inspect(arguments: argparse.Namespace) -> None:
    """Write a report on whole photos. Raises DataError, also if any of them could not be read."""
    from surface_crack.inspection.run import Request, inspect

    options = {key: value for key, value in vars(arguments).items() if key != "command"}
    inspect(Request(**options))


def judge(arguments: argparse.Namespace) -> None:
    """Print scores and a verdict. Raises ParamsError or DataError; no verdict is an error."""
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


def cut(arguments: argparse.Namespace) -> None:
    """Write a zip of tiles. Raises DataError."""
    from surface_crack.cutting.tiles import cut

    cut(arguments.photos, arguments.labels, arguments.out, arguments.side, arguments.crack)


def doubt(out: Path, folds: int) -> None:
    """List labels, the most doubtful first. Raises ParamsError, DataError or TrainingError."""
    from surface_crack.audit.run import audit

    audit(out, folds)


def verify() -> None:
    """Raises DataError for a lock file that cannot be used, and if anything is damaged."""
    from surface_crack.checks import verify as module
    from surface_crack.evaluation.terms import counted
    from surface_crack.project.errors import DataError

    found = module.verify()
    for damage in found.damaged:
        log.error("%s\n    to mend it: %s", *damage)
    if found.missing:
        log.info(
            "not here (`dvc pull` or `dvc repro`, `make robustness export`): %s",
            ", ".join(found.missing),
        )
    if found.damaged:
        raise DataError(f"{counted(len(found.damaged), 'damaged file')}, see above")
    log.info("%d outputs and %d cached objects: all as recorded", found.outputs, found.objects)


def forget() -> None:
    """The next training starts over. Raises StageError while one runs."""
    from surface_crack.project import paths
    from surface_crack.project.errors import StageError
    from surface_crack.project.params import PIPELINE
    from surface_crack.project.stage import alone

    if not PIPELINE.exists():
        raise StageError(f"{PIPELINE} is missing here: run from the project's root folder")
    with alone("train"):
        log.info("%s", "forgotten" if paths.RESUME.exists() else "there is nothing to go on from")
        paths.RESUME.unlink(missing_ok=True)


def fetch(name: str, folder: Path, url: str | None) -> None:
    """Download, and say what comes next. Raises DownloadError."""
    from surface_crack.download.archive import download

    archive = download(name, folder, url)
    log.info("%s is ready. To use it, set in params.yaml:", archive)
    log.info("    raw: %s", archive.as_posix())
    if name == "sdnet":  # tiles of one photo: <kind>/<class>/<photo>-<tile>.jpg
        log.info(r"    group_pattern: ([^/]+)/[^/]+/(\d+)-\d+\.jpg")
    log.info("For `dvc exp run --temp` and `--queue`, let DVC track it first:")
    log.info("    dvc add %s", archive.as_posix())
    log.info("    git add %s.dvc", archive.as_posix())
