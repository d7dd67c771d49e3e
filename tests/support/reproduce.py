"""Run the pipeline on the sample in two clones and compare every byte: `make reproduce`.

The second clone has another time zone, locale and hash seed of Python.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from surface_crack.project import paths
from surface_crack.project.console import run
from surface_crack.project.errors import StageError
from tests.support.project import ROOT, Project

log = logging.getLogger("reproduce")
ELSEWHERE = {  # with this encoding, DVC itself fails below a folder like "ä"
    **{"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu"},
    **{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


def outputs(project: Project) -> dict[str, bytes]:
    """Contents of all outputs in dvc.lock, and of dvc.lock itself."""
    lock = project.root / "dvc.lock"
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
    names = [out["path"] for stage in stages for out in stage["outs"]]
    return {name: (project.root / name).read_bytes() for name in [*names, lock.name]}


def main() -> None:
    """Raises StageError if a byte differs."""
    dirty = Project(ROOT).git("status", "--porcelain", "--untracked-files=no").strip()
    if dirty:
        log.warning("the clones contain the last commit, without these changes:\n%s", dirty)
    with TemporaryDirectory(prefix="surface-crack-") as folder:
        made = []
        for name, environment in (("one", {}), ("another clone", ELSEWHERE)):
            project = Project(Path(folder) / name, **environment)
            log.info("running the pipeline in %s", project.root)
            Project(ROOT).git("clone", "-q", str(ROOT), str(project.root))
            project.set(raw=paths.SAMPLE)  # clones hold no photos
            project.dvc("repro", "--force")
            made.append(outputs(project))
        log.info("the committed dvc.lock %s", compared_with_git(project))
    one, other = made
    differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    if differing:
        raise StageError(f"files differ between the clones: {', '.join(differing)}")
    log.info("%d files, byte-identical in both clones", len(one))


def compared_with_git(project: Project) -> str:
    """Made on another type of processor, dvc.lock may differ: see docs/reliability.md."""
    changed = project.git("diff", "--stat", "--", "dvc.lock")
    return "differs: made on another machine, or not up to date" if changed else "is the same"


if __name__ == "__main__":
    run("reproduce", main)
