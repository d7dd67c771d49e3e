"""The model card, docs/model_card.md: intended use, limits, data, evaluation and training.

After Mitchell et al. 2019, "Model Cards for Model Reporting", https://arxiv.org/abs/1810.03993.
It states params and the digest of the data, but no commit, time or machine: the same run always
writes the same card, and a committed card cannot lag behind its own commit.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from surface_crack.evaluation.terms import (
    ALL,
    CHANCE,
    FEW_GROUPS,
    SCORES,
    SHARES,
    higher_by_design,
    only_drawings,
)
from surface_crack.project import paths
from surface_crack.project.labels import CLASSES

WORST = 5  # folders shown; metrics/folders.csv has all
GROUPED = {
    "nothing": "each photo is its own group: near-duplicates may leak, which inflates the scores",
    "near-duplicates": "exact copies and near-duplicates are kept in the same set",
    "appearance": "exact copies, near-duplicates and photos of similar appearance are kept in the "
    "same set",
}
SET_ROLES = {
    "train": "weights",
    "val": "choice of epoch, temperature and threshold",
    "test": "evaluation only",
}
HEADLINES = {
    "validation loss": ("train", "val_loss"),
    "validation accuracy": ("train", "val_accuracy"),
    "test accuracy": ("evaluate", "accuracy"),
    "test recall": ("evaluate", "recall"),
    "test specificity": ("evaluate", "specificity"),
    "test ROC AUC": ("evaluate", "roc_auc"),
}
RESULTS = (
    "Results on real photos over several seeds, with their commits, are in "
    "[results.md](results.md)."
)


def card(
    numbers: Mapping[str, Mapping[str, Any]],
    classes: pd.DataFrame,
    folders: pd.DataFrame,
    rule: str,
    params: Mapping[str, Any],
) -> str:
    """Return the card as Markdown.

    `numbers` maps the names of the metrics files to their content, `classes` and `folders` are the
    tables of these names, `rule` says how the threshold was chosen, `params` are those that
    affect the run.
    """
    sources = classes["source"].unique().tolist()
    paragraphs = [
        *_opening(sources, numbers["data"]["photos"]),
        *_data(numbers["data"], classes, params),
        *_evaluation(numbers["split"], numbers["calibrate"], rule, params),
        *_scores(numbers["evaluate"], numbers["split"]["test"]),
        *_failures(numbers["evaluate"], folders, params),
        *_training(numbers["train"], params),
        *_reproduction(),
    ]
    return "\n\n".join(paragraphs) + "\n"


def run_rows(
    numbers: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """(kind, name, value) of a run's params, then of its headline scores, validation first."""
    rows = [("param", name, _listed(value)) for name, value in params.items()]
    for name, (file, key) in HEADLINES.items():
        rows.append(("score", name, f"{numbers[file][key]:.4f}"))
    return rows


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _opening(sources: list[str], photos: int) -> list[str]:
    drawn, names = paths.SAMPLE.stem, ", ".join(map(_code, sources))
    other_surfaces = (
        f"- on surfaces other than those of {names}, unless `surface-crack validate` on labelled "
        "photos of them says that it may be used."
    )
    if only_drawings(sources):
        about = f"**{names}: {photos:,} drawings, not photographs**.\n"
        about += "Its scores show that the pipeline works, and nothing about any real surface.\n"
        about += RESULTS
        other_surfaces = "- on any real surface: it was trained on none."
    elif drawn in sources:
        about = f"**{names}: {photos:,} images, those of {_code(drawn)} drawings**.\n{RESULTS}"
    else:
        about = f"**{names}: {photos:,} photos**.\n{RESULTS}"
    return [
        "# Model card: does a photo show a crack?",
        f"This card describes a model trained and evaluated on {about}",
        "It must not be used",
        "- to decide whether a structure is safe: that takes an engineer on site;\n"
        "- to measure cracks: it says whether there is one, not how wide, deep or long it is;\n"
        "- to certify that a surface has no cracks: a negative prediction is no proof, and what "
        f"was not photographed was not inspected;\n{other_surfaces}",
        "## Intended use",
        "The model gives the probability that a photo of a surface shows a crack.\n"
        "Use it to rank photos, so that a person looks at the likeliest cracks first. "
        "The decision on each photo is that person's.",
    ]


def _data(data: Mapping[str, Any], classes: pd.DataFrame, params: Mapping[str, Any]) -> list[str]:
    counts = classes.pivot_table("photos", "source", "class", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=list(CLASSES), fill_value=0)
    sides = " to ".join(dict.fromkeys((data["smallest"], data["largest"])))
    side = params["image_size"]
    return [
        "## Data",
        _table(
            ["source", "negative", "positive"],
            [[_code(str(row[0])), *(f"{n:,}" for n in row[1:])] for row in counts.itertuples()],
        ),
        f"Positive: shows a crack. Photos of {sides} pixels, resized to {side} x {side}.\n"
        "Labels come from the names of the class folders; no stage checks them.\n"
        f"Left out: {data['excluded']:,} by `exclude`, {data['rejected']:,} unusable files "
        "(`data/prepared/rejected.csv`).\n"
        f"Exact duplicates: {data['exact_duplicates']:,}; images with conflicting labels: "
        f"{data['conflicting_duplicates']:,}.\n"
        f"Digest of all photos and labels: `{data['digest']}`.\n"
        "Licences and citations of METU and SDNET2018: [data/README.md](../data/README.md).",
    ]


def _evaluation(
    split: Mapping[str, Any], calibrate: Mapping[str, Any], rule: str, params: Mapping[str, Any]
) -> list[str]:
    grouped = GROUPED[params["group_by"]]
    if params["group_pattern"] and params["group_by"] != "nothing":
        grouped += ", as are photos whose paths have the same match of "
        grouped += _code(params["group_pattern"])
    validation = calibrate["validation"]
    before, after = validation["uncalibrated"]["loss"], validation["loss"]
    return [
        "## Evaluation",
        f"Split by group: {split['groups']:,} groups (`group_by: {params['group_by']}`: "
        f"{grouped}); the largest has {split['largest_group']:,}.\n"
        f"Photos with a near-duplicate: {split['photos_with_near_duplicate']:,}; leaked across "
        f"sets: {split['near_duplicates_leaked']:,} (random split: "
        f"{split['near_duplicates_leaked_by_random_split']:,}).",
        _table(
            ["set", "photos", "positive", "groups", "used for"],
            [
                [name, *(f"{split[name][x]:,}" for x in ("photos", "positive", "groups")), use]
                for name, use in SET_ROLES.items()
            ],
        ),
        f"Threshold: a photo is predicted positive at a probability of "
        f"{calibrate['threshold']:.4g} or more ({rule}).\n"
        f"Temperature scaling: logits are divided by {calibrate['temperature']:.4g}, which changed "
        f"the validation loss from {before:.4f} to {after:.4f}{higher_by_design(before, after)}.",
    ]


def _scores(evaluate: Mapping[str, Any], test: Mapping[str, Any]) -> list[str]:
    half, interval = evaluate["at_half"], evaluate["ci95"]
    rows = []
    for name, words in SCORES.items():
        form, scale, unit = (".2f", 100, " %") if name in SHARES else (".4f", 1, "")
        low, high = (f"{scale * interval[name][end]:{form}}" for end in ("low", "high"))
        value = f"{scale * evaluate[name]:{form}}{unit}"
        at_half = f"{scale * half[name]:{form}}{unit}" if name in half else ""
        rows.append([words, value, f"{low} to {high}{unit}", at_half])
    rows.append(["mistakes", f"{evaluate['mistakes']:,}", "", f"{half['mistakes']:,}"])
    head = ["score", f"at {evaluate['threshold']:.4g}", "95 % CI", "at 0.5"]
    columns = 3 if evaluate["threshold"] == 0.5 else 4
    majority = max(test["negative"], test["positive"]) / test["photos"]
    text = (
        f"95 % confidence intervals: cluster bootstrap over the {test['groups']:,} groups of the "
        f"test set. With fewer than {FEW_GROUPS} groups they are rough.\n"
        f"The majority baseline has an accuracy of {100 * majority:.2f} %."
    )
    if interval["roc_auc"]["low"] <= CHANCE:
        text += "\n**The 95 % CI of ROC AUC includes 0.5: no better than chance, or too few "
        text += "groups.**"
    return [
        "## Scores on the test set",
        _table(head[:columns], [row[:columns] for row in rows]),
        text,
    ]


def _failures(
    evaluate: Mapping[str, Any], folders: pd.DataFrame, params: Mapping[str, Any]
) -> list[str]:
    places = folders[folders["folder"] != ALL]
    missed, false_positives = places["false_negatives"].sum(), places["false_positives"].sum()
    positives, negatives = evaluate["positive"]["support"], evaluate["negative"]["support"]
    paragraphs = [
        "## Limits and failures",
        f"False negatives (missed cracks): {missed:,} of {positives:,} positives. "
        f"False positives: {false_positives:,} of {negatives:,} negatives.\n"
        "`plots/mistakes.png` shows the worst mistakes, `plots/heat_maps.png` what raised the "
        "crack logit.\n"
        f"Probabilities are off by {100 * evaluate['ece']:.2f} % on average (ECE).\n"
        f"Cracks too thin to be visible at {params['image_size']} pixels a side are missed.\n"
        "Surfaces, cameras and distances that are not in the data were not tested. "
        "`make robustness` measures the\neffect of blur, noise and bad light.\n"
        "A network with an accuracy of 99.8 % on METU was close to chance on SDNET2018.",
    ]
    # By the upper end of the CI: one mistake in a folder of one photo does not make it the worst.
    worst = places[places["accuracy"] < 1].sort_values("high", kind="stable")[:WORST]
    if len(places) > 1 and len(worst):
        rows = [
            [
                _code(f"{row['source']}/{row['folder']}".rstrip("/")),
                *(
                    f"{row[name]:,}"
                    for name in ("photos", "cracks", "false_negatives", "false_positives")
                ),
                "{:.2f} % ({:.2f} to {:.2f})".format(
                    *(100 * row[name] for name in ("accuracy", "low", "high"))
                ),
            ]
            for row in worst.to_dict("records")
        ]
        head = ["folder", "photos", "positive", "FN", "FP", "accuracy (95 % CI)"]
        paragraphs += [
            f"The worst {len(rows)} of {len(places):,} folders, by the upper end of the accuracy's "
            "95 % CI. All: `metrics/folders.csv`.",
            _table(head, rows),
        ]
    return paragraphs


def _training(train: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in params.items()]
    why = {"best": "the lowest validation loss", "last": "the last one"}[params["keep"]]
    return [
        "## Training",
        f"Network `{params['model']}`, {train['parameters']:,} parameters, trained in "
        f"{train['precision']}, evaluated in float32.\n"
        f"Epoch {train['best_epoch']:,} of {train['epochs_run']:,} was kept: {why} "
        f"(validation loss {train['val_loss']:.4f}).\n"
        "Params, in the format of params.yaml:",
        "\n".join(["```yaml", *lines, "```"]),  # not a table: patterns may contain `|`
    ]


def _reproduction() -> list[str]:
    return [
        "## Reproduction",
        "With these params and the data of that digest, `dvc repro` reproduces this model, its "
        "scores and this card; on the same machine, with the versions in constraints.txt, byte for "
        "byte.\n"
        "The card is the last output of the pipeline: to change its text, edit "
        "surface_crack/evaluation/card.py.\n"
        "It names no commit, because it is part of one: see `git log docs/model_card.md`.",
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _code(text: str) -> str:
    """Format any name as inline code that is safe in a line or table cell."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", r"\|")
    return f"`{plain}`"
