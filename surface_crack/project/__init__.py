"""How a program of this project starts, reads its settings, writes, fails and ends.

A stage runs once at a time, tells mistakes in one line, and leaves whole files or none. A training
takes minutes, so Ctrl-C, a killed `dvc` and a full disk are normal events: they end it tidily, and
the next run goes on. Every stage imports nearly all of this room.
"""
