"""The model card: its warnings, and that its numbers are those of the metrics."""

import json
import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from surface_crack.evaluation.card import WORST, card
from surface_crack.evaluation.terms import ALL
from surface_crack.project.params import Params, parse_params
from tests.support.project import ROOT, SHIPPED

RULE = "0.5, or the highest below it with a validation recall of 99 %"
PARAMS = parse_params(SHIPPED.read_text(encoding="utf-8"))
Numbers = dict[str, dict[str, Any]]


@pytest.fixture
def numbers() -> Numbers:
    """The metrics of the synthetic sample, as written by the stages."""
    text = (ROOT / "tests/support/metrics.json").read_text(encoding="utf-8")
    found: Numbers = json.loads(text)
    return found


def classes(*sources: str) -> pd.DataFrame:
    rows = [(source, name, 600) for source in sources for name in ("negative", "positive")]
    return pd.DataFrame(rows, columns=["source", "class", "photos"])


def folders(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    """(source, folder, false negatives, false positives) of 100 photos each, half positive."""
    table = pd.DataFrame(rows, columns=["source", "folder", "false_negatives", "false_positives"])
    accuracy = 1 - (table["false_negatives"] + table["false_positives"]) / 100
    low, high = accuracy - 0.05, (accuracy + 0.02).clip(upper=1)
    return table.assign(photos=100, cracks=50, accuracy=accuracy, low=low, high=high)


ONE_FOLDER = folders(("synthetic", "", 2, 3))


def text_of(
    numbers: Numbers,
    table: pd.DataFrame = ONE_FOLDER,
    sources: tuple[str, ...] = ("synthetic",),
    params: Params = PARAMS,
) -> str:
    return card(numbers, classes(*sources), table, RULE, vars(params))


def row(text: str, head: str) -> list[str]:
    """The other cells of the only table row that begins with `head`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {head} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_card_begins_with_data_and_prohibited_uses(numbers: Numbers) -> None:
    before = text_of(numbers).split("## ")[0]
    assert before.splitlines()[2].endswith("**`synthetic`: 1,200 drawings, not photographs**.")
    assert "nothing about any real surface" in before
    assert "[results.md](results.md)" in before
    for ban in (
        "It must not be used",
        "is safe",
        "how wide",
        "a surface has no cracks",
        "any real surface",
    ):
        assert ban in before


def test_sources_of_real_photos_are_named(numbers: Numbers) -> None:
    text = text_of(numbers, sources=("metu", "sdnet"))
    before = text.split("## ")[0]
    assert "**`metu`, `sdnet`: 1,200 photos**" in before
    assert "surfaces other than those of `metu`, `sdnet`, unless `surface-crack validate`" in before
    assert "drawings" not in text
    assert row(text, "`metu`") == ["600", "600"]


def test_drawings_mixed_with_photos_are_named(numbers: Numbers) -> None:
    before = text_of(numbers, sources=("metu", "synthetic")).split("## ")[0]
    assert "1,200 images, those of `synthetic` drawings" in before


def test_a_missing_class_of_a_source_counts_as_0(numbers: Numbers) -> None:
    table = classes("metu", "walls")[:3]
    text = card(numbers, table, ONE_FOLDER, RULE, vars(PARAMS))
    assert row(text, "`walls`") == ["600", "0"]
    text = card(numbers, table[table["class"] == "positive"], ONE_FOLDER, RULE, vars(PARAMS))
    assert row(text, "`metu`") == ["0", "600"]


def test_scores_are_those_of_the_metrics(numbers: Numbers) -> None:
    scores = numbers["evaluate"]
    scores |= {"threshold": 0.3, "recall": 0.9, "mistakes": 21, "ece": 0.0123, "brier": 0.01234}
    scores["ci95"] |= {
        "recall": {"low": 0.81, "high": 0.95},
        "brier": {"low": 0.01, "high": 0.02},
    }
    scores["at_half"] |= {"recall": 0.8, "mistakes": 1_234}
    text = text_of(numbers)
    assert row(text, "score") == ["at 0.3", "95 % CI", "at 0.5"]
    assert row(text, "recall") == ["90.00 %", "81.00 to 95.00 %", "80.00 %"]
    assert row(text, "Brier score") == ["0.0123", "0.0100 to 0.0200", ""]
    assert row(text, "mistakes") == ["21", "", "1,234"]
    assert "off by 1.23 % on average" in text
    for name, words in (("accuracy", "accuracy"), ("f1", "F1")):
        low, high = (100 * scores["ci95"][name][end] for end in ("low", "high"))
        value, half = (f"{100 * x[name]:.2f} %" for x in (scores, scores["at_half"]))
        assert row(text, words) == [value, f"{low:.2f} to {high:.2f} %", half]


def test_a_threshold_of_0_5_needs_no_second_column(numbers: Numbers) -> None:
    numbers["evaluate"]["threshold"] = 0.5
    text = text_of(numbers)
    assert row(text, "score") == ["at 0.5", "95 % CI"]
    assert len(row(text, "mistakes")) == 2


def test_sets_rule_and_digest_are_stated(numbers: Numbers) -> None:
    numbers["split"]["test"] |= {"photos": 200, "negative": 150, "positive": 50, "groups": 20}
    text = text_of(numbers)
    assert row(text, "test")[:3] == ["200", "50", "20"]
    assert "majority baseline has an accuracy of 75.00 %" in text
    assert f"or more ({RULE})" in text
    assert f"`{numbers['data']['digest']}`" in text
    assert f"{numbers['train']['parameters']:,} parameters" in text


def test_group_pattern_is_stated_where_it_groups_photos(numbers: Numbers) -> None:
    pattern = replace(PARAMS, group_by="near-duplicates", group_pattern=r"(\d+)-")
    words = ", as are photos whose paths have the same match of"
    assert words in text_of(numbers, params=pattern)
    assert words not in text_of(numbers, params=replace(pattern, group_by="nothing"))


def test_chance_level_is_reported(numbers: Numbers) -> None:
    assert "better than chance" not in text_of(numbers)
    numbers["evaluate"]["ci95"]["roc_auc"]["low"] = 0.5
    assert "no better than chance" in text_of(numbers)


def test_totals_of_a_source_are_not_counted_twice(numbers: Numbers) -> None:
    """The table of folders also has a row with the total of each source."""
    rows = [("sdnet", ALL, 12, 5), ("sdnet", "Decks", 10, 1), ("sdnet", "Walls", 2, 4)]
    text = text_of(numbers, folders(("metu", "", 0, 1), *rows), ("metu", "sdnet"))
    assert "False negatives (missed cracks): 12 of 90 positives." in text
    assert "False positives: 6 of 90 negatives." in text
    assert "The worst 3 of 3 folders" in text
    assert row(text, "`sdnet/Decks`") == ["100", "50", "10", "1", "89.00 % (84.00 to 91.00)"]
    assert text.index("`sdnet/Decks`") < text.index("`sdnet/Walls`") < text.index("| `metu` | 100")


def test_the_worst_folders_are_shown_unless_there_is_only_one(numbers: Numbers) -> None:
    many = folders(*(("site", f"{n}", n, 0) for n in range(20)))
    text = text_of(numbers, many)
    assert re.findall(r"`site/(\d+)`", text) == [str(19 - n) for n in range(WORST)]
    assert "folders, by" not in text_of(numbers)
    assert "folders, by" not in text_of(numbers, folders(("a", "", 0, 0), ("b", "", 0, 0)))


def test_the_params_can_be_pasted_into_params_yaml(numbers: Numbers) -> None:
    lines = SHIPPED.read_text(encoding="utf-8")
    lines = lines.replace("group_pattern: ''", r"group_pattern: '(a|b)\d+`\.jpg'")
    lines = lines.replace("lr: 0.005", "lr: 1e-05").replace("threshold: auto", "threshold: 0.3")
    params = parse_params(lines)
    text = text_of(numbers, params=params)
    assert parse_params(text.split("```yaml\n")[1].split("```")[0]) == params


def test_special_characters_in_names_are_escaped(numbers: Numbers) -> None:
    name = "a|b `c`\nd"
    text = text_of(numbers, folders((name, "x|y", 1, 0), (name, "z", 0, 0)), sources=(name,))
    assert r"| `a\|b 'c' d` | 600 | 600 |" in text
    assert r"| `a\|b 'c' d/x\|y` | 100 |" in text


def test_the_card_has_no_commit_and_no_nan(numbers: Numbers) -> None:
    text = text_of(numbers).replace(numbers["data"]["digest"], "")
    assert not re.search(r"\b(?=\d*[a-f])[0-9a-f]{7,}\b", text)
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b", text)
    assert text_of(numbers) == text_of(numbers)


def test_links_point_to_existing_files(numbers: Numbers) -> None:
    links = re.findall(r"\]\(([^)]+)\)", text_of(numbers))
    assert len(set(links)) == 2
    for link in links:
        assert (ROOT / "docs" / link).is_file(), link
