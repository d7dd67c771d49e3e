"""The two classes: their labels, and their names in params.yaml, tables and charts."""

NEGATIVE, POSITIVE = 0, 1  # no crack, a crack
CLASSES = ("negative", "positive")  # by label
