"""Scores under blur, noise, bad light, JPEG, rotation and other distances.

Test photos are disturbed at full size and scored again. Recall and specificity under each
disturbance are compared with those of the same photos undisturbed.
"""
