"""Coverage-guided fuzzing of params.yaml and of zips: `make fuzz`, or for a number of seconds
`python -m tests.support.fuzz params 60`.

Any outcome but a result or a one-line SurfaceCrackError is a failure: fuzzing stops with a
traceback, and the input is saved in .fuzz/. The corpus is also there; it starts from the project's
settings and the zips of rubbish.py. Uses atheris, https://github.com/google/atheris.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["surface_crack", "yaml", "zipfile"]):
    from surface_crack.photos.decode import NotAPhoto
    from surface_crack.photos.listing import class_labels, list_photos
    from surface_crack.photos.reader import Reader, read_file
    from surface_crack.project.errors import SurfaceCrackError
    from surface_crack.project.params import parse_params

from tests.support import rubbish
from tests.support.project import ROOT

MAX_BYTES = 4096  # of an input
LABELS = class_labels(["Negative"], ["Positive"])


def one_line(error: Exception) -> None:
    assert str(error), "an error without a message"
    assert "\n" not in str(error), error


def params(content: bytes) -> None:
    try:
        parse_params(content.decode(errors="replace"))
    except SurfaceCrackError as error:
        one_line(error)


def archive(content: bytes) -> None:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        raw = Path(folder) / "raw.zip"
        raw.write_bytes(content)
        try:
            photos = list_photos(raw, LABELS).photos
        except SurfaceCrackError as error:
            one_line(error)
            return
        with Reader(1 << 20) as reader:
            for photo in photos:
                try:
                    assert len(read_file(reader, photo)) <= 1 << 20
                except NotAPhoto as reason:
                    one_line(reason)


def seeds(target: str) -> list[bytes]:
    if target == "params":
        texts = [(ROOT / name).read_text("utf-8") for name in ("params.yaml", "docs/site.yaml")]
        return [re.sub(" *#.*", "", text).encode() for text in texts]
    each = [rubbish.zipped([entry]) for kind in rubbish.entries() for entry in kind.entries]
    whole = [content for kind in rubbish.archives() for content in kind.archives]
    return [content for content in each + whole if len(content) <= MAX_BYTES]


def main() -> None:
    target, seconds = sys.argv[1:]
    corpus = ROOT / ".fuzz" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(content)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=10"]
    options += [f"-artifact_prefix={ROOT / '.fuzz'}/", "-rss_limit_mb=1000", "-print_final_stats=1"]
    atheris.Setup(
        [sys.argv[0], *options, str(corpus)], {"params": params, "archive": archive}[target]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
