"""Whole photos to a report: `surface-crack inspect`.

Each photo is scored patch by patch. Scores become cells and regions, with sizes; a quality check
keeps a photo from being called clean that cannot be judged. What comes out are tables, overlays and
a page. No stage of the pipeline imports anything from here.
"""
