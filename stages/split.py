"""Stage 3, normalise and split: who trains, who chooses, who judges, and what grey is.

reads   data/prepared/index.csv      labels, sources, and hashes that show exact copies
        data/prepared/images.npy     pixels of the training part
        metrics/data.json            the data's digest, which the model will carry
writes  data/split/{train,val,test}.csv   row, label: photo numbers of each part
        data/split/statistics.json   mean and std of the training part's pixels; the digest
        metrics/split.json           photos per part and class

Photos are normalised inside the model, with the numbers of statistics.json.
"""

import logging

import numpy as np

from surface_crack import paths
from surface_crack.artifacts import read_json, write_csv, write_json
from surface_crack.console import run
from surface_crack.dataset import read_index
from surface_crack.params import read_params
from surface_crack.splitting import pixel_statistics, split_rows

log = logging.getLogger("split")


def main() -> None:
    p = read_params("split")
    index = read_index()
    shares = p.val_share, p.test_share
    hashes, labels, sources = (index[name].tolist() for name in ("sha256", "label", "source"))
    parts = split_rows(hashes, labels, sources, shares, p.seed)

    counts: dict[str, dict[str, int]] = {}
    for part, rows in parts.items():
        of_part = [labels[row] for row in rows]
        write_csv(paths.SPLIT / f"{part}.csv", ("row", "label"), zip(rows, of_part, strict=True))
        counts[part] = {
            "photos": len(rows),
            "negative": of_part.count(0),
            "positive": of_part.count(1),
        }
        log.info("%-5s %6d photos, %6d with a crack", part, len(rows), counts[part]["positive"])

    images = np.load(paths.IMAGES, mmap_mode="r")
    mean, std = pixel_statistics(images, parts["train"])
    digest = read_json(paths.METRICS / "data.json")["digest"]
    write_json(paths.STATISTICS, {"mean": mean, "std": std, "data_digest": digest})
    write_json(paths.METRICS / "split.json", counts)


if __name__ == "__main__":
    run("split", main)
