"""Cluster photos by appearance, if no file name tells which were taken at the same place.

First, similar neighbours in a folder form a run (for example tiles of one large photo), and each
photo gets the mean features of its run. Then k-means clusters photos of similar appearance. Either
step alone works less well: docs/decisions.md has the measurement and the limits.
"""

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

Features = NDArray[np.float64]
Indices = NDArray[np.int64]

MAX_CLUSTERS = 50
PHOTOS_PER_CLUSTER = 20  # on average, at least
MAX_STEP = 1.2  # distance of neighbours in a run, in standard deviations per feature
ORDERED = 0.7  # a folder is ordered if neighbours / distant photos have a smaller distance ratio
CHUNK = 256  # photos of 64 pixels at a time


def appearance_features(images: NDArray[np.uint8]) -> Features:
    """Colour, brightness and coarseness of uint8 (N, S, S, 3): (N, 7), each scaled to spread 1.

    Medians, so that a crack, which covers little area, has little effect.
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
    """Appearance cluster of each photo, named after one of the `units`; units are never split.

    `features` (N, F) in the order of the photos' paths; `folders` has the folder of each photo and
    `units` what it must stay together with. K-means starts from the units whose names come first.
    As these are hashes, adding a photo hardly ever changes the initial clusters.
    """
    names, unit = np.unique(np.array(units), return_inverse=True)
    runs = _runs(features, folders)
    mean_of_unit = _means(_means(features, runs)[runs], unit)
    _, first = np.unique(mean_of_unit, axis=0, return_index=True)  # units of one run are equal
    first = np.sort(first)[: max(1, min(MAX_CLUSTERS, len(features) // PHOTOS_PER_CLUSTER))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # all photos are equal
        _, clusters = kmeans2(mean_of_unit, mean_of_unit[first], iter=30, minit="matrix")
    return [str(names[first[cluster]]) for cluster in clusters[unit].tolist()]


def _runs(features: Features, folders: Sequence[str]) -> Indices:
    """Run number of each photo: similar neighbours in one folder form a run.

    Only in ordered folders: if neighbours differ about as much as photos half the folder apart,
    each photo is a run of its own.
    """
    first = [row for row in range(len(folders)) if row == 0 or folders[row] != folders[row - 1]]
    cut = np.ones(len(features), bool)
    for start, end in pairwise([*first, len(features)]):
        part = features[start:end]
        half = len(part) // 2
        step = _distance(part[1:], part[:-1])
        if half and np.median(step) < ORDERED * np.median(_distance(part[half:], part[:-half])):
            cut[start + 1 : end] = step > MAX_STEP
    return np.cumsum(cut) - 1


def _distance(one: Features, other: Features) -> Features:
    distance: Features = np.sqrt(np.mean((one - other) ** 2, axis=1))
    return distance


def _means(features: Features, members: Indices) -> Features:
    """(G, F): mean features of each group; `members` (N,) has the group of each row."""
    sums = np.zeros((members.max() + 1, features.shape[1]))
    np.add.at(sums, members, features)
    return sums / np.bincount(members)[:, None]
