"""How a program of this project starts, reads its settings, writes files, fails and ends.

Only one instance of a stage runs at a time, user errors are one line, and files are written whole
or not at all. Ctrl-C, a killed `dvc` and a full disk end a training cleanly, and the next run
resumes it. Every stage imports nearly all of this package.
"""
