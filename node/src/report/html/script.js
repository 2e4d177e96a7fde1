"use strict";
(() => {
  const $ = (s, e = document) => Array.from(e.querySelectorAll(s));
  const filter = document.getElementById("filter");
  const none = document.getElementById("no-match");
  const chips = $(".chip");
  const items = $(".finding, #compact tbody tr");
  const text = new Map();
  const words = (e) => {
    if (!text.has(e)) text.set(e, e.textContent.toLowerCase());
    return text.get(e);
  };
  const apply = () => {
    const want = filter.value.trim().toLowerCase();
    const on = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.severity));
    let shown = 0;
    for (const e of items) {
      e.hidden = !on.has(e.dataset.severity) || (want !== "" && !words(e).includes(want));
      if (!e.hidden) shown += 1;
    }
    none.hidden = shown > 0;
    if (want !== "") for (const d of $(".more-findings")) d.open = true;
  };
  if (filter) {
    let timer = 0;
    filter.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, 120); });
    for (const c of chips) c.addEventListener("click", () => {
      c.setAttribute("aria-pressed", String(c.getAttribute("aria-pressed") !== "true"));
      apply();
    });
    const all = document.getElementById("expand");
    all.addEventListener("click", () => {
      const open = all.textContent === "Expand all";
      for (const d of $(".finding")) d.open = open;
      all.textContent = open ? "Collapse all" : "Expand all";
    });
  }
  const body = document.querySelector("#compact tbody");
  for (const th of $("#compact th[aria-sort]")) th.firstElementChild.addEventListener("click", () => {
    const down = th.getAttribute("aria-sort") !== "descending";
    for (const other of $("#compact th[aria-sort]")) other.setAttribute("aria-sort", "none");
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (r) => r.cells[th.cellIndex].dataset.n ?? r.cells[th.cellIndex].textContent;
    const order = (a, b) => { const x = key(a), y = key(b); return isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y; };
    body.append(...Array.from(body.rows).sort((a, b) => (down ? order(b, a) : order(a, b))));
  });
  const reveal = () => {
    const e = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!e) return;
    for (let d = e.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    e.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => { for (const d of $(".finding").slice(0, 20)) d.open = true; });
})();
