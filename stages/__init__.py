"""The stages of the pipeline, one module each, in the order of dvc.yaml."""

import sys

from surface_crack.project.signals import install_handlers
from surface_crack.project.streams import protect_streams

if sys.argv[0] == "-m":  # `python -m stages.train` runs this first, seconds before torch is loaded
    protect_streams()  # before any file is opened and kept open
    install_handlers()
