"""Stages that plain `dvc repro` does not run: run one by name or with its `make` target."""
