"""Photos of one look come together, whatever shows on them; what must not be parted is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from surface_crack.looks import look_clusters, look_features

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


def test_places_are_told_apart_and_cracks_are_not(images: NDArray[np.uint8]) -> None:
    order = np.random.default_rng(1).permutation(len(images))  # no runs: look alone
    units = [str(number) for number in order]
    clusters = look_clusters(look_features(images[order]), ["x"] * len(order), units)
    place = order // PHOTOS
    for cluster in set(clusters.tolist()):
        assert len(set(place[clusters == cluster].tolist())) == 1
    assert len(set(clusters.tolist())) <= len(images) // 20


def test_photos_of_a_unit_are_never_parted(images: NDArray[np.uint8]) -> None:
    units = [str(number % 30) for number in range(len(images))]  # each spans all places
    clusters = look_clusters(look_features(images), ["x"] * len(images), units)
    for unit in set(units):
        assert len({c for c, u in zip(clusters.tolist(), units, strict=True) if u == unit}) == 1


def test_neighbours_pull_a_photo_along(images: NDArray[np.uint8]) -> None:
    """A photo between two looks goes where its run goes."""
    features = look_features(images)
    features[PHOTOS // 2] += 0.9  # alone it would differ
    clusters = look_clusters(features, ["x"] * len(images), [str(n) for n in range(len(images))])
    assert len(set(clusters[: PHOTOS // 2 + 1].tolist())) == 1


def test_the_same_photos_give_the_same_clusters(images: NDArray[np.uint8]) -> None:
    units = [str(number) for number in range(len(images))]
    once, again = (
        look_clusters(look_features(images), ["x"] * len(images), units) for _ in range(2)
    )
    assert np.array_equal(once, again)


def test_photos_that_all_look_the_same() -> None:
    images = np.full((50, 64, 64, 3), 120, np.uint8)
    clusters = look_clusters(look_features(images), ["x"] * 50, [str(n) for n in range(50)])
    assert len(clusters) == 50
