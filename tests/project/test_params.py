"""params.yaml: accepted values, and messages for invalid ones."""

import json
import re
import sys
import unicodedata
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from surface_crack.project.errors import ParamsError
from surface_crack.project.params import (
    OPTIONAL,
    PIPELINE,
    RULES,
    Params,
    declared_params,
    parse_params,
)
from surface_crack.project.paths import GENERAL_PARAMS
from tests.support.makers import LIMITS
from tests.support.project import ROOT, SHIPPED, committed, has_shipped_params

TEXT = SHIPPED.read_text(encoding="utf-8")
LINES = TEXT.splitlines()
QUOTES = "put a name that looks like a number, true or false in quotes: '0'"


def line_of(key: str) -> int:
    return next(n for n, line in enumerate(LINES, 1) if line.startswith(f"{key}:"))


def with_value(key: str, value: str) -> str:
    """The shipped params.yaml with one value replaced."""
    lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in LINES]
    return "\n".join(lines)


def test_the_shipped_params_are_valid() -> None:
    params = parse_params(TEXT)
    assert params.raw == "data/sample/synthetic.zip"
    assert params.negative[0] == "Negative"
    assert (params.max_pixels, params.max_bytes) == LIMITS
    assert list(yaml.safe_load(TEXT)) == [field.name for field in fields(Params)]  # same order


SETTINGS = [ROOT / "docs/site.yaml", GENERAL_PARAMS]


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.name)
def test_every_settings_file_is_valid_and_complete(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parse_params(text)
    assert list(yaml.safe_load(text)) == [field.name for field in fields(Params)]  # same order


def test_the_committed_params_are_valid(tmp_path: Path) -> None:
    """For the code of the same commit; in the shipped order, unless a user has changed them."""
    project = committed(tmp_path / "project")
    check = "from surface_crack.project.params import check_params; check_params()"
    project.run(sys.executable, "-c", check)
    if has_shipped_params(project):
        names = ("params.yaml", "tests/support/params.yaml")
        own, shipped = (yaml.safe_load((project.root / name).read_text("utf-8")) for name in names)
        assert list(own) == list(shipped)


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("lr", "1e-5", 1e-5),  # a string for PyYAML, a number for DVC
        ("lr", "1e-05", 1e-5),
        ("lr", ".5", 0.5),
        ("lr", "1", 1.0),
        ("epochs", "010", 10),  # octal in YAML 1.1
        ("exclude", "off", "off"),  # a bool in YAML 1.1
        ("flips", "True", True),
        ("threshold", "auto", "auto"),
        ("threshold", "0.3", 0.3),
    ],
)
def test_values_are_read_as_dvc_reads_them(key: str, written: str, value: object) -> None:
    got = getattr(parse_params(with_value(key, written)), key)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("key", "written", "message"),
    [
        ("lr", "1e-3x", "lr must be a number in (0, 1], got '1e-3x'"),
        ("lr", "'0.01'", "lr must be a number in (0, 1], got '0.01'"),
        ("lr", "0", "lr must be a number in (0, 1], got 0"),
        ("lr", "1.5", "lr must be a number in (0, 1], got 1.5"),
        ("lr", ".nan", "lr must be a number in (0, 1], got nan"),
        ("lr", ".INF", "lr must be a number in (0, 1], got inf"),
        ("lr", "1" + "0" * 400, "lr must be a number in (0, 1], got 1000"),
        ("lr", "!!float abc", "the value of lr cannot be parsed"),
        ("lr", "true", "lr must be a number in (0, 1], got True"),
        ("lr", "", "lr must be a number in (0, 1], got None"),
        ("epochs", "2.0", "epochs must be an integer from 1 to 10000, got 2.0"),
        ("epochs", "true", "epochs must be an integer from 1 to 10000, got True"),
        ("image_size", "65", "image_size must be a multiple of 8 from 48 to 512, got 65"),
        ("model", "resnet", "model must be one of cracknet, notebook, got 'resnet'"),
        ("flips", "1", "flips must be true or false, got 1"),
        ("exclude", "'('", "exclude must be a regular expression, or '' for none, got '(' ("),
        ("threshold", "best", "threshold must be auto or a number in (0, 1), got 'best'"),
        ("threshold", "1.5", "threshold must be auto or a number in (0, 1), got 1.5"),
        ("threshold", "'0.5'", "threshold must be auto or a number in (0, 1), got '0.5'"),
        ("threshold", "0", "threshold must be auto or a number in (0, 1), got 0"),
        ("threshold", "1.0", "threshold must be auto or a number in (0, 1), got 1.0"),
        ("threshold", "true", "threshold must be auto or a number in (0, 1), got True"),
        ("min_recall", "auto", "min_recall must be a number in [0, 1], got 'auto'"),
        ("raw", "''", "raw must be a path, got ''"),
        ("raw", "2024", f"raw must be a path, got 2024 ({QUOTES})"),
        ("exclude", "0", f"exclude must be a regular expression, or '' for none, got 0 ({QUOTES})"),
        ("negative", "Negative", "negative must be a list of folder names, got"),
        ("negative", "[0]", f"negative must be a list of folder names, got [0] ({QUOTES})"),
        ("negative", "[true]", f"negative must be a list of folder names, got [True] ({QUOTES})"),
        ("negative", "[a/b]", "negative must be a list of folder names, got ['a/b'] (params.yaml"),
        ("test_share", "0.8", "val_share + test_share must leave 0.1 or more for training"),
    ],
)
def test_a_wrong_value_is_a_one_line_error_with_key_value_and_line(
    key: str, written: str, message: str
) -> None:
    text = with_value(key, written)
    if key == "negative":  # remove its list, too
        text = "\n".join(x for x in text.splitlines() if not x.startswith("- "))
    with pytest.raises(ParamsError) as caught:
        parse_params(text)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(f"(params.yaml line {line_of(key)})")
    assert "\n" not in str(caught.value)


def test_a_numeric_folder_name_needs_quotes() -> None:
    text = TEXT.replace("- Negative\n", "- 0\n", 1)
    with pytest.raises(ParamsError, match=rf"got \[0, 'Non-cracked', .* \({QUOTES}\) \("):
        parse_params(text)
    assert parse_params(text.replace("- 0", "- '0'")).negative[0] == "0"


def test_an_unknown_key_gets_a_suggestion() -> None:
    with pytest.raises(ParamsError, match=r"unknown key 'learn_rate' .*line 1\): "):
        parse_params("learn_rate: 1\n" + TEXT)
    with pytest.raises(ParamsError, match="did you mean 'batch_size'"):
        parse_params("batchsize: 1\n" + TEXT)


def test_a_missing_key_says_what_it_must_be() -> None:
    text = "\n".join(line for line in LINES if not line.startswith("lr:"))
    with pytest.raises(ParamsError, match=r"'lr' is missing in params.yaml: .* number in \(0, 1\]"):
        parse_params(text)


def test_a_duplicate_key_names_both_lines() -> None:
    lines = f"lines {line_of('lr')} and {len(LINES) + 1}"
    with pytest.raises(ParamsError, match=rf"duplicate key 'lr' \(params.yaml {lines}\)"):
        parse_params(TEXT.rstrip("\n") + "\nlr: 0.1\n")


@pytest.mark.parametrize(
    "text", ["", "a", "- a", "lr: [", "lr: {", "\tlr: 1", "a: b: c", "lr: \x01"]
)
def test_invalid_yaml_is_a_one_line_error(text: str) -> None:
    with pytest.raises(ParamsError, match=r"^params.yaml [^\n]+$"):
        parse_params(text)


# JSON escapes characters beyond these as surrogate pairs, which is not valid YAML.
CHARACTERS = st.characters(codec="utf-8", max_codepoint=0xFFFF)
SCALARS = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(CHARACTERS, max_size=20),
    st.lists(st.text(CHARACTERS, max_size=5), max_size=3),
)


@given(st.sampled_from(sorted(RULES)), SCALARS)
def test_any_value_is_parsed_unchanged_or_refused_with_its_line(key: str, value: object) -> None:
    """JSON is valid YAML 1.2, so an allowed value must be parsed unchanged."""
    written = json.dumps(value).replace("NaN", ".nan").replace("Infinity", ".inf")
    text = f"# first line\n{key}: {written}\n"
    try:
        allowed = RULES[key].parse(value)
    except (ValueError, OverflowError):
        with pytest.raises(ParamsError) as caught:
            parse_params(text, [key])
        assert re.fullmatch(rf"{key} .*\(params.yaml line 2\)", str(caught.value))  # one line
    else:
        assert getattr(parse_params(text, [key]), key) == allowed
        assert allowed == (tuple(value) if isinstance(value, list) else value)


@given(st.text(max_size=60))
def test_any_text_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(ParamsError):
        parse_params(text)


def test_the_notebooks_network_needs_its_image_size() -> None:
    with pytest.raises(ParamsError, match="image_size must be 120 for model notebook, got 64"):
        parse_params(with_value("model", "notebook"))


def test_a_folder_cannot_be_in_both_classes() -> None:
    with pytest.raises(ParamsError, match="share no folder name, got 'cracked'"):
        parse_params(TEXT.replace("- UD\n", "- cracked\n"))


def test_a_folder_cannot_be_in_both_classes_in_another_unicode_form() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Fissuré") for form in ("NFC", "NFD"))
    text = TEXT.replace("- UD\n", f"- {composed}\n").replace("- CD\n", f"- {decomposed}\n")
    with pytest.raises(ParamsError, match="share no folder name"):
        parse_params(text)


def test_only_the_wanted_keys_are_read_and_checked() -> None:
    params = parse_params("lr: 0.5\nepochs: nonsense\nother: 1\n", ["lr"])
    assert vars(params) == {"lr": 0.5}
    with pytest.raises(AttributeError, match="does not declare the parameter 'epochs'"):
        _ = params.epochs


def test_every_parameter_is_declared_by_some_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in (PIPELINE, OPTIONAL)]
    stages = [stage for file in files for stage in file["stages"]]
    assert len(stages) == len(set(stages)), "stage names must be unique across both files"
    used = {name for stage in stages if stage != "card" for name in declared_params(stage)}
    assert used == {field.name for field in fields(Params)}
    assert set(declared_params("card")) == used, "it declares the whole file"
