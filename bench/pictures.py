"""Make the pictures in the documentation from the outputs of the last `dvc repro`.

    dvc repro && dvc plots show && python -m bench.pictures

A synthetic wall, six times as wide as the photos of the sample, with the overlay of `surface-crack
inspect`, and the plots page in a headless Chromium. No real photos are used, so all can be shared.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from surface_crack.inspection.overlay import draw_pictures
from surface_crack.inspection.photo import Settings, inspect_photo
from surface_crack.project import paths
from surface_crack.sample import chance, cracks, marks, photo, shapes
from surface_crack.sample import wall as surface
from surface_crack.scoring.scorer import load_scorer
from tests.support.browser import screenshot

FOLDER = Path("docs/images")
SIDE, SEED = 6 * chance.SIZE, 2
CROP = (0, 462, 1362, 1362)  # left, upper, right, lower: without the emptier part


def main() -> None:
    content = BytesIO()
    Image.fromarray(wall()).crop(CROP).save(content, "PNG")
    scorer = load_scorer(paths.MODEL, paths.DECISION)
    settings = Settings(scorer.threshold)
    found, whole = inspect_photo(scorer, content.getvalue(), settings)
    draw_pictures(found, whole.image, settings).overlay.save(FOLDER / "inspect.jpg", quality=80)
    screenshot(Path("dvc_plots/index.html"), FOLDER / "plots_page.png", 1280, 1132)


def wall() -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.int32)
    for module in (chance, cracks, marks, photo, shapes, surface):
        for name, value in {"SIZE": SIDE, "Y": y, "X": x}.items():
            if hasattr(module, name):
                setattr(module, name, value)
    drawn = surface.concrete(photo.stream_of(SEED, 0, 0))
    for number in range(2):
        cracks.crack(photo.stream_of(SEED, number, 1), drawn)
    drawn.light[:] = 256 + (drawn.light - 256) // 8  # else the corners would be black at this size
    return photo.photograph(photo.stream_of(SEED, 0, 3), drawn)


if __name__ == "__main__":
    main()
