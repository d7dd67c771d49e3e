"""Write offline.html: page.html with the three Vega libraries in it, so that plots need no network.

    npm pack vega@5.20.2 vega-lite@5.2.0 vega-embed@6.18.2
    python .dvc/plots/build_offline.py FOLDER_WITH_THE_TARBALLS

The versions are those dvc-render asks a CDN for. Same tarballs, same bytes.
"""

import hashlib
import re
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
MARK = "<!--LIBRARIES-->"
SHA512 = {  # first 32 hex digits, of the tarballs on registry.npmjs.org
    "vega-5.20.2": "aa61fb683f4618fa6cb157712f5c6071",
    "vega-lite-5.2.0": "631720f0cbd87f11dc1ba05b91a293d2",
    "vega-embed-6.18.2": "c1c0f240f1382796a2083737fecb87e5",
}


def read_tarball(folder: Path, release: str) -> tuple[str, str]:
    """Return the minified library and its licence; ValueError if it is not the pinned one."""
    path = folder / f"{release}.tgz"
    if not hashlib.sha512(path.read_bytes()).hexdigest().startswith(SHA512[release]):
        raise ValueError(f"{path} is not {release} as published on npm")
    name = release.rpartition("-")[0]
    with tarfile.open(path) as tar:
        members = [f"package/build/{name}.min.js", "package/LICENSE"]
        files = [tar.extractfile(member) for member in members]
        code, licence = (file.read().decode() for file in files if file is not None)
    return code, licence


def script(release: str, code: str, licence: str) -> str:
    """Wrap a library in a script element that ends where it should and asks for no source map."""
    code = (
        re.sub(r"\n?//# sourceMappingURL=\S+", "", code).strip().replace("</script", r"<\/script")
    )
    return f"<script>\n/*! {release}\n{licence.strip()}\n*/\n{code}\n</script>"


def main(folder: Path) -> None:
    """Write licences and offline.html next to this file."""
    scripts = []
    for release in SHA512:
        code, licence = read_tarball(folder, release)
        name = release.rpartition("-")[0]
        (HERE / "LICENSES" / f"{name}.txt").write_text(licence, encoding="utf-8", newline="\n")
        scripts.append(script(release, code, licence))
    page = (HERE / "page.html").read_text(encoding="utf-8")
    page = page.replace(MARK, "\n".join([MARK, *scripts, MARK]))
    (HERE / "offline.html").write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
