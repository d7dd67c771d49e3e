"""Photos of concrete that never was, so that the pipeline runs before any real photo is at hand.

A photo is a wall and a camera. Marks that only look like cracks are laid on the wall; in every
second photo a crack is carved into it. The label decides on the crack alone.
"""
