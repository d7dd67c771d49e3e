"""Names of files and folders, spelt alike wherever they come from."""

import unicodedata


def folder_key(name: str) -> str:
    """One spelling of a name, whatever its case and whether its accents are letters of their own,
    as macOS has them.
    """
    return unicodedata.normalize("NFC", name).casefold()


def readable(name: str) -> str:
    """A file name that is no text, as old systems leave them, with \\x escapes.

    Without carriage returns, too: Python before 3.13 does not quote them, and pandas stops there.
    """
    return name.encode(errors="backslashreplace").decode().replace("\r", "\\r")
