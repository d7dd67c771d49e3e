"""No input file can run code: this project never unpickles, evaluates code, or uses a shell.

The check reads the syntax tree, so comments may name the forbidden functions, and aliases do not
hide them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from surface_crack.dataset import read_images
from surface_crack.project.errors import DataError
from tests.support.project import ROOT

TREES = (".dvc/plots", "bench", "stages", "surface_crack", "tests")
MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
NAMES = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"),
    *("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
    *("pandas.read_pickle", "pandas.read_hdf", "pandas.eval", "numpy.loads"),
    *(f"yaml.{kind}load{many}" for kind in ("", "full_", "unsafe_") for many in ("", "_all")),
    *(f"yaml.{kind}Loader" for kind in ("", "Full", "Unsafe", "C")),
    *("shutil.unpack_archive", "tempfile.mktemp"),
}
KEYWORDS = {"allow_pickle", "shell"}  # allowed only with a literal False
METHODS = {"extractall", "read_pickle", "to_pickle"}


def unsafe(source: str) -> Iterator[str]:
    """Yield the forbidden names that a module uses, fully qualified."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                known[name.asname or name.name.split(".")[0]] = (
                    name.name if name.asname else name.name.split(".")[0]
                )
                yield from {name.name.split(".")[0]} & MODULES
        elif isinstance(node, ast.ImportFrom):
            known |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            yield from {str(node.module).split(".")[0]} & MODULES
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield from {full_name(node, known)} & NAMES
        if isinstance(node, ast.Attribute):
            yield from {node.attr} & METHODS
        if isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            harmless = isinstance(node.value, ast.Constant) and node.value.value is False
            yield from () if harmless else (node.arg,)


def full_name(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def test_no_module_uses_an_unsafe_function() -> None:
    files = [path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py"))]
    assert len(files) > 80
    found = {str(path.relative_to(ROOT)): list(unsafe(path.read_text("utf-8"))) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch as t; t.load('x')",
        "from torch import load as read; read('x')",
        "import numpy as np; np.load('x', allow_pickle=True)",
        "import numpy as np; np.load('x', allow_pickle=trusted)",
        "import pandas as pd; pd.read_pickle('x')",
        "import yaml; yaml.load('x', yaml.SafeLoader)",
        "from yaml import unsafe_load; unsafe_load('x')",
        "list(map(eval, texts))",
        "import subprocess; subprocess.run('ls', shell=True)",
        "import zipfile; zipfile.ZipFile('x').extractall()",
    ],
)
def test_unsafe_functions_are_detected(source: str) -> None:
    assert list(unsafe(source))


def test_similar_safe_functions_are_allowed() -> None:
    source = (
        "import re, numpy as np; re.compile('x'); model.eval(); np.load('x', allow_pickle=False)"
    )
    assert list(unsafe(source)) == []


def test_packed_photos_that_contain_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/prepared/images.npy"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"cposix\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(DataError, match="images.npy cannot be read"):
        read_images()
    assert not (tmp_path / "ran").exists()
