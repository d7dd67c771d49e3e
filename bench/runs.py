"""Run stages of the pipeline in a separate folder, without DVC."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from surface_crack.project.params import PARAMS, PIPELINE


def new_folder(folder: Path, raw: Path, changed: Mapping[str, object]) -> None:
    """Create a folder with dvc.yaml and params.yaml, where `raw` and `changed` override params."""
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    folder.mkdir()
    (folder / PIPELINE).write_bytes(PIPELINE.read_bytes())
    (folder / PARAMS).write_text(_dumped({**params, "raw": str(raw), **changed}), encoding="utf-8")


def set_params(folder: Path, changed: Mapping[str, object]) -> None:
    params = yaml.safe_load((folder / PARAMS).read_text(encoding="utf-8"))
    (folder / PARAMS).write_text(_dumped({**params, **changed}), encoding="utf-8")


def run_stages(folder: Path, *stages: str) -> None:
    """Run stages in order. Raises CalledProcessError, after printing the stage's messages."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    for stage in stages:
        command = [sys.executable, "-m", f"stages.{stage}"]
        done = subprocess.run(command, cwd=folder, env=environment, stderr=subprocess.PIPE)
        if done.returncode:
            sys.stderr.buffer.write(done.stderr)
            done.check_returncode()


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _dumped(params: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(params), sort_keys=False)
