"""Group photos by look, where no file name tells which of them were taken at the same place.

First, neighbours in a folder that look alike form a run, as tiles cut from one large photo do, and
each photo takes on the mean look of its run. Then k-means puts photos of similar look together.
Neither alone does as well: docs/decisions.md has the measurement, and what this cannot promise.
"""

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

Features = NDArray[np.float64]
Indices = NDArray[np.int64]

CLUSTERS = 50  # clusters, at most
FEWEST = 20  # photos per cluster, on average
ALIKE = 1.2  # distance of neighbours in a run, in standard deviations per feature
ORDERED = 0.7  # ratio of distances, of neighbours to strangers, below which the order tells
CHUNK = 256  # photos of 64 pixels at a time


def appearance_features(images: NDArray[np.uint8]) -> Features:
    """Colour, brightness and coarseness of uint8 (N, S, S, 3): (N, 7), each with spread 1.

    Medians, so that a crack, which covers little, hardly counts.
    """
    chunk = max(1, CHUNK * 64**2 // images.shape[1] ** 2)
    parts = [_describe(images[start : start + chunk]) for start in range(0, len(images), chunk)]
    features: Features = np.concatenate(parts)
    low, middle, high = np.quantile(features, [0.16, 0.5, 0.84], axis=0)
    scaled: Features = (features - middle) / np.maximum((high - low) / 2, 1e-6)
    return scaled


def _describe(images: NDArray[np.uint8]) -> Features:
    photos = images.astype(np.float32)
    red, green, blue = np.median(photos.reshape(len(photos), -1, 3), axis=1).T
    columns = [red - green, blue - green, (red + green + blue) / 3]
    grey = photos @ np.array([0.299, 0.587, 0.114], np.float32)
    for _ in range(4):  # from fine to coarse
        slopes = [np.abs(np.diff(grey, axis=axis)).reshape(len(grey), -1) for axis in (1, 2)]
        columns.append(np.log(np.median(np.hstack(slopes), axis=1) + 0.3))
        side = grey.shape[1] // 2
        grey = grey[:, : 2 * side, : 2 * side].reshape(-1, side, 2, side, 2).mean(axis=(2, 4))
    return np.stack(columns, axis=1).astype(np.float64)


def appearance_clusters(
    features: Features, folders: Sequence[str], units: Sequence[str]
) -> list[str]:
    """The look of each photo, called after one of the `units`; a unit has one look.

    `features` (N, F) in the order of the photos' paths; `folders` and `units` say of each photo
    where it lies and what it must stay together with. Clusters start from the units whose names
    come first. As those are hashes, one photo more hardly ever changes what looks there are.
    """
    names, unit = np.unique(np.array(units), return_inverse=True)
    runs = _runs(features, folders)
    mean_of_unit = _means(_means(features, runs)[runs], unit)
    _, first = np.unique(mean_of_unit, axis=0, return_index=True)  # units of one run are equal
    first = np.sort(first)[: max(1, min(CLUSTERS, len(features) // FEWEST))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # photos all alike
        _, clusters = kmeans2(mean_of_unit, mean_of_unit[first], iter=30, minit="matrix")
    return [str(names[first[cluster]]) for cluster in clusters[unit].tolist()]


def _runs(features: Features, folders: Sequence[str]) -> Indices:
    """A number for each run of neighbours that lie in one folder and look alike.

    Only in folders whose order tells something: where neighbours differ about as much as photos
    half the folder apart, each photo is a run of its own.
    """
    first = [row for row in range(len(folders)) if row == 0 or folders[row] != folders[row - 1]]
    cut = np.ones(len(features), bool)
    for start, end in pairwise([*first, len(features)]):
        part = features[start:end]
        half = len(part) // 2
        step = _distance(part[1:], part[:-1])
        if half and np.median(step) < ORDERED * np.median(_distance(part[half:], part[:-half])):
            cut[start + 1 : end] = step > ALIKE
    return np.cumsum(cut) - 1


def _distance(one: Features, other: Features) -> Features:
    distance: Features = np.sqrt(np.mean((one - other) ** 2, axis=1))
    return distance


def _means(features: Features, members: Indices) -> Features:
    """(G, F): mean of the rows of each of the members' G groups."""
    sums = np.zeros((members.max() + 1, features.shape[1]))
    np.add.at(sums, members, features)
    return sums / np.bincount(members)[:, None]
