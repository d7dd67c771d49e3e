"""From the scores of a photo to a report: `surface-crack inspect`.

No stage of the pipeline imports anything from here.
"""
