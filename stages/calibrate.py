"""Stage 6: choose the temperature and threshold on the validation part.

reads   data/trained/logits.csv      what the network that `train` kept says of the validation
                                     part, and its labels; never those of the test part
        data/split/val_sources.csv      where these photos are from
        data/split/val.csv              that `train` saw these
        data/manifests/split.json, train.json           whose weights these are; all of one run?
writes  models/decision.json         temperature, threshold, the rule that chose it, and for which
                                     weights
        metrics/calibrate.json       scores of the validation part, before and after

The temperature says how sure the network may sound, the threshold from which probability on a
photo counts as cracked. Both are fitted to these photos, so `evaluate` judges them on others.
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
from surface_crack.project.manifest import VAL, check_one_run, made_by
from surface_crack.project.params import read_params
from surface_crack.project.stage import run_stage

log = logging.getLogger("calibrate")


def main() -> None:
    p = read_params("calibrate")
    check_one_run(("split", "train"), [VAL, paths.VAL_SOURCES, paths.LOGITS])
    weights = made_by("train", paths.MODEL)
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
        rule = f"0.5, or as far below as finds {100 * p.min_recall:g} % of the validation cracks"
        if bound < 1:
            rule += f", but flags at most {100 * bound:g} % of any source's sound ones"
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
    log.info("temperature %.3f: loss %.4f -> %.4f%s", temperature, *losses, higher_by_design(*losses))
    log.info(
        "threshold %.4f: recall %.2f %%, precision %.2f %%, %d mistakes in %d validation photos",
        *(decision.threshold, 100 * decided["recall"], 100 * decided["precision"]),
        *(decided["mistakes"], len(val)),
    )


if __name__ == "__main__":
    run_stage("calibrate", main)
