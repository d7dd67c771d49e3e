"use strict";
// Adds flipping, filters, sorting and notes. Without it, the page shows all overlays, worst first.
function flip(button, original) {
  const photo = button.closest(".photo");
  photo.querySelector(".overlay").hidden = original;
  photo.querySelector(".original").hidden = !original;
  button.setAttribute("aria-pressed", String(original));
}
const flips = [...document.querySelectorAll("button.flip")];
for (const button of flips) {
  button.hidden = false;
  button.addEventListener("click", () => flip(button, button.getAttribute("aria-pressed") !== "true"));
}
for (const tools of document.querySelectorAll(".tools, .review")) tools.hidden = false;
const all = document.getElementById("flip-all");
all.addEventListener("click", () => {
  const original = all.getAttribute("aria-pressed") !== "true";
  all.setAttribute("aria-pressed", String(original));
  for (const button of flips) flip(button, original);
});
const boxes = [...document.querySelectorAll("#filter input")];
for (const box of boxes) {
  box.addEventListener("change", () => {
    const wanted = new Set(boxes.filter((other) => other.checked).map((other) => other.value));
    for (const item of document.querySelectorAll("article[data-verdict], tr[data-verdict]")) {
      item.hidden = !wanted.has(item.dataset.verdict);
    }
  });
}
// The reviewer's verdicts and notes: stored in this browser for this report, and exported as CSV.
const key = document.documentElement.dataset.reviews;
function stored() {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}");
  } catch {
    return {}; // the browser stores nothing
  }
}
const entries = stored();
const fields = [...document.querySelectorAll(".review")];
for (const field of fields) {
  const [choice, note] = [field.querySelector("select"), field.querySelector("input")];
  [choice.value, note.value] = entries[field.dataset.name] ?? ["", ""];
  field.addEventListener("input", () => {
    entries[field.dataset.name] = [choice.value, note.value];
    try {
      localStorage.setItem(key, JSON.stringify(entries));
    } catch {
      document.getElementById("save").textContent = "Save (CSV): this browser does not store your entries";
    }
  });
}
function table() {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const plain = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text); // not a formula for a spreadsheet
  const rows = fields.map((field) => [
    field.dataset.name, field.closest(".photo").dataset.verdict,
    ...(entries[field.dataset.name] ?? ["", ""]),
  ]);
  const lines = [["photo", "verdict", "your verdict", "note"], ...rows];
  return lines.map((row) => row.map((text) => quoted(plain(text))).join(",")).join("\r\n") + "\r\n";
}
document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", table()], { type: "text/csv" }));
  link.download = "review.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
const body = document.querySelector("#photos tbody");
const heads = [...document.querySelectorAll("#photos thead th")];
function value(row, column) {
  const text = row.cells[column].dataset.value ?? row.cells[column].textContent;
  return heads[column].dataset.kind === "number" ? Number(text) : text;
}
heads.forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending" ||
      (!head.hasAttribute("aria-sort") && head.dataset.kind === "number");
    const sign = down ? -1 : 1;
    const keyed = [...body.rows].map((row) => [value(row, column), row]);
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    keyed.sort(([a], [b]) => sign * (typeof a === "number" ? a - b : compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    document.getElementById("sorted").textContent =
      `Sorted by ${head.textContent.trim()}, ${down ? "highest" : "lowest"} first.`;
  });
});
