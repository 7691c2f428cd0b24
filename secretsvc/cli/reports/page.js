"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const isNumber = head.classList.contains("number");
      const rows = [...body.rows].map((row) => {
        const cell = row.cells[column];
        const text = cell.dataset.by ?? cell.textContent;
        return [isNumber ? Number(text) : text.toLowerCase(), row];
      });
      const order = new Intl.Collator(undefined, { numeric: true });
      rows.sort(([a], [b]) => (isNumber ? a - b : order.compare(a, b)) * (down ? -1 : 1));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

const filters = document.querySelector(".filters");
if (filters) {
  const [who, where] = filters.querySelectorAll("select");
  const words = filters.querySelector("input");
  const shown = filters.querySelector("output");
  const inMatrix = document.querySelector("#matrix tbody")?.rows ?? [];
  const rows = [...document.querySelector("#secrets tbody").rows].map((row, at) => ({
    row,
    twin: inMatrix[at],
    people: new Set(Array.from(row.querySelectorAll(".chip"), (chip) => chip.textContent)),
    place: row.cells[1].textContent,
    text: row.textContent.toLowerCase(),
  }));
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, twin, people, place, text } of rows) {
      const fits =
        (!who.value || people.has(who.value)) &&
        (!where.value || place === where.value) &&
        wanted.every((word) => text.includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (twin) twin.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length}`;
  };
  for (const control of [who, where, words]) control.addEventListener("input", apply);
  filters.hidden = false;
  apply();
}
