"""Public data sets of real photos: `surface-crack download`.

METU and SDNET2018 are fetched over HTTP, resumed where the line broke, checked, and kept as one
zip of class folders.
"""
