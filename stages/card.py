"""Stage 8: write the model card: intended use, limits, data, scores and params.

reads   metrics/data.json, split.json, train.json, calibrate.json, evaluate.json
        metrics/folders.csv          scores per source and folder
        plots/classes.csv            photos per source and class
        models/decision.json         the rule that chose the threshold
writes  docs/model_card.md           the same bytes for the same run
        plots/run.csv                params and headline scores, for the table on the plots page
"""

import logging

from surface_crack.dataset import read_classes, read_folders
from surface_crack.evaluation.card import card, run_rows
from surface_crack.project import paths
from surface_crack.project.files import read_json, write_csv, write_text
from surface_crack.project.params import OPTIONAL_PARAMS, read_params
from surface_crack.project.stage import run_stage

log = logging.getLogger("card")
METRICS = ("data", "split", "train", "calibrate", "evaluate")


def main() -> None:
    p = read_params("card")
    numbers = {name: read_json(paths.METRICS / f"{name}.json") for name in METRICS}
    rule = read_json(paths.DECISION)["rule"]
    shaping = {name: value for name, value in vars(p).items() if name not in OPTIONAL_PARAMS}
    write_text(paths.CARD, card(numbers, read_classes(), read_folders(), rule, shaping))
    write_csv(paths.PLOTS / "run.csv", ("kind", "name", "value"), run_rows(numbers, shaping))
    log.info("%s", paths.CARD)


if __name__ == "__main__":
    run_stage("card", main)
