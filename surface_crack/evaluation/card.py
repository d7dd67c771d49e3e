"""docs/model_card.md: what the model is for, what it is not for, and what is known about it.

After Mitchell et al. 2019, "Model Cards for Model Reporting", https://arxiv.org/abs/1810.03993.
It names params and the digest of the data, but no commit, time or machine: the same run writes the
same card, and a card in git never runs behind its own commit.
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
    "nothing": "every photo for itself, so near-duplicates may leak and the scores be too good",
    "near-duplicates": "exact copies and near-duplicates stay together",
    "appearance": "exact copies, near-duplicates and photos of similar appearance stay together",
}
SET_ROLES = {
    "train": "fitted the weights",
    "val": "chose epoch, temperature and threshold",
    "test": "judged the model, once",
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
    "Numbers from real photos over several seeds, with their commits, are in "
    "[results.md](results.md)."
)


def card(
    numbers: Mapping[str, Mapping[str, Any]],
    classes: pd.DataFrame,
    folders: pd.DataFrame,
    rule: str,
    params: Mapping[str, Any],
) -> str:
    """The card as Markdown.

    `numbers` are the metrics by the name of their file, `classes` and `folders` the tables of these
    names, `rule` says how the threshold was chosen, `params` are all that shaped the run.
    """
    sources = classes["source"].unique().tolist()
    paragraphs = [
        *_opening(sources, numbers["data"]["photos"]),
        *_data(numbers["data"], classes, params),
        *_judging(numbers["split"], numbers["calibrate"], rule, params),
        *_scores(numbers["evaluate"], numbers["split"]["test"]),
        *_failures(numbers["evaluate"], folders, params),
        *_training(numbers["train"], params),
        *_remaking(),
    ]
    return "\n\n".join(paragraphs) + "\n"


def run_rows(
    numbers: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """(kind, name, value) of a run's params and headline scores: those that choose come first."""
    rows = [("param", name, _listed(value)) for name, value in params.items()]
    for name, (file, key) in HEADLINES.items():
        rows.append(("score", name, f"{numbers[file][key]:.4f}"))
    return rows


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _opening(sources: list[str], photos: int) -> list[str]:
    drawn, names = paths.SAMPLE.stem, ", ".join(map(_code, sources))
    elsewhere = (
        f"- on other surfaces than those of {names}, before `surface-crack validate` has judged it "
        "on labelled photos of them."
    )
    if only_drawings(sources):
        about = f"**{names}: {photos:,} drawings, not photographs**.\n"
        about += "Its numbers say that the pipeline works, and nothing about any real surface.\n"
        about += RESULTS
        elsewhere = "- on any real surface: it has seen none."
    elif drawn in sources:
        about = f"**{names}: {photos:,} pictures, those of {_code(drawn)} drawings**.\n{RESULTS}"
    else:
        about = f"**{names}: {photos:,} photos**.\n{RESULTS}"
    return [
        "# Model card: does a photo show a crack?",
        f"This card is about a model trained and judged on {about}",
        "It must not be used",
        "- to decide whether anything is safe: that takes an engineer on the spot;\n"
        "- to measure cracks: it says whether there is one, not how wide, deep or long it is;\n"
        "- to call a surface sound: no alarm is no proof, and what was not photographed was not "
        f"inspected;\n{elsewhere}",
        "## Intended use",
        "It gives the probability that a photo of a surface shows a crack.\n"
        "That puts photos in order, so that a person sees the likeliest cracks first; "
        "each verdict stays with that person.",
    ]


def _data(data: Mapping[str, Any], classes: pd.DataFrame, params: Mapping[str, Any]) -> list[str]:
    counts = classes.pivot_table("photos", "source", "class", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=list(CLASSES), fill_value=0)
    sides = " to ".join(dict.fromkeys((data["smallest"], data["largest"])))
    side = params["image_size"]
    return [
        "## Data",
        _table(
            ["source", "without a crack", "with a crack"],
            [[_code(str(row[0])), *(f"{n:,}" for n in row[1:])] for row in counts.itertuples()],
        ),
        f"Photos of {sides} pixels, which the network sees as {side} x {side}.\n"
        "Labels are the names of their folders; no stage checks them.\n"
        f"Left out: {data['excluded']:,} by `exclude`, {data['rejected']:,} that could not be used "
        "(`data/prepared/rejected.csv`).\n"
        f"Exact copies: {data['exact_duplicates']:,}; pictures that occur with both labels: "
        f"{data['conflicting_duplicates']:,}.\n"
        f"Digest of all photos and labels: `{data['digest']}`.\n"
        "Licences of METU and SDNET2018, how to cite them: [data/README.md](../data/README.md).",
    ]


def _judging(
    split: Mapping[str, Any], calibrate: Mapping[str, Any], rule: str, params: Mapping[str, Any]
) -> list[str]:
    grouped = GROUPED[params["group_by"]]
    if params["group_pattern"] and params["group_by"] != "nothing":
        grouped += f", and photos in whose paths {_code(params['group_pattern'])} finds the same"
    validation = calibrate["validation"]
    before, after = validation["uncalibrated"]["loss"], validation["loss"]
    return [
        "## How it was judged",
        f"Split by group: {split['groups']:,} groups (`group_by: {params['group_by']}`: "
        f"{grouped}); the largest has {split['largest_group']:,}.\n"
        f"Photos with a near-duplicate: {split['photos_with_near_duplicate']:,}; "
        "separated from it: "
        f"{split['near_duplicates_leaked']:,} (random split: "
        f"{split['near_duplicates_leaked_by_random_split']:,}).",
        _table(
            ["part", "photos", "with a crack", "groups", "what it did"],
            [
                [part, *(f"{split[part][x]:,}" for x in ("photos", "positive", "groups")), use]
                for part, use in SET_ROLES.items()
            ],
        ),
        f"A photo counts as cracked from a probability of {calibrate['threshold']:.4g} on "
        f"(threshold: {rule}).\n"
        f"Logits are divided by a temperature of {calibrate['temperature']:.4g}, which took the "
        f"validation loss from {before:.4f} to {after:.4f}{higher_by_design(before, after)}.",
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
    head = ["score", f"at {evaluate['threshold']:.4g}", "95 % interval", "at 0.5"]
    columns = 3 if evaluate["threshold"] == 0.5 else 4
    common = max(test["negative"], test["positive"]) / test["photos"]
    text = (
        f"Intervals: bootstrap over the {test['groups']:,} groups of the test part; with fewer "
        f"than {FEW_GROUPS}, take them as rough.\n"
        f"Always giving the commoner answer would have an accuracy of {100 * common:.2f} %."
    )
    if interval["roc_auc"]["low"] <= CHANCE:
        text += "\n**The area under ROC may be 0.5: no better than guessing, or too few groups.**"
    return [
        "## Numbers of the test part",
        _table(head[:columns], [row[:columns] for row in rows]),
        text,
    ]


def _failures(
    evaluate: Mapping[str, Any], folders: pd.DataFrame, params: Mapping[str, Any]
) -> list[str]:
    places = folders[folders["folder"] != ALL]
    missed, alarms = places["missed"].sum(), places["false_alarms"].sum()
    cracks, sound = evaluate["positive"]["support"], evaluate["negative"]["support"]
    paragraphs = [
        "## Where it fails",
        f"Missed cracks: {missed:,} of {cracks:,}. False alarms: {alarms:,} of {sound:,} sound "
        "photos.\n"
        "`plots/mistakes.png` shows the worst, `plots/heat_maps.png` what the network looked at.\n"
        f"Probabilities are off by {100 * evaluate['ece']:.2f} % on average (expected calibration "
        "error).\n"
        f"A crack too thin to be seen at {params['image_size']} pixels a side cannot be found.\n"
        "What the data do not hold was not tested: other surfaces, cameras, distances. What blur, "
        "noise\nand bad light cost, `make robustness` measures.\n"
        "A network that was right in 99.8 % of METU's photos was close to guessing on SDNET2018's.",
    ]
    # By the upper end: one photo judged wrong does not make its folder of one the worst of all.
    worst = places[places["accuracy"] < 1].sort_values("high", kind="stable")[:WORST]
    if len(places) > 1 and len(worst):
        rows = [
            [
                _code(f"{row['source']}/{row['folder']}".rstrip("/")),
                *(f"{row[name]:,}" for name in ("photos", "cracks", "missed", "false_alarms")),
                "{:.2f} % ({:.2f} to {:.2f})".format(
                    *(100 * row[name] for name in ("accuracy", "low", "high"))
                ),
            ]
            for row in worst.to_dict("records")
        ]
        head = ["folder", "photos", "cracks", "missed", "false alarms", "accuracy"]
        paragraphs += [
            f"The worst {len(rows)} of {len(places):,} folders, by what their interval leaves "
            "possible; all: `metrics/folders.csv`.",
            _table(head, rows),
        ]
    return paragraphs


def _training(train: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in params.items()]
    why = {"best": "with the lowest validation loss", "last": "the last one"}[params["keep"]]
    return [
        "## Training",
        f"Network `{params['model']}`, {train['parameters']:,} parameters, fitted in "
        f"{train['precision']}, judged in float32.\n"
        f"Of {train['epochs_run']:,} epochs the one kept is {train['best_epoch']:,}, {why} "
        f"(validation loss {train['val_loss']:.4f}).\n"
        "The params, as params.yaml takes them:",
        "\n".join(["```yaml", *lines, "```"]),  # a table would choke on the bars of a pattern
    ]


def _remaking() -> list[str]:
    return [
        "## How to remake it",
        "With these params and the data of that digest, `dvc repro` makes this model, its numbers "
        "and this card; on one machine, with the versions in constraints.txt, byte for byte.\n"
        "The card is the pipeline's last output: change what it says in "
        "surface_crack/evaluation/card.py.\n"
        "It names no commit, because it is part of one: `git log docs/model_card.md` tells.",
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _code(text: str) -> str:
    """A name that may hold anything, for a line or a cell of a table."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", r"\|")
    return f"`{plain}`"
