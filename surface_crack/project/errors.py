"""What can go wrong on the user's side.

SurfaceCrackError
├── ParamsError      params.yaml: a typo, a wrong type, a value out of range
├── DataError        photos, archives and the files that stages hand on
├── TrainingError    a run that cannot give a usable model
├── StageError       a stage that runs here already
└── DownloadError    a data set that could not be fetched

Each message is one line: what, where, got, fix. Programs end them with exit code 1 and no
traceback (`surface_crack.project.console.run`); a traceback is for our own bugs.
"""


class SurfaceCrackError(Exception):
    """The user's input or surroundings are at fault, and the message says how to mend it."""


class ParamsError(SurfaceCrackError):
    """params.yaml does not say what it should."""


class DataError(SurfaceCrackError):
    """A photo, an archive or a stage's file is missing, unreadable or not what it should be."""


class TrainingError(SurfaceCrackError):
    """Training cannot give a usable model."""


class StageError(SurfaceCrackError):
    """Another process runs this stage here."""


class DownloadError(SurfaceCrackError):
    """A data set could not be fetched from any of its addresses."""


def one_line(error: Exception) -> str:
    """What it says, or its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
