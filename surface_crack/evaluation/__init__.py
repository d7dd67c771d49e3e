"""From logits to numbers, words and pictures.

Logits become calibrated probabilities and decisions; decisions become scores with 95 % intervals,
tables per folder, charts, a report and the model card.
"""
