"""May the model be used on photos from elsewhere? `surface-crack validate`.

Labelled photos are scored and grouped as in training. Scores, their intervals and a few rules give
a verdict, in words and as JSON, with the mistakes as a picture.
"""
