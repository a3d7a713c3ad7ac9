"use strict";
// The page is whole without this: it sorts, searches, expands and switches the theme.
(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const root = document.documentElement;
  document.querySelector(".controls").hidden = false;

  // Columns are sorted by what cells hold as numbers, otherwise by their text; a third press restores the paper's order.
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const next = { none: "descending", descending: "ascending", ascending: "none" }[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", next);
        const key = (row) => row.cells[column].dataset.value ?? "";
        const text = (row) => row.cells[column].textContent.trim();
        const order = (a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x !== "" && y !== "") return Number(x) - Number(y);
          if (x !== y) return x === "" ? -1 : 1;
          return text(a).localeCompare(text(b));
        };
        const sorted = rows.slice();
        if (next !== "none") sorted.sort(order);
        if (next === "descending") sorted.reverse();
        body.append(...sorted);
      });
    });
  }

  const search = document.getElementById("search");
  const found = document.getElementById("found");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const entry of all("[data-find]")) {
      const text = (entry.dataset.find + " " + entry.textContent).toLowerCase();
      const hit = words.every((word) => text.includes(word));
      entry.hidden = !hit;
      count += hit ? 1 : 0;
    }
    for (const section of all("main > section")) {
      const entries = all("[data-find]", section);
      section.hidden = words.length > 0 && entries.every((entry) => entry.hidden);
    }
    found.textContent = words.length > 0 ? `${count} found` : "";
  });

  const expand = document.getElementById("expand");
  expand.addEventListener("click", () => {
    const open = expand.getAttribute("aria-pressed") !== "true";
    expand.setAttribute("aria-pressed", String(open));
    expand.textContent = open ? "Collapse all evidence" : "Expand all evidence";
    all("details").forEach((details) => { details.open = open; });
  });

  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // A link to an entry opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
