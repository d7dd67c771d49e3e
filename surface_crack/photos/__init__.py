"""From raw files to one packed array: what the stage `prepare` does.

A folder or zip is listed, each file is read once, decoded, turned upright and made small. What is
no photo is rejected with its reason, and never dropped in silence.
"""
