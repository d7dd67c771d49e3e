"""Listing photos in a zip, a folder, and a folder of both."""

import errno
import os
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from surface_crack.inspection.inputs import list_inputs
from surface_crack.photos.containers import walk
from surface_crack.photos.listing import (
    check_classes,
    class_labels,
    dvc_link_warning,
    git_tracking_warning,
    list_photos,
)
from surface_crack.photos.reader import Reader
from surface_crack.photos.unchanged import check_unchanged, stamps
from surface_crack.project.errors import DataError
from tests.support.makers import LIMITS, jpeg, metu_like, write_folder, write_zip

CLASSES = ["Negative", "Non-cracked", "UD"], ["Positive", "Cracked", "CD"]
LABELS = class_labels(*CLASSES)
SDNET = {"Decks/Cracked/7-1.jpg": jpeg(1, True), "Decks/Non-cracked/7-2.jpg": jpeg(2)}
SDNET |= {"Walls/Cracked/8-1.jpg": jpeg(3, True), "Walls/Non-cracked/8-2.jpg": jpeg(4)}


def rows(raw: Path, exclude: str = "") -> list[tuple[str, str, int]]:
    return [photo[:3] for photo in list_photos(raw, LABELS, exclude).photos]


def test_zip_and_folder_give_the_same_rows(tmp_path: Path) -> None:
    files = metu_like(3)
    shuffled = dict(reversed(files.items()))
    from_zip = rows(write_zip(tmp_path / "metu.zip", shuffled))
    assert from_zip == rows(write_folder(tmp_path / "metu", files))
    assert from_zip[0] == ("metu", "Negative/00000.jpg", 0)
    assert [label for *_, label in from_zip] == [0, 0, 0, 1, 1, 1]


def test_the_path_keeps_the_parent_folders(tmp_path: Path) -> None:
    assert ("sdnet", "Decks/Cracked/7-1.jpg", 1) in rows(write_zip(tmp_path / "sdnet.zip", SDNET))
    other = {"D/CD/7-1.jpg": jpeg(1, True), "D/UD/7-2.jpg": jpeg(2)}
    assert rows(write_folder(tmp_path / "x", other)) == [
        ("x", "D/CD/7-1.jpg", 1),
        ("x", "D/UD/7-2.jpg", 0),
    ]


@pytest.mark.parametrize("unpacked", ["", "metu", "sdnet", "metu sdnet"])
def test_a_collection_gives_the_rows_of_its_sources(tmp_path: Path, unpacked: str) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, files in (("metu", metu_like(2)), ("sdnet", SDNET)):
        if name in unpacked.split():
            write_folder(raw / name, files)
        else:
            write_zip(raw / f"{name}.zip", files)
    single = rows(write_zip(tmp_path / "metu.zip", metu_like(2)))
    single += rows(write_zip(tmp_path / "sdnet.zip", SDNET))
    assert rows(raw) == single


def test_system_files_do_not_make_a_source_a_collection(tmp_path: Path) -> None:
    raw = write_folder(tmp_path / "sdnet", SDNET)
    before = rows(raw)
    write_folder(raw, {f"__MACOSX/{name}": b"" for name in SDNET} | {"a/b/c/d/._1.jpg": b""})
    assert rows(raw) == before


def test_class_folders_match_in_any_case_and_unicode_form(tmp_path: Path) -> None:
    composed, decomposed = "Sch\u00e4den", "Scha\u0308den"
    for listed, there in ((composed, decomposed), (decomposed, composed.upper())):
        labels = class_labels(["Negative"], [listed])
        raw = write_folder(tmp_path / listed, {f"{there}/1.jpg": jpeg(1)})
        assert [photo.label for photo in list_photos(raw, labels).photos] == [1]


def test_a_source_twice_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "raw/metu.zip", metu_like(1))
    write_folder(tmp_path / "raw/metu", metu_like(1))
    with pytest.raises(DataError, match="contains the source 'metu' twice"):
        rows(tmp_path / "raw")


def test_exclude_leaves_rows_out_and_counts_them(tmp_path: Path) -> None:
    listing = list_photos(write_zip(tmp_path / "s.zip", SDNET), LABELS, r"^Walls/")
    assert {photo.path for photo in listing.photos} == {name for name in SDNET if "Decks" in name}
    assert listing.excluded == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no photo found in"),
        ({"Negative/1.jpg": b"x"}, "no positive photo in .* one of Positive, Cracked, CD"),
        ({"Positive/1.jpg": b"x"}, "no negative photo in"),
        (
            {**metu_like(1), "Maybe/1.jpg": b"x"},
            "folder 'Maybe' of 'Maybe/1.jpg' in .*raw.* neither",
        ),
        ({**metu_like(1), "1.jpg": b"x"}, "folder 'raw.*' of '1.jpg' in .* is in neither class"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_an_unusable_source_is_a_one_line_error(
    tmp_path: Path, files: dict[str, bytes], message: str, kind: str
) -> None:
    (tmp_path / "raw").mkdir()
    raw = tmp_path / "raw" if kind == "folder" else tmp_path / "raw.zip"
    (write_folder if kind == "folder" else write_zip)(raw, files)
    with pytest.raises(DataError, match=message) as caught:
        check_classes(raw, list_photos(raw, LABELS), *CLASSES)
    assert "\n" not in str(caught.value)


def test_one_class_is_listed_and_not_enough_to_train(tmp_path: Path) -> None:
    files = {name: content for name, content in metu_like(2).items() if "Positive" in name}
    raw = write_zip(tmp_path / "metu.zip", files)
    listing = list_photos(raw, LABELS)
    assert [photo.label for photo in listing.photos] == [1, 1]
    with pytest.raises(DataError, match="no negative photo in .* one of Negative, Non-cracked, UD"):
        check_classes(raw, listing, *CLASSES)


def test_a_missing_path_and_a_bad_zip_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: set raw in params.yaml"):
        rows(tmp_path / "none")
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(DataError, match="is not a readable zip"):
        rows(tmp_path / "page.zip")


def test_every_file_is_a_photo_or_listed_with_a_reason(tmp_path: Path) -> None:
    raw = write_folder(tmp_path / "raw", metu_like(1))
    extra = {"Negative/notes.txt": b"hm", "readme.md": b"x", "Negative/Thumbs.db": b"x"}
    extra |= {"__MACOSX/Negative/._1.jpg": b"x", ".DS_Store": b"x", "Negative/.hidden.jpg": b"x"}
    write_folder(raw, extra)
    os.mkfifo(raw / "Negative/pipe.jpg")
    (raw / "Negative/a.jpg").mkdir()
    write_folder(raw / "Negative/a.jpg", {"inner.txt": b"x"})
    (raw / "Positive/gone.jpg").symlink_to(raw / "nowhere")
    listing = list_photos(raw, LABELS)
    assert [photo.path for photo in listing.photos] == [
        "Negative/00000.jpg",
        "Negative/notes.txt",  # in a class folder, so the decoder reports it
        "Positive/00000.jpg",
    ]
    assert {(entry.path, entry.reason) for entry in listing.rejected} == {
        ("Negative/pipe.jpg", "not a regular file"),
        ("Positive/gone.jpg", "cannot be read: No such file or directory"),
    }
    assert {entry.path for entry in listing.clutter} == {
        *(set(extra) - {"Negative/notes.txt"}),
        "Negative/a.jpg/inner.txt",
    }


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    """For class folders, folders in them, and sources of a collection."""
    apart = write_folder(tmp_path / "apart", metu_like(3))
    write_folder(tmp_path / "raw/metu", {"Negative/1.jpg": b""})
    (tmp_path / "raw/metu/Positive").symlink_to(apart / "Positive")
    expected = ["Negative/1.jpg", *(f"Positive/0000{number}.jpg" for number in range(3))]
    assert [row[1] for row in rows(tmp_path / "raw/metu")] == expected
    (tmp_path / "linked").symlink_to(tmp_path / "raw/metu")
    assert [row[1] for row in rows(tmp_path / "linked")] == expected
    (tmp_path / "raw/site").symlink_to(apart)
    write_zip(tmp_path / "raw/more.zip", metu_like(1))
    with pytest.raises(DataError, match=r"folder that has already been read: remove it, or"):
        rows(tmp_path / "raw")  # its photos would count twice
    (tmp_path / "raw/site").unlink()
    (tmp_path / "raw/site").symlink_to(write_folder(tmp_path / "others", metu_like(2)))
    sources = [row[0] for row in rows(tmp_path / "raw")]
    assert Counter(sources) == {"metu": 4, "more": 2, "site": 4}

    before = stamps(tmp_path / "raw/metu")
    (apart / "Positive/00000.jpg").write_bytes(b"another")
    with pytest.raises(DataError, match=r"Positive/00000.jpg changed"):
        check_unchanged(tmp_path / "raw/metu", before)


@pytest.mark.parametrize("target", ["..", "/", "../Negative"])
def test_a_link_to_a_folder_already_read_is_an_error(tmp_path: Path, target: str) -> None:
    """It may contain many photos, so a single line in rejected.csv is not enough."""
    raw = write_folder(tmp_path / "raw", metu_like(1))
    (raw / "Positive/more").symlink_to(target)
    with pytest.raises(
        DataError,
        match="Positive/more is a link to a (parent of a )?folder that has already been read: "
        "remove it, or leave it out with exclude",
    ):
        list_photos(raw, LABELS)
    assert len(list_photos(raw, LABELS, exclude="more/$").photos) == 2


def test_a_windows_junction_is_not_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python treats it as a folder and does not call it a link."""
    raw = write_folder(tmp_path / "raw", {"Negative/1.jpg": b"", "Positive/1.jpg": b""})
    real = os.path.realpath
    again = str(raw / "Positive")
    monkeypatch.setattr(os.path, "realpath", lambda path: real(again if "Pos" in path else path))
    write_folder(raw, {"Pos/2.jpg": b""})
    problems = [folder.problem for folder in walk(raw) if folder.problem]
    assert problems == ["is a link to a folder that has already been read"]


def test_links_that_dvc_does_not_follow_give_a_warning(tmp_path: Path) -> None:
    apart = write_folder(tmp_path / "apart", metu_like(1))
    raw = tmp_path / "raw"
    raw.symlink_to(write_folder(tmp_path / "real", {"Negative/1.jpg": b"", "Positive/1.jpg": b""}))
    assert dvc_link_warning(raw, list_photos(raw, LABELS)) == ""
    (raw / "Negative/2.jpg").symlink_to(apart / "Negative/00000.jpg")
    assert dvc_link_warning(raw, list_photos(raw, LABELS)) == ""
    (raw / "Cracked").symlink_to(apart / "Positive")
    (raw / "Non-cracked").symlink_to(apart / "Negative")
    assert dvc_link_warning(raw, list_photos(raw, LABELS)) == (
        f"{raw}/Cracked (and 1 more) is a link to a folder, and DVC does not notice changes behind "
        "it: run `dvc repro --force prepare` after a change, or put the folder itself there"
    )


def test_exclude_matches_the_path_with_and_without_the_source(tmp_path: Path) -> None:
    files = dict.fromkeys(("Cracked/1.jpg", "Cracked/2.jpg", "Non-cracked/1.jpg"), b"")
    for name in ("one", "two"):
        write_zip(tmp_path / f"{name}.zip", files)
    for exclude, left in (("/1", 2), ("^Cracked/1", 4), ("^one/Cracked/1", 5), ("^one/", 3)):
        listing = list_photos(tmp_path, LABELS, exclude=exclude)
        assert (len(listing.photos), listing.excluded) == (left, 6 - left)


def test_files_that_git_would_commit_give_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data/raw", {"site/Cracked/1.jpg": b"", "site/.DS_Store": b""})
    raw, site = Path("data/raw"), Path("data/raw/site")
    assert git_tracking_warning(raw) == ""  # no repository here
    subprocess.run(["git", "init", "-q"], check=True)
    message = (
        "2 files in {} are neither tracked by DVC nor ignored by git, so `dvc exp run` would "
        "commit them to git: run `dvc add data/raw/site` first"
    )
    assert git_tracking_warning(raw) == message.format(raw)
    assert git_tracking_warning(site) == message.format(site)
    assert git_tracking_warning(tmp_path / "data/raw/site").startswith("2 files in ")
    (site / ".DS_Store").unlink()
    assert git_tracking_warning(raw).startswith("data/raw/site/Cracked/1.jpg is neither tracked")
    assert git_tracking_warning(Path("elsewhere")) == git_tracking_warning(tmp_path.parent) == ""
    (raw / ".gitignore").write_text("/site\n")  # as `dvc add` does it
    (raw / "site.dvc").write_text("outs:\n")
    subprocess.run(["git", "add", "data/raw/.gitignore"], check=True)
    assert git_tracking_warning(raw) == git_tracking_warning(site) == ""


def test_the_error_for_no_photo_has_the_reason_of_the_first_file(tmp_path: Path) -> None:
    write_folder(tmp_path / "raw", {"readme.md": b""})
    (tmp_path / "raw/Cracked").symlink_to("nowhere")
    with pytest.raises(
        DataError,
        match=r"2 other files, for example 'Cracked': cannot be read: No such file or directory",
    ):
        list_photos(tmp_path / "raw", LABELS)


def test_an_unreadable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its photos would be missing silently. Simulated, because root can read every folder."""
    raw = write_folder(tmp_path / "raw", SDNET)

    def scandir(path: str, real: Callable[[str], object] = os.scandir) -> object:
        if str(path).endswith("Walls/Cracked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="raw/Walls/Cracked cannot be read: Permission denied: ma"):
        list_photos(raw, LABELS)
    assert len(rows(raw, "Walls/")) == 2
    before = stamps(raw)
    assert str(raw / "Walls/Cracked") in before
    monkeypatch.undo()
    with pytest.raises(DataError, match="Walls/Cracked.* changed"):
        check_unchanged(raw, before)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files, on Linux")
def test_a_thread_keeps_only_one_archive_open(tmp_path: Path) -> None:
    names = [f"{letter}.zip" for letter in "abcd"]
    for name in names:
        write_zip(tmp_path / name, {f"Positive/{name}.jpg": name.encode()})
    with Reader(LIMITS.max_bytes) as reader:
        for photo in list_photos(tmp_path, LABELS).photos * 2:
            assert reader.read(photo) == photo.container.name.encode()
            opened = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
            assert [x for x in opened if x.endswith(".zip")] == [str(photo.container.resolve())]


def test_windows_paths_in_a_zip_are_converted(tmp_path: Path) -> None:
    files = {f".\\{name}".replace("/", "\\"): content for name, content in metu_like(2).items()}
    raw = write_zip(tmp_path / "metu.zip", files)
    assert rows(raw) == rows(write_folder(tmp_path / "metu", metu_like(2)))


def test_a_class_folder_as_raw_is_an_error(tmp_path: Path) -> None:
    raw = write_folder(tmp_path, metu_like(1)) / "Positive"
    (raw / "notes.txt").write_text("hm")
    listing = list_photos(raw, LABELS)
    assert [photo[:3] for photo in listing.photos] == [("Positive", "00000.jpg", 1)]
    assert [entry.path for entry in listing.clutter] == ["notes.txt"]
    with pytest.raises(DataError, match="is itself a class folder: put the class folders"):
        check_classes(raw, listing, *CLASSES)


def test_the_name_of_a_folder_source_keeps_its_suffix(tmp_path: Path) -> None:
    for month in ("05", "06"):
        write_folder(tmp_path / "raw" / f"2021.{month}", {"a/Negative/1.jpg": jpeg(1)})
    write_folder(tmp_path / "raw/v1.2", {"Positive/1.jpg": jpeg(2)})
    sources = [photo.source for photo in list_photos(tmp_path / "raw", LABELS).photos]
    assert sources == ["2021.05", "2021.06", "v1.2"]
    (photo,) = list_photos(tmp_path / "raw/v1.2", LABELS).photos
    assert photo.source == "v1.2"


def test_a_tilde_is_not_expanded() -> None:
    with pytest.raises(DataError, match=r"'~/x.zip' does not exist \(~ is not expanded"):
        list_photos(Path("~/x.zip"), LABELS)


def test_a_part_of_a_split_zip_is_an_error(tmp_path: Path) -> None:
    """The last part lists all photos, and Python's zipfile opens it as a zip."""
    whole = write_zip(tmp_path / "whole.zip", metu_like(2)).read_bytes()
    end = whole.rindex(b"PK\5\6")
    last = whole[100:end] + b"PK\5\6\2\0\2\0" + whole[end + 8 :]
    for name, content in (
        ("site.z01", b"PK\7\10" + whole[:100]),
        ("site.z02", whole[100:200]),
        ("site.zip", last),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} is one part of a split zip: join the parts"):
            list_photos(tmp_path / name, LABELS)
        with pytest.raises(DataError, match=f"{name} is one part of a split zip: join the parts"):
            list_inputs([tmp_path / name], tmp_path / "out")
    assert len(rows(tmp_path / "whole.zip")) == 4


def test_unsafe_and_duplicate_names_in_a_zip_are_rejected(tmp_path: Path) -> None:
    raw = write_zip(
        tmp_path / "raw.zip", metu_like(1) | {"../Negative/x.jpg": b"x", "/Negative/y.jpg": b""}
    )
    with zipfile.ZipFile(raw, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("Negative/00000.jpg", b"other")
    listing = list_photos(raw, LABELS)
    assert len(listing.photos) == 2
    assert {entry.reason for entry in listing.rejected} == {
        "its path escapes the archive",
        "a second entry of the same name",
    }
    with Reader(LIMITS.max_bytes) as reader:
        assert reader.read(listing.photos[0]) == metu_like(1)["Negative/00000.jpg"]


def test_a_limit_without_a_parameter_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surface_crack.photos.reader.MAX_FILE", 1234)
    write_folder(tmp_path / "x", {"Negative/1.jpg": bytes(1235)})
    (photo,) = list_photos(tmp_path / "x", LABELS).photos
    with Reader() as reader, pytest.raises(DataError, match=r"^1,235 bytes, more than 1,234$"):
        reader.read(photo)
