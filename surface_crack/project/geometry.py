"""Sizes fixed by the architectures, in pixels; importable without PyTorch."""

STRIDE = 8  # CrackNet's input pixels per feature position: patches of a dense pass start on these
CONTEXT_STRIDE = 16  # the same with `context` layers or `normalise: local`
MIN_SIZE = 48  # CrackNet's smallest input: one feature position
SQUARE = 16  # `normalise: local` averages pixels over squares of this side
HALO = 64  # with `normalise: local`, pixels around a patch that influence it
NORMALISE = ("dataset", "photo", "local")
NOTEBOOK_SIZE = 120  # the only input size of the notebook's network


def min_size(context: int) -> int:
    """CrackNet's smallest input side, in pixels: one position of its last layer."""
    return 2 * CONTEXT_STRIDE * (context + 1) if context else MIN_SIZE
