"""Check inputs and outputs: `surface-crack check` and `surface-crack verify`.

`check` validates params.yaml and the photos before a run, `verify` outputs and DVC's cache after
one. Both say what is wrong and how to fix it.
"""
