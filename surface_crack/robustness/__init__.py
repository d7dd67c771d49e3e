"""What blur, noise, bad light, JPEG, rotation and distance cost.

Test photos are disturbed at full size and scored again. Recall and specificity of each disturbance
are set beside those of the same photos undisturbed.
"""
