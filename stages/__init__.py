"""The stages of the pipeline, one page each, in the order of dvc.yaml."""

import sys

from surface_crack.project.signals import guard
from surface_crack.project.streams import steady

if sys.argv[0] == "-m":  # `python -m stages.train` comes here first, seconds before torch is there
    steady()  # before anything is opened that stays open
    guard()
