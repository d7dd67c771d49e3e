"""Appearance clusters: places are separated, cracks are not, and units are never split."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from surface_crack.splitting.appearance import appearance_clusters, appearance_features

PLACES, PHOTOS = 6, 40


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """Six places of their own colour and coarseness; every other photo has a dark line."""
    rng = np.random.default_rng(0)
    photos = []
    for place in range(PLACES):
        colour = rng.integers(60, 190, 3)
        coarse = 2 + 3 * place
        for number in range(PHOTOS):
            photo = colour + rng.normal(0, coarse, (64, 64, 1)) + rng.normal(0, 1, 3)
            if number % 2:
                photo[20:26] = 20
            photos.append(photo.clip(0, 255).astype(np.uint8))
    return np.stack(photos)


def units_of(images: NDArray[np.uint8]) -> list[str]:
    """A name for each photo, in random order."""
    return [hashlib.sha256(image).hexdigest() for image in images]


def test_clusters_separate_places_and_not_cracks(images: NDArray[np.uint8]) -> None:
    order = np.random.default_rng(1).permutation(len(images))  # no runs: appearance alone
    shuffled = images[order]
    found = appearance_clusters(
        appearance_features(shuffled), ["x"] * len(order), units_of(shuffled)
    )
    places = pd.Series(order // PHOTOS).groupby(found).nunique()
    assert (places == 1).all()
    assert PLACES <= len(places) <= len(images) // 20


def test_units_are_never_split(images: NDArray[np.uint8]) -> None:
    units = [str(number % 30) for number in range(len(images))]  # each spans all places
    found = appearance_clusters(appearance_features(images), ["x"] * len(images), units)
    assert pd.Series(found).groupby(units).nunique().max() == 1


def test_an_outlier_in_a_run_gets_the_cluster_of_its_neighbours() -> None:
    """By itself, the photo would be assigned to another place."""
    features = np.repeat([0.0, 2.0], 40)[:, None] + np.random.default_rng(0).normal(
        0, 0.05, (80, 7)
    )
    features[20] = 1.1
    units = [str(number) for number in np.random.default_rng(1).permutation(80)]
    in_order = appearance_clusters(features, ["x"] * 80, units)
    assert len(set(in_order[:40])) == 1
    shuffled = appearance_clusters(features, [str(number) for number in range(80)], units)
    assert shuffled[20] != shuffled[19]


def test_adding_a_photo_changes_few_clusters(images: NDArray[np.uint8]) -> None:
    units = [f"b{unit}" for unit in units_of(images)]
    folders = [str(number % 7) for number in range(len(images))]  # no runs
    before = appearance_clusters(appearance_features(images), folders, units)
    more = np.concatenate([images, images[:1] // 2])
    after = appearance_clusters(appearance_features(more), [*folders, "y"], [*units, "c"])
    moved = sum(one != other for one, other in zip(before, after, strict=False))
    assert moved <= 0.1 * len(images)  # with other initial clusters, all would move


def test_the_same_photos_give_the_same_clusters(images: NDArray[np.uint8]) -> None:
    units = units_of(images)
    once, again = (
        appearance_clusters(appearance_features(images), ["x"] * len(images), units)
        for _ in range(2)
    )
    assert once == again


@pytest.mark.parametrize("count", [1, 3, 50])
def test_identical_photos_form_one_cluster(count: int) -> None:
    images = np.full((count, 64, 64, 3), 120, np.uint8)
    units = [str(number) for number in range(count)]
    assert len(appearance_clusters(appearance_features(images), ["x"] * count, units)) == count
