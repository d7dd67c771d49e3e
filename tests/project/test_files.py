"""Files are written atomically, and the same content gives the same bytes."""

import csv
import math
from pathlib import Path

import pandas as pd
import pytest

from surface_crack.project.errors import DataError
from surface_crack.project.files import atomic_write, read_json, write_csv, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a/b.txt"
    write_text(target, "old\n")

    def fail_halfway() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_bytes() == b"old\n"
    assert list(target.parent.iterdir()) == [target]


def test_json_is_sorted_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "ä"})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "a": "ä",\n  "b": 1\n}\n'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "y.json", {"a": math.nan})
    assert not (tmp_path / "y.json").exists()


def test_csv_quotes_special_characters_in_file_names(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", ("path", "label"), [('a,"b"\n.jpg', 1), ("NA", 0)])
    content = (tmp_path / "x.csv").read_bytes()
    rows = list(csv.reader(content.decode().splitlines(keepends=True)))
    assert rows == [["path", "label"], ['a,"b"\n.jpg', "1"], ["NA", "0"]]
    assert b"\r" not in content


def test_a_carriage_return_in_a_name_does_not_end_the_line(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("path", "label"), [("a\rb.jpg", 1), ("c\r\nd.jpg", 0)])
    read = pd.read_csv(tmp_path / "a.csv")
    assert read["label"].tolist() == [1, 0]
    assert read["path"].tolist() == ["a\\rb.jpg", "c\\r\nd.jpg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is missing: run"), ("{", "is not JSON"), ("[1]", "must hold a JSON object, got list")],
)
def test_an_invalid_json_file_is_a_one_line_error(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "x.json")
