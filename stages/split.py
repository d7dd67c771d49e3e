"""Stage 4: split into train, validation and test set, and measure the normalisation statistics.

reads   data/groups.csv              photos that must stay together
        data/near_duplicates.csv     pairs of near-duplicates, to count leakage
        data/prepared/index.csv      labels, sources, paths
        data/prepared/images.npy     pixels of the training set
        metrics/data.json            digest of the data, which is stored in the model
writes  data/split/{train,val,test}.csv   row, label: photo numbers of each set
        data/split/val_sources.csv   row, source: sources of the validation photos
        data/split/statistics.json   mean and std of the training pixels; digest of the data;
                                     sources of the training photos, and their size before
                                     `prepare` resized them
        data/manifests/split.json    digests that tie the files of one run together
        metrics/split.json           photos per set, shares reached, groups; near-duplicates leaked

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
TOLERANCE = 0.02  # difference between requested and reached share, above which to warn


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
    splits = split_rows(groups, labels, sources, shares, p.seed)

    total, largest = Counter(labels), max(Counter(groups).values())
    numbers: dict[str, object] = {}
    for split, rows in splits.items():
        of_split = [labels[row] for row in rows]
        write_csv(paths.SPLIT / f"{split}.csv", ("row", "label"), zip(rows, of_split, strict=True))
        count: dict[str, float] = {"photos": len(rows), "groups": len({groups[r] for r in rows})}
        for label, name in enumerate(CLASSES):
            count[name] = of_split.count(label)
            share = count[f"{name}_share"] = round(of_split.count(label) / total[label], 4)
            if abs(share - wanted[split]) > TOLERANCE:
                log.warning(
                    "%s has %.1f %% of the %s photos instead of %.1f %%; the largest group has %d",
                    *(split, 100 * share, name, 100 * wanted[split], largest),
                )
        numbers[split] = count
        log.info("%-5s %6d photos, %6d positive", split, len(rows), count["positive"])

    of_val = ((row, sources[row]) for row in splits["val"])
    write_csv(paths.VAL_SOURCES, ("row", "source"), of_val)

    alone = [photo.group for photo in singleton_groups(index)]
    numbers |= {
        "groups": len(set(groups)),
        "largest_group": largest,
        "photos_with_near_duplicate": len(set(near.ravel().tolist())),
        "near_duplicates_leaked": count_leaked(families, splits),
        "near_duplicates_leaked_by_random_split": count_leaked(
            families, split_rows(alone, labels, sources, shares, p.seed)
        ),
    }
    write_json(paths.METRICS / "split.json", numbers)
    mean, std = pixel_statistics(read_images(), splits["train"])
    digest = read_json(paths.METRICS / "data.json")["digest"]
    side = photo_side(index[["width", "height"]].to_numpy(), splits["train"])
    statistics = {"mean": mean, "std": std, "data_digest": digest, "photo_side": side}
    statistics["sources"] = sorted({sources[row] for row in splits["train"]})
    write_json(paths.STATISTICS, statistics)
    write_manifest("split")


if __name__ == "__main__":
    run_stage("split", main)
