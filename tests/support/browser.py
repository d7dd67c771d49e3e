"""Render HTML pages in a headless Chromium without a network.

For tests of pages that must work from disk; they are skipped if Chromium is not installed.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the network is off
    "--enable-logging=stderr",
    "--v=0",
]
CONSOLE = re.compile(r":(?:INFO|WARNING|ERROR):CONSOLE[^\]]*\] (.*)")


class Page(NamedTuple):
    """A page after its scripts have run."""

    dom: str  # serialised HTML
    console: list[str]  # what scripts logged, and their uncaught errors


def run(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open `page` in a fresh profile and wait until its scripts have finished."""
    assert CHROMIUM is not None, "skip the test when browser.CHROMIUM is None"
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        return subprocess.run(
            [
                CHROMIUM,
                *FLAGS,
                f"--user-data-dir={profile}",
                "--virtual-time-budget=20000",  # virtual milliseconds: the wait is not real
                *flags,
                page.resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )


def render(page: Path, width: int = 1280, height: int = 900) -> Page:
    """Return the DOM of `page` after its scripts have run, and the console's lines."""
    done = run(page, f"--window-size={width},{height}", "--dump-dom")
    return Page(done.stdout, CONSOLE.findall(done.stderr))


def screenshot(page: Path, png: Path, width: int = 1280, height: int = 2400) -> Path:
    """Save a screenshot of `page` in a window of `width` x `height` CSS pixels."""
    run(page, f"--window-size={width},{height}", "--hide-scrollbars", f"--screenshot={png}")
    return png
