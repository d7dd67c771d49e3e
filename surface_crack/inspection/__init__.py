"""Inspect whole photos and write a report: `surface-crack inspect`.

Each photo is scored in overlapping patches. The scores are combined into a grid of cells, and
flagged cells into regions. A quality check prevents photos that are unfit for inspection from being
reported as clean. The output is a set of tables, overlays and an HTML page. No stage of the
pipeline imports this package.
"""
