"""Public data sets of real photos: `surface-crack download`.

METU and SDNET2018 are downloaded over HTTP (interrupted downloads resume), checked, and stored as
one zip of class folders.
"""
