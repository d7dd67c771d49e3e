"use strict";
// Without this script the page shows all overlays, and the table worst first: it only adds comfort.
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
const all = document.getElementById("flip-all");
if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    const original = all.getAttribute("aria-pressed") !== "true";
    all.setAttribute("aria-pressed", String(original));
    for (const button of flips) flip(button, original);
  });
}
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
