"""Stage 6: choose the temperature and the threshold on the validation set.

reads   data/trained/logits.csv      logits of the model that `train` kept, and labels, of the
                                     validation set; nothing of the test set
        data/split/val_sources.csv      source of each of these photos
        data/split/val.csv              checked: the set that `train` used
        data/manifests/split.json, train.json           checked: all files are of one run
writes  models/decision.json         temperature, threshold, its rule, SHA-256 of the weights
        metrics/calibrate.json       scores on the validation set, before and after

Temperature scaling calibrates the probabilities; a photo is predicted positive if its probability
is at or above the threshold. Both are fitted to the validation set, so `evaluate` uses the test
set.
"""

import logging

from surface_crack.dataset import read_logits, read_val_sources
from surface_crack.evaluation import scores
from surface_crack.evaluation.calibration import (
    Decision,
    choose_threshold,
    fit_temperature,
    probabilities,
    write_decision,
)
from surface_crack.evaluation.terms import higher_by_design
from surface_crack.project import paths
from surface_crack.project.files import write_json
from surface_crack.project.manifest import VAL, check_same_run, recorded_digest
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage

log = logging.getLogger("calibrate")


def main() -> None:
    p = read_params("calibrate")
    check_same_run(("split", "train"), [VAL, paths.VAL_SOURCES, paths.LOGITS])
    weights = recorded_digest("train", paths.MODEL)
    val = read_logits()
    labels, logits = val["label"].to_numpy(), val["logit"].to_numpy()

    temperature = fit_temperature(logits, labels)
    probability = probabilities(logits, temperature)
    if isinstance(p.threshold, float):
        decision = Decision(temperature, p.threshold, "fixed by params.yaml", weights)
    else:
        sources = read_val_sources()["source"].tolist()
        bound = p.max_false_positives
        threshold = choose_threshold(probability, labels, p.min_recall, sources, bound)
        rule = "0.5, or the highest below it with a validation recall of "
        rule += f"{100 * p.min_recall:g} %"
        if bound < 1:
            rule += f", raised so that at most {100 * bound:g} % of any source's negatives are "
            rule += "flagged"
        decision = Decision(temperature, threshold, rule, weights)
    write_decision(paths.DECISION, decision)

    before = scores.probability_scores(labels, probabilities(logits, 1))
    after = scores.probability_scores(labels, probability)
    decided = scores.decision_scores(labels, decision.decide(probability))
    write_json(
        paths.METRICS / "calibrate.json",
        {
            "temperature": decision.temperature,
            "threshold": decision.threshold,
            "validation": {**decided, **after, "uncalibrated": before},
        },
    )
    losses = before["loss"], after["loss"]
    log.info(
        "temperature %.3f: loss %.4f -> %.4f%s", temperature, *losses, higher_by_design(*losses)
    )
    log.info(
        "threshold %.4f: recall %.2f %%, precision %.2f %%, %d mistakes in %d validation photos",
        *(decision.threshold, 100 * decided["recall"], 100 * decided["precision"]),
        *(decided["mistakes"], len(val)),
    )


if __name__ == "__main__":
    run_stage("calibrate", main)
