"""Paths of all artifacts, relative to the project's root. dvc.yaml says which stage writes each."""

from pathlib import Path

SAMPLE = Path("data/sample/synthetic.zip")  # tables show its name as the photos' source

IMAGES = Path("data/prepared/images.npy")
INDEX = Path("data/prepared/index.csv")
REJECTED = Path("data/prepared/rejected.csv")

GROUPS = Path("data/groups.csv")
NEAR_DUPLICATES = Path("data/near_duplicates.csv")

SPLIT = Path("data/split")  # train.csv, val.csv, test.csv
VAL_SOURCES = Path("data/split/val_sources.csv")
STATISTICS = Path("data/split/statistics.json")

LOGITS = Path("data/trained/logits.csv")  # of the validation set

MODEL = Path("models/crack.safetensors")
ONNX = Path("models/crack.onnx")  # written by `make export`
DECISION = Path("models/decision.json")
GENERAL = Path(__file__).parents[1] / "general" / "crack.onnx"  # the model in the package
GENERAL_WEIGHTS = GENERAL.with_name("crack.safetensors")
GENERAL_PARAMS = GENERAL.with_name("params.yaml")  # it was trained with these
PREDICTIONS = Path("data/evaluated/predictions.csv")

MANIFESTS = Path("data/manifests")  # which files come from the same run, see manifest.py

METRICS = Path("metrics")  # one JSON file per stage; report.*, folders.csv
PLOTS = Path("plots")
HISTORY = Path("plots/history.csv")
CARD = Path("docs/model_card.md")

STATE = Path(".surface_crack")  # of running stages: locks and the checkpoint
RESUME = STATE / "train.resume"  # checkpoint of an interrupted training
