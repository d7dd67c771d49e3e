"""Group photos that must stay together, and split the groups into train, validation and test set.

Exact copies, near-duplicates and photos of one place would leak from the training set into the test
set. They are found first and form groups; each group is then assigned to one set as a whole.
"""
