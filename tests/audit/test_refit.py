"""The train stage on other rows: how its errors are reported."""

from pathlib import Path

import pytest

from surface_crack.audit.refit import _train
from surface_crack.project.errors import TrainingError
from tests.support.makers import write_folder

LOG = "sys.stdout.buffer.write(b'train: 99 \\xff\\n'); sys.stdout.flush()"


@pytest.mark.parametrize(
    ("end", "error", "message"),
    [
        ("sys.exit('train: error: loss is nan: lower lr')", TrainingError, "^loss is nan: lower"),
        ("[][0]", RuntimeError, "(?s)^training failed:\ntrain: 99.*IndexError: list index out of"),
        (
            "os.kill(os.getpid(), 9)",
            TrainingError,
            "^training was killed, with exit code -9",
        ),
    ],
)
def test_a_failed_training_reports_its_error(
    tmp_path: Path, end: str, error: type[Exception], message: str
) -> None:
    code = f"import os, sys\n{LOG}\n{end}\n"
    write_folder(tmp_path, {"stages/__init__.py": b"", "stages/train.py": code.encode()})
    with pytest.raises(error, match=message):
        _train(tmp_path)
