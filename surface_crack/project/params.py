"""Parse and validate params.yaml into one frozen, typed object.

A stage gets only the parameters that dvc.yaml declares for it. Reading an undeclared one would
give stale results, because DVC would not rerun the stage; so it raises an error.

DVC reads params.yaml as YAML 1.2 (`1e-05` is a number, `off` a string), PyYAML as YAML 1.1 (the
reverse). So this module implements the core schema of 1.2: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, get_type_hints

import yaml

from surface_crack.project.errors import ParamsError
from surface_crack.project.geometry import (
    MIN_SIZE,
    NORMALISE,
    NOTEBOOK_SIZE,
    SQUARE,
    STRIDE,
    min_size,
)
from surface_crack.project.names import folder_key

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
OPTIONAL = Path("stages/optional/dvc.yaml")  # stages that plain `dvc repro` does not run
OPTIONAL_PARAMS = {"robustness_images"}  # only these stages read it: no effect on model or metrics


class Rule(NamedTuple):
    """The allowed values of a parameter: `parse` raises ValueError for any other."""

    allowed: str
    parse: Callable[[Any], Any]


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Rule:
    """A finite number in [low, high]; `above` excludes `low`, `below` excludes `high`."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not (math.isfinite(value) and low <= value <= high) or (above and value == low):
            raise ValueError
        if below and value == high:
            raise ValueError
        return float(value)

    ends = "(" if above else "[", ")" if below else "]"
    return Rule(f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}", parse)


def integer(low: int, high: int, *, multiple_of: int = 1) -> Rule:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        if not low <= value <= high or value % multiple_of:
            raise ValueError
        return value

    kind = "an integer" if multiple_of == 1 else f"a multiple of {multiple_of}"
    return Rule(f"{kind} from {low} to {high}", parse)


def choice(*words: str) -> Rule:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Rule("one of " + ", ".join(words), parse)


def word_or(word: str, rule: Rule) -> Rule:
    def parse(value: Any) -> Any:
        return word if value == word else rule.parse(value)

    return Rule(f"{word} or {rule.allowed}", parse)


def boolean() -> Rule:
    def parse(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Rule("true or false", parse)


def _require_text(value: Any) -> None:
    """Raises ValueError for text that YAML parsed as a number or a bool."""
    if isinstance(value, int | float):  # a bool is an int
        raise ValueError("put a name that looks like a number, true or false in quotes: '0'")


def _path(value: Any) -> str:
    _require_text(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _pattern(value: Any) -> str:
    _require_text(value)
    if not isinstance(value, str):
        raise ValueError
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(str(error)) from None
    return value


def _folder_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    for name in value:
        _require_text(name)
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError
    return tuple(value)


def _init(value: Any) -> str:
    return "" if value == "" else _path(value)


PATH = Rule("a path", _path)
INIT = Rule("general, a path of a .safetensors file, or '' for none", _init)
PATTERN = Rule("a regular expression, or '' for none", _pattern)
FOLDER_NAMES = Rule("a list of folder names", _folder_names)


@dataclass(frozen=True)
class Params:
    """All parameters, in the order of params.yaml, where each has a comment."""

    # data
    raw: Annotated[str, PATH]
    exclude: Annotated[str, PATTERN]
    negative: Annotated[tuple[str, ...], FOLDER_NAMES]
    positive: Annotated[tuple[str, ...], FOLDER_NAMES]
    image_size: Annotated[int, integer(MIN_SIZE, 512, multiple_of=STRIDE)]
    max_rejected: Annotated[float, number(0, 1)]
    max_pixels: Annotated[int, integer(64, 10**9)]
    max_bytes: Annotated[int, integer(1, 10**12)]
    sample_photos: Annotated[int, integer(20, 100_000, multiple_of=2)]
    sample_seed: Annotated[int, integer(0, 2**31 - 1)]
    # split
    group_by: Annotated[str, choice("nothing", "near-duplicates", "appearance")]
    group_pattern: Annotated[str, PATTERN]
    seed: Annotated[int, integer(0, 2**31 - 1)]
    val_share: Annotated[float, number(0.01, 0.8)]
    test_share: Annotated[float, number(0.01, 0.8)]
    # model
    model: Annotated[str, choice("cracknet", "notebook")]
    width: Annotated[int, integer(4, 256, multiple_of=4)]
    normalise: Annotated[str, choice(*NORMALISE)]
    context: Annotated[int, integer(0, 4)]
    dropout: Annotated[float, number(0, 0.9)]
    # training
    init: Annotated[str, INIT]
    lr: Annotated[float, number(0, 1, above=True)]
    epochs: Annotated[int, integer(1, 10_000)]
    batch_size: Annotated[int, integer(2, 65_536)]
    weight_decay: Annotated[float, number(0, 10)]
    label_smoothing: Annotated[float, number(0, 0.5)]
    warmup: Annotated[float, number(0, 0.9)]
    keep: Annotated[str, choice("best", "last")]
    patience: Annotated[int, integer(1, 10_000)]
    flips: Annotated[bool, boolean()]
    brightness: Annotated[float, number(0, 0.9)]
    contrast: Annotated[float, number(0, 0.9)]
    gamma: Annotated[float, number(0, 2)]
    precision: Annotated[str, choice("auto", "fp32", "bf16")]
    # decision
    threshold: Annotated[
        float | Literal["auto"], word_or("auto", number(0, 1, above=True, below=True))
    ]
    min_recall: Annotated[float, number(0, 1)]
    max_false_positives: Annotated[float, number(0, 1, above=True)]
    # optional stages
    robustness_images: Annotated[int, integer(2, 100_000)]

    def __getattr__(self, name: str) -> NoReturn:
        """Called only for a field that `read_params` left out."""
        raise AttributeError(f"{PIPELINE} does not declare the parameter {name!r} for this stage")


RULES: Mapping[str, Rule] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Params, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}


class _Yaml12(yaml.SafeLoader):
    """SafeLoader that resolves scalars by the core schema of YAML 1.2 instead of 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's API)


def _constructor(make: Callable[[str], Any]) -> Callable[[Any, yaml.ScalarNode], Any]:
    return lambda _, node: make(node.value)


for _tag, _regex, _first, _make in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""], lambda _: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF"), lambda text: text[0] in "tT"),
    ("int", r"[-+]?[0-9]+", list("-+0123456789"), int),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
        lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    ),
):
    _Yaml12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_regex})$"), _first
    )
    _Yaml12.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor(_make))


class Entry(NamedTuple):
    """One `key: value` of params.yaml."""

    line: int  # 1-based
    value: Any


def _entries(text: str, file: Path) -> dict[str, Entry]:
    """The top-level entries. Raises ParamsError on broken YAML, duplicate keys, non-mappings."""
    try:
        loader = _Yaml12(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ParamsError(f"{file} must hold `key: value` lines, got something else")
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in entries:
                first = entries[key].line
                raise ParamsError(
                    f"duplicate key {key!r} ({file} lines {first} and {line}): keep one of them"
                )
            try:
                entries[key] = Entry(line, loader.construct_object(value_node, deep=True))
            except (ValueError, OverflowError, AttributeError):
                raise ParamsError(
                    f"the value of {key} cannot be parsed ({file} line {line})"
                ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise ParamsError(f"{file} line {line} is not valid YAML: {problem}") from None
    return entries


def _parse(key: str, entry: Entry, file: Path) -> Any:
    rule = RULES[key]
    try:
        return rule.parse(entry.value)
    except (ValueError, OverflowError) as error:
        reason = f" ({error})" if str(error) else ""
        raise ParamsError(
            f"{key} must be {rule.allowed}, got {entry.value!r}{reason} ({file} line {entry.line})"
        ) from None


def _check_together(values: Mapping[str, Any], entries: Mapping[str, Entry], file: Path) -> None:
    """Rules over several keys, each applied only if all of its keys were read."""

    def fail(key: str, message: str) -> NoReturn:
        raise ParamsError(f"{message} ({file} line {entries[key].line})")

    if {"val_share", "test_share"} <= values.keys():
        total = values["val_share"] + values["test_share"]
        if total > 0.9:
            fail(
                "test_share",
                f"val_share + test_share must leave 0.1 or more for training, got {total:g}",
            )
    if {"negative", "positive"} <= values.keys():
        negative = {folder_key(name) for name in values["negative"]}
        both = sorted(negative & {folder_key(name) for name in values["positive"]})
        if both:
            fail("positive", f"positive and negative must share no folder name, got {both[0]!r}")
    if {"model", "image_size"} <= values.keys():
        size = values["image_size"]
        if values["model"] == "notebook" and size != NOTEBOOK_SIZE:
            fail("image_size", f"image_size must be {NOTEBOOK_SIZE} for model notebook, got {size}")
    if values.get("normalise") == "local" and values.get("image_size", 0) % SQUARE:
        size = values["image_size"]
        fail("image_size", f"normalise local needs a multiple of {SQUARE}, got image_size {size}")
    if values.get("context") and "image_size" in values:
        size, minimum = values["image_size"], min_size(values["context"])
        if size < minimum:
            fail(
                "context",
                f"context {values['context']} needs image_size {minimum} or more, got {size}",
            )


def parse_params(text: str, keys: Collection[str] | None = None, file: Path = PARAMS) -> Params:
    """Parse the text of a params.yaml: all of it, or only `keys`, ignoring the others.

    Raises ParamsError with key, line, value and the allowed values.
    """
    entries = _entries(text, file)
    wanted = [field.name for field in fields(Params) if keys is None or field.name in keys]
    if keys is None:
        for key in entries.keys() - RULES.keys():
            near = difflib.get_close_matches(key, RULES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            raise ParamsError(f"unknown key {key!r} ({file} line {entries[key].line}): {hint}")
    for key in wanted:
        if key not in entries:
            raise ParamsError(f"key {key!r} is missing in {file}: it must be {RULES[key].allowed}")
    values = {key: _parse(key, entries[key], file) for key in wanted}
    _check_together(values, entries, file)
    params = object.__new__(Params)  # bypass __init__: fields not in `keys` stay unset
    params.__dict__.update(values)
    return params


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing here: run from the project's root folder") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def declared_params(stage: str) -> list[str]:
    """The parameters that dvc.yaml declares for `stage`; all, if it lists the whole file."""
    stages = yaml.safe_load(_read(PIPELINE))["stages"]
    if stage not in stages:
        stages = yaml.safe_load(_read(OPTIONAL))["stages"]
    declared = stages[stage].get("params", [])
    return list(RULES) if {str(PARAMS): None} in declared else list(declared)


def read_params(stage: str) -> Params:
    """Read ./params.yaml, restricted to what dvc.yaml declares for `stage`."""
    return parse_params(_read(PARAMS), declared_params(stage))


def check_params() -> Params:
    """Read all of ./params.yaml, to report errors before DVC deletes any output."""
    return parse_params(_read(PARAMS))
