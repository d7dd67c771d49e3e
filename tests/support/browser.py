"""A real, headless Chromium without a network: what a reader of an HTML page sees.

Used by the tests of pages that must work from a disk; they skip where no Chromium is installed.
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
    """Open `page` in a fresh profile, let its scripts finish, and come back."""
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
    """Write what a window of `width` x `height` CSS pixels shows of `page`."""
    run(page, f"--window-size={width},{height}", "--hide-scrollbars", f"--screenshot={png}")
    return png
