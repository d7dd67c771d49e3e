"""Large photos and their masks or boxes, cut into labelled tiles: `surface-crack tiles`.

A network learns from small photos with one label each. The outlines of cracks say which tiles show
one, and a rule says which tiles are left out as doubtful.
"""
