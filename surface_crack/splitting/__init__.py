"""Who trains, who chooses, who is tested, and which photos must stay together for that.

Copies, near-duplicates and photos of one place would leak from training into the test. They are
found first and become groups; whole groups are then assigned to train, validation and test.
"""
