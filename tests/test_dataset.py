"""The tables and arrays between stages: an unreadable file is a one-line error."""

from pathlib import Path

import pytest

from surface_crack.dataset import read_images, read_index
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_bytes


@pytest.mark.parametrize("content", [b"", b"pickle", b"\x93NUMPY\x01\x00"])
def test_a_damaged_array_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bytes(paths.IMAGES, content)
    with pytest.raises(DataError, match=r"^[^\n]+ cannot be read \([^\n]+\): run `dvc repro`\Z"):
        read_images()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n4,5,6,7\n", b"path\n\xff\n"])
def test_a_damaged_table_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bytes(paths.INDEX, content)
    with pytest.raises(DataError, match=r"^[^\n]+ cannot be read \([^\n]+\): run `dvc repro`\Z"):
        read_index()
