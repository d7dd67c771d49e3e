"""Errors that the user can fix.

SurfaceCrackError
├── ParamsError      params.yaml: a typo, a wrong type, a value out of range
├── DataError        photos, archives, and files passed between stages
├── TrainingError    a training that cannot produce a usable model
├── StageError       a stage that is already running here
└── DownloadError    a data set that could not be downloaded

Each message is one line: what, where, got, fix. Programs exit with code 1 and no traceback
(`surface_crack.project.console.run`); a traceback means a bug in this project.
"""


class SurfaceCrackError(Exception):
    """Wrong input or environment; the message says how to fix it."""


class ParamsError(SurfaceCrackError):
    """params.yaml is missing or invalid."""


class DataError(SurfaceCrackError):
    """A photo, an archive or a stage's file is missing, unreadable or invalid."""


class TrainingError(SurfaceCrackError):
    """Training cannot produce a usable model."""


class StageError(SurfaceCrackError):
    """Another process is running this stage here."""


class DownloadError(SurfaceCrackError):
    """A data set could not be downloaded from any of its addresses."""


def one_line(error: Exception) -> str:
    """The error's message on one line, or its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__
