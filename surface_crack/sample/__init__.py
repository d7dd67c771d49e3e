"""Synthetic photos of concrete, so that the pipeline runs without any real photo.

A photo is a wall seen by a camera. Distractors (joints, scratches, stains) are placed on the wall,
and every second photo gets a crack. The label affects nothing but the crack.
"""
