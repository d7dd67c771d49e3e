"""Stage 3: find out which photos must stay together, so that no twin is trained on and judged by.

reads   data/prepared/images.npy     pixels, for near-copies and looks
        data/prepared/index.csv      hashes, for exact copies; paths, for `group_pattern`
writes  data/groups.csv              row, group, rule: what ties a photo to its group
        data/twins.csv               row, twin, similarity: pairs of copies and of near-copies

Near-copies may be mirrored, turned, cropped, re-encoded or brightened. The seed has no part here.
"""

import logging
from collections import Counter

import numpy as np

from surface_crack import paths
from surface_crack.artifacts import write_csv
from surface_crack.console import run
from surface_crack.dataset import read_images, read_index
from surface_crack.grouping import Grouped, equals, group_photos, pattern_keys
from surface_crack.looks import look_clusters, look_features
from surface_crack.params import read_params
from surface_crack.twins import find_twins

log = logging.getLogger("group")


def main() -> None:
    p = read_params("group")
    index, images = read_index(), read_images()
    names = (index["source"] + "/" + index["path"]).tolist()
    keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())

    copied = equals(index["sha256"].tolist())
    originals = np.flatnonzero(~index["sha256"].duplicated())  # copies would crowd out other twins
    twins = find_twins(images, originals)
    pairs = [(one, other) for one, other in twins.pairs.tolist()]
    rows = [(*pair, "1.000") for pair in copied]
    rows += [(*pair, f"{x:.3f}") for pair, x in zip(pairs, twins.similarity, strict=True)]
    write_csv(paths.TWINS, ("row", "twin", "similarity"), sorted(rows))

    if p.group_by == "nothing":  # only for comparison
        ties, contents = {}, (index["sha256"] + names).tolist()
    else:
        ties, contents = {"copy": copied, "twin": pairs}, index["sha256"].tolist()
    groups = group_photos(contents, keys, ties)
    if p.group_by == "look":
        folders = [name.rpartition("/")[0] for name in names]
        units = [photo.group for photo in groups]
        ties["look"] = equals(look_clusters(look_features(images), folders, units).tolist())
        groups = group_photos(contents, keys, ties)

    write_csv(paths.GROUPS, Grouped._fields, groups)
    sizes = Counter(photo.group for photo in groups)
    rules = Counter(photo.rule for photo in groups)
    log.info(
        "%d photos in %d groups, at most %d in one (%s)",
        *(len(groups), len(sizes), max(sizes.values())),
        ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items())),
    )


if __name__ == "__main__":
    run("group", main)
