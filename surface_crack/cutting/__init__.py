"""Cut large photos and their masks or boxes into labelled tiles: `surface-crack tiles`.

The network is trained on small photos with one label each. The annotated cracks determine the label
of each tile; a rule skips tiles whose label would be ambiguous.
"""
