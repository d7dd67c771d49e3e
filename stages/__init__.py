"""The stages of the pipeline, one page each, in the order of dvc.yaml."""
