"""Stage 3: find out which photos must stay together, so that no twin is trained on and judged by.

reads   data/prepared/images.npy     pixels, for copies, near-copies and looks
        data/prepared/index.csv      paths, for `group_pattern`; hashes, which name the groups
writes  data/groups.csv              row, group, rule: what ties a photo to its group
        data/twins.csv               row, twin, similarity: near-copies; copies with the first one
        data/manifests/group.json    digests: which files are of one run

Copies have equal pixels. Near-copies may be mirrored, turned, cropped, re-encoded or brightened.
The seed has no part here.
"""

import logging
from collections import Counter

from surface_crack.dataset import read_images, read_index
from surface_crack.project import paths
from surface_crack.project.files import write_csv
from surface_crack.project.manifest import write_manifest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage
from surface_crack.splitting.groups import Grouped, group_photos, lone_groups, pattern_keys
from surface_crack.splitting.looks import look_features, looks
from surface_crack.splitting.ties import equals
from surface_crack.splitting.twins import find_relatives

log = logging.getLogger("group")


def main() -> None:
    p = read_params("group")
    index, images = read_index(), read_images()
    keys = pattern_keys(p.group_pattern, index["source"].tolist(), index["path"].tolist())

    copies, twins = find_relatives(images)
    pairs: list[tuple[int, int]] = [(one, other) for one, other in twins.pairs.tolist()]
    rows = [(*pair, "1.000") for pair in copies]
    rows += [(*pair, f"{x:.3f}") for pair, x in zip(pairs, twins.similarity, strict=True)]
    write_csv(paths.TWINS, ("row", "twin", "similarity"), sorted(rows))

    ties = {"copy": copies, "twin": pairs, "pattern": equals(keys)}
    contents = [key or content for key, content in zip(keys, index["sha256"], strict=True)]
    groups = group_photos(contents, ties)
    if p.group_by == "look":
        folders = (index["source"] + "/" + index["path"].str.rpartition("/")[0]).tolist()
        look = looks(look_features(images), folders, [photo.group for photo in groups])
        groups = group_photos(look, {**ties, "look": equals(look)})
    elif p.group_by == "nothing":
        groups = lone_groups(index)

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
