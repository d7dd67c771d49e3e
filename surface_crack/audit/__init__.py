"""Which labels are most likely wrong? `surface-crack audit`.

Training and validation photos are dealt into folds. A network trained on the other folds says what
it thinks of each label, and the labels that it contradicts most firmly come first.
"""
