"""The stages of the pipeline, one page each, in the order of dvc.yaml."""

import sys

from surface_crack.signals import guard

if sys.argv[0] == "-m":  # `python -m stages.train` comes here first, seconds before torch is there
    guard()
