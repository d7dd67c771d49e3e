"""The two classes: integer labels, and names as in params.yaml, tables and charts."""

NEGATIVE, POSITIVE = 0, 1  # no crack, crack
CLASSES = ("negative", "positive")  # indexed by label
