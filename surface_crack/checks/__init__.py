"""Is everything as it should be? `surface-crack check` and `surface-crack verify`.

`check` looks at params.yaml and the photos before a run, `verify` at outputs and DVC's cache after
one. Both say what is wrong and how to repair it.
"""
