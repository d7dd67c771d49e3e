"""The networks, one epoch of training, and the file that a model becomes.

The stage `train` imports every module of this room, and trains again when one of them changes.
So nothing may be put here that it does not import.
"""
