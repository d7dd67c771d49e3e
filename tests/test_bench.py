"""The helpers of the benchmarks: published tables, splits, archives of windows."""

import hashlib
import re
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import adaptation, general, machine
from bench.pipeline import run
from bench.transfer import roc_auc_within
from bench.windows import make_archives
from tests.support.makers import metu_like, write_zip
from tests.support.project import ROOT


def test_publish_replaces_the_text_between_the_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "performance.md"
    page.write_text("a\n<!-- one -->\n<!-- /one -->\nb\n<!-- two -->\nold\n<!-- /two -->\nc\n")
    monkeypatch.setattr(machine, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["bench/thing.py", "raw.zip", "--write"])
    machine.publish("one", "first", write=True)
    machine.publish("one", "second", write=True)
    machine.publish("two", "not written", write=False)
    assert page.read_text() == (
        "a\n<!-- one -->\n`python -m bench.thing raw.zip`\n\nsecond\n<!-- /one -->\nb\n"
        "<!-- two -->\nold\n<!-- /two -->\nc\n"
    )


def test_each_table_has_its_markers_on_the_page() -> None:
    page = (ROOT / machine.PAGE).read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("*.py"))
    names = re.findall(r'publish\(\s*"(\w+)"', code)
    assert len(names) >= 6
    for name in names:
        assert page.count(f"<!-- {name} -->\n") == page.count(f"<!-- /{name} -->\n") == 1


def test_roc_auc_compares_only_photos_of_the_same_fold() -> None:
    labels = np.array([1, 0, 1, 1, 0, 0, 1])
    folds = np.array([1, 1, 2, 2, 2, 2, 3])
    probability = np.array([0.2, 0.1, 0.9, 0.6, 0.7, 0.3, 0.0])
    # Fold 1: its only pair is ranked correctly; fold 2: three of four; fold 3 has no pair.
    assert roc_auc_within(labels, probability, folds) == pytest.approx(4 / 5)
    assert np.isnan(roc_auc_within(labels[:1], probability[:1], folds[:1]))


def test_archives_hold_the_requested_number_of_windows(tmp_path: Path) -> None:
    raw = write_zip(tmp_path / "raw.zip", metu_like(10))
    archives = make_archives(raw, [5, 90], tmp_path)  # 20 photos, so each is cut into nine
    contents = {}
    for count, path in archives.items():
        with zipfile.ZipFile(path) as archive:
            contents[count] = {name: archive.read(name) for name in archive.namelist()}
        assert len(contents[count]) == len(set(contents[count].values())) == count
    assert contents[5].items() <= contents[90].items()
    folders = {name.partition("/")[0] for name in contents[90]}
    assert folders == {"Negative", "Positive"}
    with Image.open(BytesIO(next(iter(contents[90].values())))) as image:
        assert (image.format, image.size) == ("JPEG", (48, 48))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_and_time_of_a_process_are_measured(tmp_path: Path) -> None:
    code = "import time; x = bytearray(50_000_000); time.sleep(0.3)"
    (tmp_path / "hungry.py").write_text(code)
    found = run("python hungry.py", tmp_path)
    assert 0.3 <= found.seconds < 30
    assert 50 < found.private < 100
    assert found.private < found.all < 200


def photos_of_all_sources() -> pd.DataFrame:
    """Like index.csv, with groups: 120 photos of SDNET2018, two tiles each; 400 of each other."""
    rows = [
        (source, f"{kind}/{label}/{number}-{tile}.jpg", f"{kind}/{number}", f"{source}{number}")
        for source, first, count in (("sdnet", 0, 20), ("sdnet-more", 100, 100))
        for number in range(first, first + count)
        for kind in ("Decks",)
        for tile, label in ((1, "Cracked"), (2, "Non-cracked"))
    ]
    rows += [
        (source, f"{source}/{number}.jpg", "", f"{source}{number}")
        for source in ("metu", "drone", "bridges")
        for number in range(400)
    ]
    frame = pd.DataFrame(rows, columns=["source", "path", "photo", "group"])
    frame["group"] = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in frame["group"]]
    return frame


def test_the_sets_of_the_general_model_share_no_photo_and_no_training_group() -> None:
    index = photos_of_all_sources()
    tile = index.index[index["photo"] == general.assign_sets(index).whole[0]][0]
    duplicate = index.index[(index["source"] == "sdnet-more")][-1]
    index.loc[duplicate, "group"] = index["group"][tile]  # a near-duplicate in another photo
    sets = general.assign_sets(index)
    test = np.concatenate(list(sets.test.values()))
    assert set(sets.test) == {"SDNET2018", "metu", "bridges"}
    assert len(sets.whole) == 9
    assert index["photo"][sets.test["SDNET2018"]].nunique() == 45
    rows_of = [set(rows.tolist()) for rows in (sets.train, sets.val, test)]
    assert not rows_of[0] & rows_of[1]
    assert not rows_of[0] & rows_of[2]
    assert not rows_of[1] & rows_of[2]
    groups = [set(index["group"][list(rows)]) for rows in rows_of]
    assert not groups[0] & (groups[1] | groups[2])
    assert set(index["source"][sets.train]) == {"sdnet", "sdnet-more", "metu", "drone"}
    assert set(index["source"][sets.val]) == {"sdnet", "sdnet-more", "metu", "drone"}


def test_a_draw_keeps_groups_together() -> None:
    index = pd.DataFrame({"group": [f"g{n // 3}" for n in range(300)]})
    own, others = adaptation.draw(index, 100, 0)
    assert len(own) == 99
    assert sorted([*own, *others]) == list(range(300))
    assert not set(index["group"][own]) & set(index["group"][others])
    assert set(own) != set(adaptation.draw(index, 100, 1)[0])
