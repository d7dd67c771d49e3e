"""Stage 1: draw the synthetic sample, so that the pipeline runs without any real photo.

reads   nothing
writes  data/sample/synthetic.zip   227 x 227 JPEGs in Negative/ and Positive/, half of each

These are drawings, not photographs: results on them show that the pipeline works, nothing more.
"""

import logging

from surface_crack.project import paths
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage
from surface_crack.sample.photo import write_sample

log = logging.getLogger("sample")


def main() -> None:
    p = read_params("sample")
    write_sample(paths.SAMPLE, p.sample_seed, p.sample_photos)
    log.info("%d synthetic photos in %s", p.sample_photos, paths.SAMPLE)


if __name__ == "__main__":
    run_stage("sample", main)
