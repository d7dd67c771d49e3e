"""report.html in a real browser without a network: layout, flipping, sorting, filters, notes."""

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from surface_crack.inspection import page as module
from surface_crack.inspection.folder import Record
from surface_crack.inspection.inputs import Item
from surface_crack.inspection.model_facts import Facts
from surface_crack.inspection.overlay import draw_pictures
from surface_crack.inspection.page import page
from surface_crack.inspection.photo import Inspection, Settings
from surface_crack.inspection.records import photo_record, unreadable_record, write_record
from surface_crack.inspection.regions import Cells, find_regions
from surface_crack.photos.listing import Photo
from tests.support import browser

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium on this machine")

EVIL = '<script>document.title="gone"</script>"><img src=x onerror=alert(1)>.jpg'
LONG = "a-name-without-any-place-to-break-it-" * 6 + ".jpg"
FACTS = Facts(
    [("threshold", "0.5 <b>")],
    ["It does not measure cracks."],
    ["Model: <b>, trained on metu."],
    ["Drawings <i>only</i>."],
)
SETTINGS = Settings(0.5, None, 0.4)


def record(out: Path, name: str, peak: float, verdict: str, *flags: str) -> Record:
    """Write pictures and record of a photo with this peak probability to `out`."""
    item = Item(name, Photo("", name, 0, out), "")
    if verdict == "unreadable":
        made = unreadable_record(item, "", "damaged: <broken>")
        write_record(out, made, None)
        return made
    probability = np.zeros((30, 40), np.float32)
    probability[10:15, 5:30] = peak
    grid = Cells(probability, np.linspace(0, 1500, 31), np.linspace(0, 2000, 41))
    regions = find_regions(grid, 0.5)
    share = float((probability >= 0.5).mean())
    found = Inspection(2000, 1500, grid, regions, share, peak, list(flags), verdict, None, [64.0])
    pictures = draw_pictures(found, Image.new("RGB", (1000, 750), (140, 140, 140)), SETTINGS)
    made = photo_record(item, "", found, pictures)
    write_record(out, made, pictures)
    return made


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    records = [
        record(out, "b-clean.jpg", 0.01, "clean"),
        record(out, EVIL, 0.97, "crack"),
        record(out, LONG, 0.6, "unsure"),
        record(out, "night.jpg", 0.2, "cannot tell", "dark"),
        record(out, "broken.jpg", 0, "unreadable"),
        record(out, "a-crack.jpg", 0.9, "crack"),
    ]
    path = out / "report.html"
    path.write_text(page(out, records, FACTS, SETTINGS, "2026-12-01"), encoding="utf-8")
    return path


SCRIPT = """
const every = (what, root = document) => [...root.querySelectorAll(what)];
const found = {
  title: document.title,
  scripts: every("script").length,
  names: every("h3").map(e => e.textContent),
  handlers: every("[onerror]").length,
  unloaded: every("img:not([hidden])").filter(e => !e.naturalWidth).length,
  verdicts: every("#photos tbody .verdict").map(e => e.textContent),
  nameless: every("button, a, img, [tabindex]")
    .filter(e => !(e.ariaLabel || e.alt || e.textContent).trim()).length,
  submits: every("button").filter(e => e.type !== "button").length,
  jumps: every("[tabindex]:not([tabindex='0'])").length,
  titles: every("h1").length,
  labels: every("[aria-labelledby]").map(e => e.getAttribute("aria-labelledby"))
    .concat(every("a[href^='#']").map(e => e.hash.slice(1)))
    .filter(id => !document.getElementById(id)).length,
  flips: [], columns: [], again: [],
};
const seen = () => every(".photo img:not([hidden])").map(e => e.className[1]).join("");
const one = document.querySelector("button.flip"), all = document.getElementById("flip-all");
found.flips.push(seen());
for (const button of [one, all, all]) {
  button.click();
  found.flips.push([seen(), one.ariaPressed, all.ariaPressed].join(" "));
}
every("#photos th").forEach((head, at) => {
  head.querySelector("button").click();
  const cells = every("#photos tbody tr").map(row => row.cells[at]);
  found.columns.push([head.ariaSort, cells.map(e => e.dataset.value ?? e.textContent)]);
  head.querySelector("button").click();
  found.again.push(every("#photos th[aria-sort]").map(e => e.ariaSort).join());
});
found.spoken = document.getElementById("sorted").textContent;
document.body.innerHTML = "<pre id=answer></pre>";
answer.textContent = JSON.stringify(found);
"""


@pytest.fixture(scope="module")
def answers(report: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of SCRIPT in the page alone, without the folders beside it."""
    alone = tmp_path_factory.mktemp("alone") / "report.html"
    added = f"<script>{{{SCRIPT}}}</script></body>"
    text = report.read_text(encoding="utf-8").replace("</body>", added)
    alone.write_text(text, encoding="utf-8")
    shown = browser.render(alone)
    assert shown.console == []
    answer = re.search('<pre id="answer">(.*)</pre>', shown.dom, re.DOTALL)
    assert answer, shown.dom[-500:]
    found: dict[str, Any] = json.loads(html.unescape(answer[1]))
    return found


def test_the_page_needs_no_other_file(report: Path, answers: dict[str, Any]) -> None:
    text = report.read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)=\"(?!data:image/jpeg|#|overlays/)([^\"]*)\"", text) == []
    assert answers["unloaded"] == 0


def test_names_are_escaped(answers: dict[str, Any]) -> None:
    assert answers["title"] == "Crack inspection report"
    assert answers["scripts"] == 2  # the page's own and SCRIPT
    assert answers["names"][:4] == [EVIL, "a-crack.jpg", LONG, "night.jpg"]
    assert answers["handlers"] == 0


def test_photos_are_sorted_worst_first(answers: dict[str, Any]) -> None:
    assert answers["verdicts"] == [
        *("crack", "crack", "unsure", "cannot tell", "unreadable", "clean")
    ]


def test_overlay_and_original_flip(answers: dict[str, Any]) -> None:
    assert answers["flips"] == [
        "vvvvv",  # the second letters of overlay and original
        "rvvvv true false",
        "rrrrr true true",
        "vvvvv false false",
    ]


def test_the_table_sorts_by_every_column(answers: dict[str, Any]) -> None:
    (way, names), *numbers, (last, _) = answers["columns"]
    assert way == last == "ascending"
    assert names == [EVIL, "a-crack.jpg", LONG, "b-clean.jpg", "broken.jpg", "night.jpg"]
    for way, values in numbers:
        assert way == "descending"
        assert [float(value) for value in values] == sorted(map(float, values), reverse=True)
    assert answers["again"] == ["descending", *["ascending"] * 6, "descending"]
    assert answers["spoken"] == "Sorted by remarks, highest first."


def test_controls_are_accessible(answers: dict[str, Any]) -> None:
    wrong = {name: answers[name] for name in ("nameless", "submits", "jumps", "labels")}
    assert wrong == {"nameless": 0, "submits": 0, "jumps": 0, "labels": 0}
    assert answers["titles"] == 1


def test_the_page_fits_narrow_windows(report: Path) -> None:
    """In frames, because Chromium's windows are at least 500 pixels wide."""
    inner = report.with_name("inner.html")
    tell = """<script>const e = document.documentElement;
        parent.postMessage([innerWidth, e.scrollWidth - e.clientWidth], "*")</script></body>"""
    text = report.read_text(encoding="utf-8").replace("</body>", tell)
    inner.write_text(text, encoding="utf-8")
    frames = "".join(
        f'<iframe src="inner.html" style="width:{width}px;border:0"></iframe>'
        for width in (320, 375, 1280)
    )
    framed = report.with_name("framed.html")
    framed.write_text(f"""<pre id="answer"></pre>{frames}<script>const found = [];
        onmessage = event => {{
            found.push(event.data);
            answer.textContent = JSON.stringify(found.sort((a, b) => a[0] - b[0]));
        }}</script>""")
    dom = browser.render(framed).dom
    assert '<pre id="answer">[[320,0],[375,0],[1280,0]]</pre>' in dom


def test_only_the_first_photos_are_embedded(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EMBEDDED", 1)
    monkeypatch.setattr(module, "MAX_CARDS", 3)
    out = report.parent
    records = [json.loads(path.read_text()) for path in sorted((out / "results").glob("*.json"))]
    text = page(out, records, FACTS, SETTINGS, "2026-12-01")
    assert text.count("data:image/jpeg;base64,") == 2
    assert text.count('class="photo"') == 3
    assert text.count('loading="lazy"') == 4
    sources = re.findall('<img [^>]* src="((?:overlays|originals)/[^"]*jpg)"', text)
    assert len(sources) == 4
    assert all((out / source).exists() for source in sources)
    assert "3 photos are shown here; all 6 are in the table below." in text


REVIEW = """
const fields = [...document.querySelectorAll(".review")];
const shown = () =>
  [...document.querySelectorAll("article:not([hidden])")].map(e => e.dataset.verdict);
function answer(found) {
  document.body.innerHTML = "<pre id=answer></pre>";
  document.getElementById("answer").textContent = JSON.stringify(found);
}
if (!sessionStorage.getItem("again")) {
  sessionStorage.setItem("again", "yes");
  fields[0].querySelector("select").value = "no crack";
  fields[0].querySelector("input").value = '=a "joint"';
  fields[0].querySelector("input").dispatchEvent(new Event("input", { bubbles: true }));
  location.reload();
} else {
  const found = { kept: [fields[0].querySelector("select").value,
                         fields[0].querySelector("input").value],
                  visible: fields.every(field => field.offsetHeight > 0), all: shown() };
  const box = document.querySelector('#filter input[value="crack"]');
  box.click();
  found.filtered = shown();
  found.rows = [...document.querySelectorAll("#photos tbody tr:not([hidden])")].length;
  box.click();
  found.back = shown().length;
  URL.createObjectURL = blob => {
    blob.text().then(text => answer({ ...found, text }));
    return "#";
  };
  document.getElementById("save").click();
}
"""


def test_notes_survive_a_reload_and_are_exported_as_csv(report: Path) -> None:
    page_ = report.with_name("review.html")
    added = f"<script>{{{REVIEW}}}</script></body>"
    text = report.read_text(encoding="utf-8").replace("</body>", added)
    page_.write_text(text, encoding="utf-8")
    shown = browser.render(page_)
    assert shown.console == []
    answer = re.search('<pre id="answer">(.*)</pre>', shown.dom, re.DOTALL)
    assert answer, shown.dom[-500:]
    found = json.loads(html.unescape(answer[1]))
    assert found["kept"] == ["no crack", '=a "joint"']
    assert found["visible"]
    assert found["all"] == ["crack", "crack", "unsure", "cannot tell", "clean"]
    assert found["filtered"] == ["unsure", "cannot tell", "clean"]
    assert found["rows"] == 4
    assert found["back"] == 5
    rows = list(csv.reader(found["text"].removeprefix("\ufeff").splitlines()))
    assert rows[0] == ["photo", "verdict", "your verdict", "note"]
    assert rows[1][1:] == ["crack", "no crack", '\'=a "joint"']
    assert rows[2] == ["a-crack.jpg", "crack", "", ""]
    assert len(rows) == 6


def test_facts_about_the_model_are_above_the_first_photo(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    above = text.split('<article class="photo"')[0]
    assert "Inspected on 2026-12-01." in above
    assert "Model: &lt;b&gt;, trained on metu." in above
    assert '<p class="warning">Drawings &lt;i&gt;only&lt;/i&gt;.</p>' in above
    first = re.findall('<article class="photo" id="([^"]+)"', text)[0]
    assert f'<a href="#{first}"><b>2</b> <span class="verdict crack">' in above
