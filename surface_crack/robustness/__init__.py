"""What blur, noise, bad light, JPEG, rotation and distance cost.

Test photos are disturbed at full size, scored again, and the scores are set beside the plain ones.
"""
