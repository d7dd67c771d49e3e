"""Run a stage and log the files that it opened and imported: `python watch_stage.py STAGE LOG`,
STAGE as in `stages/STAGE.py`. Files that no longer exist at the end, such as locks, do not count.

Uses Python's audit hooks, which report every file that Python code opens,
https://peps.python.org/pep-0578/.
"""

import json
import os
import runpy
import sys
from pathlib import Path

ROOT = Path.cwd()
READ: set[str] = set()
WRITTEN: set[str] = set()


def inside(path: object) -> str | None:
    """The path relative to the project, or None if it lies outside."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    full = Path(os.path.normpath(ROOT / os.fsdecode(path)))  # does not resolve links
    return full.relative_to(ROOT).as_posix() if full.is_relative_to(ROOT) else None


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and (path := inside(arguments[0])):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        (WRITTEN if flags & (os.O_WRONLY | os.O_RDWR) else READ).add(path)
    elif event == "os.rename":  # a finished temporary file gets its name
        if old := inside(arguments[0]):
            WRITTEN.discard(old)
        if new := inside(arguments[1]):
            WRITTEN.add(new)


def existing(paths: set[str]) -> set[str]:
    return {path for path in paths if Path(path).exists()}


def main() -> None:
    stage, log = sys.argv[1:]
    sys.path.insert(0, str(ROOT))
    sys.argv = [f"stages/{stage}.py"]
    sys.addaudithook(hook)
    runpy.run_module(f"stages.{stage.replace('/', '.')}", run_name="__main__", alter_sys=True)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    known = [file for file in files if file and Path(file).exists()]  # torch has fake names
    imported = {path for file in known if (path := inside(file))}
    imported.add(f"stages/{stage}.py")  # ran as __main__
    Path(log).write_text(
        json.dumps(
            {
                "read": sorted(
                    path for path in existing(READ) if not path.endswith((".py", ".pyc"))
                ),
                "written": sorted(path for path in existing(WRITTEN) if not path.endswith(".pyc")),
                "imported": sorted(imported),
            }
        )
    )


if __name__ == "__main__":
    main()
