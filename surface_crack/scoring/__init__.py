"""A trained model, ready for whole photos: the public API, and all that it takes.

A scorer is a network with its calibration, by PyTorch or by ONNX Runtime. It gives a probability
per patch; a score map gives one per part of a photo of any size. PyTorch is imported only where a
.safetensors file is loaded.
"""

from surface_crack.photos.decode import decode_photo
from surface_crack.scoring.score_map import scale_of, score_photo
from surface_crack.scoring.scorer import load_scorer

__all__ = ["decode_photo", "load_scorer", "scale_of", "score_photo"]
