"""Normalise names of files and folders across operating systems."""

import unicodedata


def folder_key(name: str) -> str:
    """The name in Unicode NFC (macOS decomposes accents) and case-folded, for comparisons."""
    return unicodedata.normalize("NFC", name).casefold()


def readable(name: str) -> str:
    """The name with undecodable bytes and carriage returns escaped (\\x.., \\r).

    Python before 3.13 does not quote carriage returns in CSV, and pandas takes them for line ends.
    """
    return name.encode(errors="backslashreplace").decode().replace("\r", "\\r")
