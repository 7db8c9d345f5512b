// SPDX-License-Identifier: Apache-2.0
// Comfort of the review form: keys that choose, drafts that are kept. The form works without this file.
"use strict";
(() => {
  const form = document.querySelector("form.review");
  const off = () => { try { return localStorage.getItem("keys") === "off"; } catch { return false; } };
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.metaKey) return;
    if (form && event.ctrlKey && event.key === "Enter") { event.preventDefault(); form.requestSubmit(); return; }
    if (event.ctrlKey || off()) return;
    const at = event.target.closest && event.target.closest("textarea, select, dialog, input:not([type=radio])");
    if (at) { if (event.key === "Escape") at.blur(); return; }
    const key = CSS.escape(event.key);
    const pick = document.querySelector(`[data-pick="${key}"]`);
    const focus = document.querySelector(`[data-focus="${key}"]`);
    const press = event.key !== "Enter" && document.querySelector(`[data-press="${key}"]`);
    if (pick) { pick.checked = true; pick.focus(); changed(); if (pick.value === "correct") open("c"); }
    else if (focus) open(event.key);
    else if (press) press.click();
    else return;
    event.preventDefault();
  });
  const open = (key) => {
    const field = document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
    if (key === "c") document.querySelector('[value="correct"]').checked = true;
    field.focus();
    field.setSelectionRange(0, 0);
  };
  if (!form) {
    const start = document.querySelector('[data-press="Enter"]');
    if (start) start.focus();
    return;
  }
  let timer = 0;
  const said = form.querySelector(".saved");
  const changes = form.querySelector(".changes");
  const save = async () => {
    try {
      const answer = await fetch(form.dataset.draft, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      said.textContent = answer.ok ? "Kept" : "Not kept: send it soon";
      if (answer.ok) { changes.textContent = await answer.text(); changes.hidden = !changes.textContent; }
    } catch { said.textContent = "Not kept: no connection"; }
  };
  const changed = () => { clearTimeout(timer); timer = setTimeout(save, 600); };
  form.addEventListener("input", changed);
  form.addEventListener("submit", () => clearTimeout(timer));
})();
