"""Statistics of the training photos: their typical size, and their mean and standard deviation."""

import numpy as np
from numpy.typing import NDArray


def photo_side(sizes: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    """Median of sqrt(width * height) of the photos `rows`; `sizes` (N, 2) are widths and heights.

    In pixels of the original files: the patch size at which a larger photo matches them.
    """
    return round(float(np.median(np.sqrt(sizes[rows].prod(axis=1)))), 2)


def pixel_statistics(
    images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per RGB channel, in [0, 255], of uint8 (N, S, S, 3) `images`.

    Computed from integer histograms, so that neither the order of rows nor the processor's vector
    width can change the last digit.
    """
    counts = np.zeros((3, 256), np.int64)
    for start in range(0, len(rows), 256):
        chunk = images[rows[start : start + 256]]
        for channel in range(3):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    levels = np.arange(256)
    pixels = counts.sum(axis=1)
    sums, squares = counts @ levels, counts @ (levels * levels)
    means, deviations = [], []
    for n, total, square in zip(pixels.tolist(), sums.tolist(), squares.tolist(), strict=True):
        variance = (n * square - total * total) / (n * n)  # exact integers until the division
        means.append(round(total / n, 4))
        deviations.append(max(round(variance**0.5, 4), 1.0))  # do not amplify a flat channel
    return means, deviations
