// SPDX-License-Identifier: Apache-2.0
// Comfort only: every page works without this file.
"use strict";
(() => {
  const off = () => { try { return localStorage.getItem("keys") === "off"; } catch { return false; } };
  const copyable = (root) => {
    for (const cmd of root.querySelectorAll(".cmd")) {
      if (!navigator.clipboard) break;
      const text = cmd.textContent;
      const button = Object.assign(document.createElement("button"), { className: "copy", type: "button" });
      const say = (word) => { button.textContent = word; button.ariaLabel = word + " " + text; };
      say("Copy");
      button.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(text); say("Copied"); } catch { say("Not allowed"); }
        setTimeout(say, 1500, "Copy");
      });
      cmd.append(button);
    }
  };
  copyable(document);
  // A link to something folded opens what folds it.
  const unfold = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  const tab = document.querySelector(".second [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 200;
  const part = async (role, name, ...given) => (await import(document.body.dataset[role]))[name](...given);
  const here = location.href;
  if (document.body.dataset.live) new EventSource(here).addEventListener("page", (event) => {
    const shown = document.querySelector(".foot code");
    if (location.href === here && !event.data.includes(shown.textContent)) part("fresh", "renew", copyable);
  });
  // Evidence opens in its row; without script the link opens the page with that row unfolded.
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[data-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    part("fresh", "open", link, copyable);
  });

  // Complete the last word.
  const line = document.querySelector("input[list]");
  if (line) {
    const words = [...line.list.options].map((one) => one.value);
    line.addEventListener("input", () => {
      const head = line.value.replace(/\S*$/, "");
      line.list.replaceChildren(...words.map((word) => new Option("", head + word)));
    });
  }
  // The focus goes from row to row: any colours show it, a screen reader says it, Enter opens it.
  const row = ".row, .spans > li", opener = "th a, td a, h3 a, summary, a";
  const move = (step) => {
    const all = [...document.querySelectorAll(row)];
    const at = all.findIndex((one) => one.contains(document.activeElement));
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    if (next) next.tabIndex = -1;
    (next?.querySelector(opener) || next)?.focus();
  };
  const more = (name) => part("more", name);
  let going = 0;
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "k") { event.preventDefault(); more("palette"); return; }
    const typing = event.target.closest && event.target.closest("input, select, textarea, dialog");
    if (typing || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "?") { more("help"); return; }
    if (off()) return;
    if (Date.now() - going < 1000) {
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      going = 0;
      if (link) { link.click(); return; }
    }
    if (event.key === "g") going = Date.now();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "o") document.activeElement.closest(row)?.querySelector(opener)?.click();
    else if (event.key === "/") {
      const field = document.querySelector('[data-key="/"]');
      if (field) { event.preventDefault(); field.focus(); }
    }
  });
})();
