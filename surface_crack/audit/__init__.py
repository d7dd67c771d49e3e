"""Which labels are most likely wrong? `surface-crack audit`.

Training and validation photos are scored out of fold, by cross-validation, and ranked by their
label-error score: how strongly a network that was not trained on a photo contradicts its label.
"""
