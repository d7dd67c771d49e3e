"""Optional stage: scores under blur, noise, bad light, JPEG, rotation and other distances.

reads   raw (params.yaml)            the photos, disturbed at full size
        data/prepared/index.csv      paths and hashes
        data/split/test.csv          rows and labels of the test set
        models/crack.safetensors     the network that `train` kept
        models/decision.json         temperature and threshold, chosen on the validation set
writes  metrics/robustness.json      accuracy, recall, specificity per disturbance and strength
        metrics/robustness.txt       the same as a table
        plots/robustness.png         accuracy and recall as a chart
        plots/disturbed.png          one photo of each class under all disturbances

No other stage reads these outputs: nothing is chosen by them.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from surface_crack.dataset import Subset, read_index, read_split
from surface_crack.evaluation import figures
from surface_crack.evaluation.calibration import Decision, read_decision
from surface_crack.evaluation.terms import shortened_list
from surface_crack.network.model import Model
from surface_crack.network.model_file import load_model
from surface_crack.network.training import pick_device, predict
from surface_crack.photos.decode import NotAPhoto, original, resized
from surface_crack.photos.listing import Photo, class_labels, list_photos
from surface_crack.photos.reader import Reader, read_file
from surface_crack.project import paths
from surface_crack.project.errors import DataError
from surface_crack.project.files import write_json, write_text
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage
from surface_crack.robustness.disturbances import DISTURBANCES, views
from surface_crack.robustness.scores import (
    LEVELS,
    UNDISTURBED,
    Level,
    choose_photos,
    find_photos,
    robustness_text,
    scores,
)
from surface_crack.threads import cores, in_order

log = logging.getLogger("robustness")
BATCH = 8  # photos of 28 images each, scored at once; bounds memory


Views = dict[Level, NDArray[np.uint8]]  # (images, S, S, 3) of one photo, resized for the network


def main() -> None:
    p = read_params("robustness")
    model, config = load_model(paths.MODEL)
    model, decision = model.to(pick_device()), read_decision(paths.DECISION, paths.MODEL)
    test = read_split("test").set_index("row")
    test = choose_photos(test.join(read_index()[["source", "path", "sha256"]]), p.robustness_images)
    labels = test["label"].to_numpy()
    listing = list_photos(Path(p.raw), class_labels(p.negative, p.positive), p.exclude)
    photos = list(zip(find_photos(listing, test), test["sha256"], strict=True))

    with Reader(p.max_bytes) as reader:

        def disturb(photo: tuple[Photo, str]) -> Views:
            return disturbed(reader, *photo, config["image_size"], p.max_pixels)

        views_of_photos = in_order(disturb, photos, cores())
        progress = tqdm(views_of_photos, "robustness", len(photos), unit="photo", disable=None)
        probability = predict_levels(model, decision, iter(progress))
        examples = [labels.tolist().index(label) for label in (1, 0)]
        example_views = [disturb(photos[place]) for place in examples]

    found = scores(labels, {level: decision.decide(x) for level, x in probability.items()})
    write_json(paths.METRICS / "robustness.json", found)
    sources = sorted(test["source"].unique())
    text = robustness_text(found, sources, decision.threshold)
    write_text(paths.METRICS / "robustness.txt", text)
    figures.robustness(found, DISTURBANCES, shortened_list(sources), paths.PLOTS / "robustness.png")
    draw_examples(
        example_views, [{level: x[place] for level, x in probability.items()} for place in examples]
    )
    plain = found[UNDISTURBED[0]]
    log.info(
        "%d photos, accuracy %.2f %%, recall %.2f %% undisturbed; see %s",
        *(len(test), 100 * plain["accuracy"], 100 * plain["recall"]),
        paths.METRICS / "robustness.txt",
    )


def disturbed(reader: Reader, photo: Photo, sha256: str, size: int, max_pixels: int) -> Views:
    """Return the photo under every disturbance, resized to the network's input size.

    Raises DataError if the file is not the one that `prepare` read.
    """
    try:
        content = read_file(reader, photo)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NotAPhoto("not the file that `prepare` read")
        image = original(content, max_pixels)
    except NotAPhoto as reason:
        raise DataError(
            f"{photo.path} in {photo.container}: {reason}: run `dvc repro` again"
        ) from None
    shown = {UNDISTURBED: resized(image, size)[None]}
    for level in LEVELS:
        pictures = views(image, *level, seed=int(sha256, 16))
        shown[level] = np.stack([resized(picture, size) for picture in pictures])
    return shown


def predict_levels(
    model: Model, decision: Decision, photos: Iterator[Views]
) -> dict[Level, NDArray[np.float64]]:
    """P(crack) (n,) of n photos at each level: the maximum over the images of a view."""
    batches = []
    while some := list(islice(photos, BATCH)):
        stacks = [pictures for photo in some for pictures in photo.values()]
        pixels = np.concatenate(stacks)
        every = np.arange(len(pixels))
        probability = decision.probabilities(predict(model, Subset(pixels, every, 0 * every)))
        starts = np.cumsum([0, *map(len, stacks[:-1])])
        batches.append(np.maximum.reduceat(probability, starts).reshape(len(some), -1))
    return dict(zip([UNDISTURBED, *LEVELS], np.concatenate(batches).T, strict=True))


def draw_examples(photos: Sequence[Views], probability: Sequence[dict[Level, float]]) -> None:
    """Draw the first photo of each class under every disturbance; each row starts undisturbed."""
    pictures, captions = [], []
    for photo, likely in zip(photos, probability, strict=True):
        for kind, of in DISTURBANCES.items():
            for level in (UNDISTURBED, *((kind, strength) for strength in of.strengths)):
                pictures.append(mosaic(photo[level]))
                captions.append(f"{level[0]} {level[1] or ''}\nP {likely[level]:.3f}")
    title = (
        "A positive (above) and a negative test photo (below) under all disturbances, at the "
        "network's input size; P: probability of a crack"
    )
    figures.gallery(pictures, captions, title, paths.PLOTS / "disturbed.png", columns=8)


def mosaic(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One image unchanged, or four (4, S, S, 3) as a grid with white borders: (S', S', 3)."""
    if len(pictures) == 1:
        return pictures.squeeze(0)
    framed = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in (framed[:2], framed[2:])])


if __name__ == "__main__":
    run_stage("robustness", main)
