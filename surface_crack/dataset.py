"""The packed photos and their train, validation and test sets, as arrays and tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surface_crack.project import paths
from surface_crack.project.errors import DataError, one_line
from surface_crack.project.files import write_text


@dataclass(frozen=True)
class Subset:
    """Some of the packed photos, with labels. `images` is memory-mapped from disk, not a copy."""

    images: NDArray[np.uint8]  # (N, S, S, 3) RGB, all packed photos
    rows: NDArray[np.int64]  # (n,) the photos of this subset
    labels: NDArray[np.int64]  # (n,) 1 = positive (cracked), 0 = negative

    def __len__(self) -> int:
        return len(self.rows)


def read_index() -> pd.DataFrame:
    """index.csv; row n, from 0, is photo n. File names such as "NA" are not parsed as missing."""
    return _read_csv(paths.INDEX, {"path": str, "source": str, "sha256": str})


def read_history() -> pd.DataFrame:
    """history.csv, one row per epoch."""
    return _read_csv(paths.HISTORY, {})


def read_classes() -> pd.DataFrame:
    """classes.csv: source, class, photos."""
    return _read_csv(paths.PLOTS / "classes.csv", {"source": str, "class": str})


def read_folders() -> pd.DataFrame:
    """folders.csv; scores that are undefined for a folder are blank."""
    return _read_csv(paths.METRICS / "folders.csv", {"source": str, "folder": str})


def read_groups() -> pd.DataFrame:
    """groups.csv: row, group, rule; row n, from 0, is photo n."""
    return _read_csv(paths.GROUPS, {"row": np.int64, "group": str, "rule": str})


def read_near_duplicates() -> pd.DataFrame:
    """near_duplicates.csv: row, near_duplicate, similarity; one pair per line."""
    types: dict[str, type] = {"row": np.int64, "near_duplicate": np.int64, "similarity": np.float64}
    return _read_csv(paths.NEAR_DUPLICATES, types)


def read_images() -> NDArray[np.uint8]:
    """All packed photos, uint8 (N, S, S, 3), memory-mapped. Raises DataError."""
    try:
        images: NDArray[np.uint8] = np.load(paths.IMAGES, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(paths.IMAGES, error) from None
    return images


def read_split(name: str) -> pd.DataFrame:
    """Columns row and label of the set `name`: train, val or test."""
    return _read_csv(paths.SPLIT / f"{name}.csv", {"row": np.int64, "label": np.int64})


def read_val_sources() -> pd.DataFrame:
    """Columns row and source of the validation set, in its order."""
    return _read_csv(paths.VAL_SOURCES, {"row": np.int64, "source": str})


def load_split(name: str) -> Subset:
    """Load the set `name`: train, val or test. Raises DataError if a file is missing."""
    rows = read_split(name)
    return Subset(read_images(), rows["row"].to_numpy(), rows["label"].to_numpy())


def read_logits() -> pd.DataFrame:
    """Columns row, label and logit (float32) of the validation set, from the kept weights."""
    return _read_csv(paths.LOGITS, {"row": np.int64, "label": np.int64, "logit": np.float32})


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, index column first, atomically."""
    write_text(path, frame.to_csv(lineterminator="\n"))


def _read_csv(path: Path, types: dict[str, type]) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=types, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read ({one_line(error)}): run `dvc repro`")
