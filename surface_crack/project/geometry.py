"""Sizes that follow from how the networks are built, known without PyTorch."""

STRIDE = 8  # of CrackNet: input pixels per feature position, where tiles of a dense pass may start
CONTEXT_STRIDE = 16  # the same of its `context`, and with `normalise: local`
MIN_SIZE = 48  # of CrackNet, pixels: one feature position
SQUARE = 16  # with `normalise: local`, side of the squares whose means normalise what is around
HALO = 64  # likewise, pixels around a patch that bear on it
NORMALISE = ("dataset", "photo", "local")
NOTEBOOK_SIZE = 120  # the only image size that the notebook's network takes, pixels


def min_size(context: int) -> int:
    """Pixels a side that CrackNet takes at least: one position of its last layer."""
    return 2 * CONTEXT_STRIDE * (context + 1) if context else MIN_SIZE
