"""Score whole photos with a trained model: the public API.

A scorer is a network with its calibration, run by PyTorch or ONNX Runtime, that gives a probability
per patch. A score map holds the probabilities of all patches of a photo of any size. PyTorch is
imported only to load a .safetensors file.
"""

from surface_crack.photos.decode import decode_photo
from surface_crack.scoring.score_map import scale_of, score_photo
from surface_crack.scoring.scorer import load_scorer

__all__ = ["decode_photo", "load_scorer", "scale_of", "score_photo"]
