"""Stages that plain `dvc repro` does not run: ask for one by name, or call its `make` target."""
