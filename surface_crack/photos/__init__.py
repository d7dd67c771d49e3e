"""From raw files to one packed array: the stage `prepare`.

A folder or zip is listed; each file is read once, decoded, rotated upright and resized. Files that
are not photos are rejected with a reason, never dropped silently.
"""
