"""Stage 4, normalise and split: who trains, who chooses, who judges, and what grey is.

reads   data/groups.csv              which photos must stay together
        data/near_duplicates.csv     pairs that show the same thing, to count leakage
        data/prepared/index.csv      labels, sources, paths
        data/prepared/images.npy     pixels of the training part
        metrics/data.json            the data's digest, which the model will carry
writes  data/split/{train,val,test}.csv   row, label: photo numbers of each part
        data/split/val_sources.csv   row, source: where the validation photos are from
        data/split/statistics.json   mean and std of the training part's pixels; the digest;
                                     where its photos are from, and how large they were before
                                     `prepare` made them small
        data/manifests/split.json    digests: which files are of one run
        metrics/split.json           photos per part, shares reached, groups; near-duplicates leaked

Photos are normalised inside the model, with the numbers of statistics.json.
"""

import logging
from collections import Counter

from surface_crack.dataset import read_groups, read_images, read_index, read_near_duplicates
from surface_crack.project import paths
from surface_crack.project.files import read_json, write_csv, write_json
from surface_crack.project.labels import CLASSES
from surface_crack.project.manifest import write_manifest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage
from surface_crack.splitting.groups import singleton_groups
from surface_crack.splitting.parts import count_leaked, split_rows
from surface_crack.splitting.statistics import photo_side, pixel_statistics
from surface_crack.splitting.ties import components

log = logging.getLogger("split")
FAR_OFF = 0.02  # difference between a share that was asked for and the one reached


def main() -> None:
    p = read_params("split")
    index = read_index()
    labels, sources = index["label"].tolist(), index["source"].tolist()
    groups, near = (
        read_groups()["group"].tolist(),
        read_near_duplicates()[["row", "near_duplicate"]].to_numpy(),
    )
    families = components(len(labels), near)
    wanted = {"train": 1 - p.val_share - p.test_share, "val": p.val_share, "test": p.test_share}
    shares = p.val_share, p.test_share
    parts = split_rows(groups, labels, sources, shares, p.seed)

    total, largest = Counter(labels), max(Counter(groups).values())
    numbers: dict[str, object] = {}
    for part, rows in parts.items():
        of_part = [labels[row] for row in rows]
        write_csv(paths.SPLIT / f"{part}.csv", ("row", "label"), zip(rows, of_part, strict=True))
        count: dict[str, float] = {"photos": len(rows), "groups": len({groups[r] for r in rows})}
        for label, name in enumerate(CLASSES):
            count[name] = of_part.count(label)
            share = count[f"{name}_share"] = round(of_part.count(label) / total[label], 4)
            if abs(share - wanted[part]) > FAR_OFF:
                log.warning(
                    "%s has %.1f %% of the %s photos instead of %.1f %%; the largest group has %d",
                    *(part, 100 * share, name, 100 * wanted[part], largest),
                )
        numbers[part] = count
        log.info("%-5s %6d photos, %6d with a crack", part, len(rows), count["positive"])

    of_val = ((row, sources[row]) for row in parts["val"])
    write_csv(paths.VAL_SOURCES, ("row", "source"), of_val)

    alone = [photo.group for photo in singleton_groups(index)]
    numbers |= {
        "groups": len(set(groups)),
        "largest_group": largest,
        "photos_with_near_duplicate": len(set(near.ravel().tolist())),
        "near_duplicates_leaked": count_leaked(families, parts),
        "near_duplicates_leaked_by_random_split": count_leaked(
            families, split_rows(alone, labels, sources, shares, p.seed)
        ),
    }
    write_json(paths.METRICS / "split.json", numbers)
    mean, std = pixel_statistics(read_images(), parts["train"])
    digest = read_json(paths.METRICS / "data.json")["digest"]
    side = photo_side(index[["width", "height"]].to_numpy(), parts["train"])
    statistics = {"mean": mean, "std": std, "data_digest": digest, "photo_side": side}
    statistics["sources"] = sorted({sources[row] for row in parts["train"]})
    write_json(paths.STATISTICS, statistics)
    write_manifest("split")


if __name__ == "__main__":
    run_stage("split", main)
