"""May the model be used on photos from another site? `surface-crack validate`.

Labelled photos are scored, and grouped as for training. Scores, their 95 % confidence intervals and
a few rules give a verdict, written as text and JSON, with a gallery of the mistakes.
"""
