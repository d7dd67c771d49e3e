"""Stage 3: find photos that must stay together, so that nothing leaks into the test set.

reads   data/prepared/images.npy     pixels, for copies, near-duplicates and appearance
        data/prepared/index.csv      paths, for `group_pattern`; hashes, which name the groups
writes  data/groups.csv              row, group, rule: what links a photo to its group
        data/near_duplicates.csv     row, near_duplicate, similarity: pairs; copies with the first
        data/manifests/group.json    digests: which files are of one run

Copies have equal pixels. Near-duplicates may be mirrored, rotated, cropped, re-encoded or
brightened. The result does not depend on the seed.
"""

import logging
from collections import Counter

from surface_crack.dataset import read_images, read_index
from surface_crack.project import paths
from surface_crack.project.files import write_csv
from surface_crack.project.manifest import write_manifest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage
from surface_crack.splitting.appearance import appearance_clusters, appearance_features
from surface_crack.splitting.groups import Grouped, group_photos, pattern_keys, singleton_groups
from surface_crack.splitting.near_duplicates import find_duplicates
from surface_crack.splitting.ties import equal_pairs

log = logging.getLogger("group")


def main() -> None:
    p = read_params("group")
    index, images = read_index(), read_images()
    keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())

    copies, near = find_duplicates(images)
    pairs: list[tuple[int, int]] = [(one, other) for one, other in near.pairs.tolist()]
    rows = [(*pair, "1.000") for pair in copies]
    rows += [(*pair, f"{x:.3f}") for pair, x in zip(pairs, near.similarity, strict=True)]
    write_csv(paths.NEAR_DUPLICATES, ("row", "near_duplicate", "similarity"), sorted(rows))

    ties = {"copy": copies, "near-duplicate": pairs, "pattern": equal_pairs(keys)}
    contents = [key or content for key, content in zip(keys, index["sha256"], strict=True)]
    groups = group_photos(contents, ties)
    if p.group_by == "appearance":
        folders = (index["source"] + "/" + index["path"].str.rpartition("/")[0]).tolist()
        units = [photo.group for photo in groups]
        clusters = appearance_clusters(appearance_features(images), folders, units)
        groups = group_photos(clusters, {**ties, "appearance": equal_pairs(clusters)})
    elif p.group_by == "nothing":
        groups = singleton_groups(index)

    write_csv(paths.GROUPS, Grouped._fields, groups)
    write_manifest("group")
    sizes = Counter(photo.group for photo in groups)
    rules = Counter(photo.rule for photo in groups)
    log.info(
        "%d photos in %d groups, at most %d in one (%s)",
        *(len(groups), len(sizes), max(sizes.values())),
        ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items())),
    )


if __name__ == "__main__":
    run_stage("group", main)
