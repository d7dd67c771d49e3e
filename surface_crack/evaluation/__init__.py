"""From logits to probabilities, scores, charts and reports.

Logits become calibrated probabilities and decisions. These give scores with 95 % confidence
intervals, tables per folder, charts, a report and the model card.
"""
