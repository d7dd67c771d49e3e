"""The networks, the training loop of one epoch, checkpoints and the model file.

The stage `train` imports every module of this package, and reruns when one of them changes. So do
not add a module that `train` does not import.
"""
