"""The charts of `dvc plots show` and `dvc plots diff`, in a real browser without a network.

The `plots:` sections come from the project's dvc.yaml, the templates and the page from its .dvc
folder; the data are made up, and written by a single fake stage.
"""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.support import browser

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / ".dvc" / "plots"
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]

no_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium on this machine")

# Counts per run, in the order of `confusion_rows`; the first run has no positive photo.
CONFUSION = {1: (7_101, 13, 0, 0), 2: (7_090, 24, 6_999, 61), 3: (7_114, 0, 7_048, 12)}


LR = {1: 0.01, 2: 0.005, 3: 0.0025}
NAMES = ["run-1: lr 0.01", "run-2: lr 0.005", "workspace: lr 0.0025"]  # in `plots diff`


def confusion_rows(run: int) -> list[str]:
    """Four rows of plots/confusion.csv."""
    tn, fp, tp, fn = CONFUSION[run]
    cells = [("no_crack", "no_crack", tn), ("no_crack", "crack", fp)]
    cells += [("crack", "no_crack", fn), ("crack", "crack", tp)]
    return ["actual,predicted,count", *(f"{a},{p},{n}" for a, p, n in cells)]


def history_rows(run: int) -> list[str]:
    """Twelve epochs, because "10" sorts before "2" as text."""
    rows = ["epoch,train_loss,val_loss,train_accuracy,val_accuracy,lr"]
    for epoch in range(1, 13):
        loss, share = 0.6 / epoch / run, 1 - 0.2 / epoch / run
        rate = 0.002 * (1 - abs(epoch - 4) / 9)
        rows.append(f"{epoch},{loss},{loss + 0.02 * run},{share},{share - 0.01 * run},{rate}")
    return rows


def made_up(name: str, run: int) -> list[str]:
    """Return the lines of a CSV of run 1, 2 or 3, with the columns that the stages write."""
    steps = [i / 40 for i in range(41)]
    power = 3 + 4 * run
    lines = {
        "history.csv": history_rows(run),
        "confusion.csv": confusion_rows(run),
        "classes.csv": [
            "source,class,photos",
            f"metu,negative,{7_800 + run}",
            "metu,positive,7801",
            "sdnet,negative,5200",
            "sdnet,positive,1442",
        ],
        "reliability.csv": [
            "predicted,observed,photos",
            f"0.02,{0.01 * run},10000",
            f"0.4,{0.2 * run},9",  # as text, 9 sorts after 10000
            "1.0,1.0,400",
        ],
        "run.csv": [
            "kind,name,value",
            f"param,lr,{LR[run]}",
            "param,epochs,16",
            f"score,validation loss,{0.1 * run:.4f}",
            "score,test accuracy,0.9900",
        ],
        "roc.csv": [
            "false_positive_rate,true_positive_rate,threshold",
            *(f"{x},{1 - (1 - x) ** power},{1 - x}" for x in steps),
        ],
        "precision_recall.csv": [
            "recall,precision,threshold",
            "1.0,0.1,0.0",
            *(f"{x},{1 - x**power / 2},{1 - x}" for x in reversed(steps)),
        ],
    }
    assert name in lines, f"dvc.yaml has a chart of {name}: add made-up data here"
    return lines[name]


def project_plots() -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the top-level `plots:` of the project, and those of all its stages."""
    config = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    entries = [plot for stage in config["stages"].values() for plot in stage.get("plots", [])]
    return config["plots"], [{e: {}} if isinstance(e, str) else e for e in entries]


def chart_titles() -> list[str]:
    """Return the title of every chart that dvc.yaml declares, pictures left out."""
    top, staged = project_plots()
    charts = [props for entry in top for props in entry.values()]
    charts += [p for entry in staged for path, p in entry.items() if path.endswith(".csv")]
    return [chart["title"] for chart in charts if chart["template"] != "run"]


def dvc(repo: Path, *arguments: str) -> str:
    """Run dvc of this environment in `repo` and return what it printed."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_run(repo: Path, run: int) -> None:
    """Write the files of one run; the pictures go into DVC's cache, as in the project."""
    for entry in project_plots()[1]:
        for name in entry:
            path = repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".csv":
                path.write_text("\n".join(made_up(path.name, run)) + "\n", encoding="utf-8")
            else:
                Image.new("RGB", (1200, 500), (60 * run, 120, 160)).save(path)
    dvc(repo, "commit", "--force", "--quiet")


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: two tagged commits and the workspace."""
    repo = tmp_path_factory.mktemp("plots")
    shutil.copytree(TEMPLATES, repo / ".dvc" / "plots")
    shutil.copy(ROOT / ".dvc" / "config", repo / ".dvc")
    shutil.copy(ROOT / ".dvc" / ".gitignore", repo / ".dvc")
    top, staged = project_plots()
    stage = {"cmd": "true", "plots": staged}
    (repo / "dvc.yaml").write_text(yaml.safe_dump({"plots": top, "stages": {"made_up": stage}}))
    subprocess.run([*GIT, "init", "--quiet"], cwd=repo, check=True)
    for run in (1, 2):
        make_run(repo, run)
        subprocess.run([*GIT, "add", "."], cwd=repo, check=True)
        subprocess.run([*GIT, "commit", "--quiet", "-m", f"run {run}"], cwd=repo, check=True)
        subprocess.run([*GIT, "tag", f"run-{run}"], cwd=repo, check=True)
    make_run(repo, 3)
    return repo


@pytest.fixture(scope="module")
def show(repo: Path) -> Path:
    dvc(repo, "plots", "show", "--out", "shown")
    return repo / "shown" / "index.html"


@pytest.fixture(scope="module")
def diff(repo: Path) -> Path:
    dvc(repo, "plots", "diff", "--out", "compared", "run-1", "run-2", "workspace")
    return repo / "compared" / "index.html"


@pytest.fixture(scope="module")
def shown(show: Path) -> browser.Page:
    return browser.render(show)


@pytest.fixture(scope="module")
def compared(diff: Path) -> browser.Page:
    return browser.render(diff)


def cards(dom: str) -> dict[str, str]:
    """Return heading -> HTML of each card of a rendered page."""
    main = dom[dom.index("<main>") : dom.index("</main>")]
    parts = re.split(r'<section class="card[^"]*">', main)[1:]
    return {re.findall("<h2>(.*?)</h2>", part)[0]: part for part in parts}


def texts(svg: str) -> list[str]:
    """Return the texts drawn in a chart."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


class Links(HTMLParser):
    """Collect everything that a browser would load for a page, including from inline styles."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_style = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        names = {"src", "srcset", "data", "poster"} | ({"href"} if tag == "link" else set())
        self.found += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.found += re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")]+)", data)


def test_offline_html_is_page_html_with_the_libraries() -> None:
    page = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    offline = (TEMPLATES / "offline.html").read_text(encoding="utf-8")
    mark = "<!--LIBRARIES-->"
    before, libraries, after = offline.split(mark)
    assert before + mark + after == page, "run .dvc/plots/build_offline.py after editing page.html"
    assert libraries.count("<script>") == libraries.count("</script") == 3
    for placeholder, times in {"{plot_divs}": 1, "{refresh_tag}": 1, "{scripts}": 0}.items():
        assert offline.count(placeholder) == times
    assert len(offline.encode()) < 1_000_000


def test_dvc_neither_reports_usage_nor_looks_for_updates() -> None:
    config = dvc(ROOT, "config", "--project", "--list").split()
    assert "core.analytics=false" in config
    assert "core.check_update=false" in config


@pytest.mark.parametrize("name", ["show", "diff"])
def test_the_page_loads_only_local_files(name: str, request: pytest.FixtureRequest) -> None:
    page: Path = request.getfixturevalue(name)
    links = [link for link in Links(page).found if not link.startswith("data:")]
    assert len(links) >= 1, "no picture at all"
    for link in links:
        assert (page.parent / link).is_file(), link


@no_chromium
@pytest.mark.slow
@pytest.mark.parametrize("name", ["shown", "compared"])
def test_every_chart_is_drawn(name: str, request: pytest.FixtureRequest) -> None:
    page: browser.Page = request.getfixturevalue(name)
    assert page.console == []
    drawn = {title: card for title, card in cards(page.dom).items() if "<img" not in card}
    del drawn["Runs"]  # a table
    assert sorted(drawn) == sorted(chart_titles())
    for title, card in drawn.items():
        assert card.count('class="marks"') == 1, title
        assert re.search(r"<path[^>]*aria-roledescription", card), title


@no_chromium
def test_the_scores_of_a_single_run_are_at_the_top(shown: browser.Page) -> None:
    (title, card), *_ = cards(shown.dom).items()
    assert title == "Runs"
    cells = re.findall("<t[hd][^>]*>([^<]*)</t[hd]>", card)
    assert cells == [
        *("", "workspace", "lr", "0.0025", "epochs", "16"),
        *("validation loss", "0.3000", "test accuracy", "0.9900"),
    ]


@no_chromium
def test_runs_are_labelled_by_the_params_that_differ(compared: browser.Page) -> None:
    (title, card), *others = cards(compared.dom).items()
    assert title == "Runs"
    cells = re.findall("<t[hd][^>]*>([^<]*)</t[hd]>", card)
    assert cells[:8] == ["", "workspace", "run-1", "run-2", "lr", "0.0025", "0.01", "0.005"]
    assert "epochs" not in cells
    pictures = [card for _, card in others if "<img" in card]
    assert pictures
    for card in pictures:
        assert [name for name in NAMES if f"<figcaption>{name}</figcaption>" in card] == NAMES


@no_chromium
def test_pictures_have_captions_and_no_chart_is_duplicated(shown: browser.Page) -> None:
    pictures = {title: card for title, card in cards(shown.dom).items() if "<img" in card}
    assert sorted(pictures) == ["Crack", "Heat maps", "Mistakes", "No crack", "Predictions"]
    for card in pictures.values():
        assert re.search(r'<p class="note">[A-Z][^<]*\. \(plots/\w+\.png\)</p>', card)


@no_chromium
def test_classes_have_readable_names(shown: browser.Page) -> None:
    (chart,) = (texts(card) for title, card in cards(shown.dom).items() if "class" in title)
    assert {"metu: crack", "metu: no crack"} <= set(chart)


@no_chromium
@pytest.mark.slow
def test_charts_fit_a_narrow_window(show: Path) -> None:
    dom, console = browser.render(show, width=500)  # Chromium opens no narrower window
    assert console == []
    widths = re.findall(r'<svg[^>]*class="marks" width="(\d+)"', dom)
    assert len(widths) == len(chart_titles())
    assert max(map(int, widths)) < 500


@no_chromium
@pytest.mark.slow
def test_confusion_matrix_shows_counts_and_row_shares(shown: browser.Page) -> None:
    (matrix,) = (texts(card) for title, card in cards(shown.dom).items() if "onfusion" in title)
    assert {"7,114", "0", "7,048", "12"} <= set(matrix)
    assert {"100.00%", "0.00%", "99.83%", "0.17%"} <= set(matrix)


@no_chromium
@pytest.mark.slow
def test_confusion_matrices_of_runs_are_side_by_side(compared: browser.Page) -> None:
    (matrix,) = (texts(card) for title, card in cards(compared.dom).items() if "onfusion" in title)
    assert set(NAMES) <= set(matrix)
    assert {"7,101", "13", "99.82%", "7,090", "24", "99.14%", "7,114"} <= set(matrix)
    assert matrix.count("no photos") == 2  # run 1 has no positives: no division by zero


@no_chromium
@pytest.mark.slow
def test_curves_distinguish_runs_and_sets(compared: browser.Page) -> None:
    curves = next(card for card in cards(compared.dom).values() if "validation" in texts(card))
    assert {*NAMES, "training", "validation"} <= set(texts(curves))
    lines = re.findall(r"<path[^>]*line mark[^>]*>", curves)
    styles = {tuple(re.findall(r'stroke(?:-dasharray)?="[^"]*"', line)) for line in lines}
    assert len(lines) == len(styles) == 6
    for line in lines:
        places = [float(x) for x in re.findall(r"[ML](-?[\d.]+),", line)]
        assert len(places) == 12
        assert places == sorted(places), "epochs are out of order: numbers compared as text?"


@no_chromium
@pytest.mark.slow
def test_the_precision_at_a_recall_is_that_of_the_first_threshold_to_reach_it(
    shown: browser.Page,
) -> None:
    """Predicting only cracks (recall 1, precision 0.1) must end the curve, not add a step."""
    card = next(card for title, card in cards(shown.dom).items() if "recision" in title)
    (line,) = re.findall(r"<path[^>]*line mark[^>]*>", card)
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+),([\d.]+)", line)]
    lowest = max(y for _, y in points)
    assert {x for x, y in points if y == lowest} == {max(x for x, _ in points)}


def dots(card: str) -> list[tuple[float, float, float]]:
    """(x, y, radius) of each dot of a chart in pixels, sorted by x; the y axis points down."""
    marks = re.findall(r'"circle" transform="translate\(([^,]+),([^)]+)\)" d="M([^,]+),', card)
    return sorted((float(x), float(y), float(radius)) for x, y, radius in marks)


@no_chromium
@pytest.mark.slow
def test_reliability_has_a_diagonal_and_dots_sized_by_bin_count(shown: browser.Page) -> None:
    card = next(card for title, card in cards(shown.dom).items() if "eliability" in title)
    many, few, certain = dots(card)
    assert certain[1] == 0, "predicted 1, observed 1 is the upper right corner"
    assert few[0] / certain[0] == pytest.approx(0.4)
    assert few[2] < certain[2] < many[2]
    assert len(re.findall("<line[^>]*stroke-dasharray", card)) == 1
    assert "photos: 10,000" in card


@no_chromium
@pytest.mark.slow
def test_reliability_distinguishes_runs(compared: browser.Page) -> None:
    card = next(card for title, card in cards(compared.dom).items() if "eliability" in title)
    assert len(dots(card)) == 9
    assert set(NAMES) <= set(texts(card))
    assert len(set(re.findall(r'<path[^>]*"circle"[^>]*fill="([^"]*)"', card))) == 3


@no_chromium
@pytest.mark.slow
def test_a_run_without_history_has_a_note_and_the_other_charts(repo: Path) -> None:
    history = repo / "plots" / "history.csv"
    kept = history.read_bytes()
    history.unlink()
    try:
        dvc(repo, "plots", "show", "--out", "partial")
    finally:
        history.write_bytes(kept)
    dom, console = browser.render(repo / "partial" / "index.html")
    assert console == []
    for card in cards(dom).values():
        assert (
            "<img" in card
            or "<table" in card
            or ("No data yet" in card) != ('class="marks"' in card)
        )
    left = sum('class="marks"' in card for card in cards(dom).values())
    assert 0 < left < len(chart_titles())
