// SPDX-License-Identifier: Apache-2.0
// Comfort of the review form: keys that choose, drafts that are kept, the next item in place. It works without this file.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const form = () => one("form.review");
  const off = () => { try { return localStorage.getItem("keys") === "off"; } catch { return false; } };
  const swap = () => import(document.body.dataset.fresh);
  const post = (href, from, keepalive = false) =>
    fetch(href, { method: "POST", keepalive, body: new URLSearchParams(new FormData(from)) });
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.metaKey) return;
    if (form() && event.ctrlKey && event.key === "Enter") { event.preventDefault(); form().requestSubmit(); return; }
    if (event.ctrlKey || off()) return;
    const at = event.target.closest && event.target.closest("textarea, select, dialog, input:not([type=radio])");
    if (at) { if (event.key === "Escape") at.blur(); return; }
    const key = CSS.escape(event.key);
    const pick = one(`[data-pick="${key}"]`);
    const focus = one(`[data-focus="${key}"]`);
    const press = event.key !== "Enter" && one(`[data-press="${key}"]`);
    if (pick) { pick.checked = true; pick.focus(); changed(); if (pick.value === "correct") open("c"); }
    else if (focus) open(event.key);
    else if (press) press.click();
    else return;
    event.preventDefault();
  });
  const open = (key) => {
    const field = one(`[data-focus="${CSS.escape(key)}"]`);
    if (key === "c") one('[value="correct"]').checked = true;
    field.focus();
    field.setSelectionRange(0, 0);
  };
  if (!form()) one('[data-press="Enter"]')?.focus();

  let timer = 0;
  const save = async (keepalive) => {
    const own = form();
    timer = 0;
    if (!own) return;
    const said = own.querySelector(".saved");
    const changes = own.querySelector(".changes");
    try {
      const answer = await post(own.dataset.draft, own, keepalive);
      said.textContent = answer.ok ? "Kept" : "Not kept: send it soon";
      if (answer.ok) { changes.textContent = await answer.text(); changes.hidden = !changes.textContent; }
    } catch { said.textContent = "Not kept: no connection"; }
  };
  const changed = () => { clearTimeout(timer); timer = setTimeout(save, 600); swap(); };
  // What was typed within the last moment before leaving is kept too.
  addEventListener("pagehide", () => { if (timer) { clearTimeout(timer); save(true); } });
  addEventListener("input", (event) => { if (event.target.form === form()) changed(); });

  // Send, and put what comes next in the place of this item; what was typed stays until something has come.
  let sending = false;
  addEventListener("submit", async (event) => {
    const sent = event.target;
    if (!sent.action.startsWith(`${location.origin}/review/`)) return;
    event.preventDefault();
    if (sending) return;
    sending = true;
    if (timer && sent !== form()) await save();
    clearTimeout(timer);
    timer = 0;
    const said = one(".saved");
    if (said) said.textContent = "Sending";
    try {
      const { problem, show, retoken } = await swap();
      let answer = await post(sent.action, sent);
      if (answer.status === 403 && await retoken()) answer = await post(sent.action, sent);
      if (said && [403, 422].includes(answer.status)) said.textContent = await problem(answer);
      else await show(answer, "form.review");
    } catch { if (said) said.textContent = "Not sent: no connection"; else sent.submit(); }
    finally { sending = false; }
  });
  addEventListener("popstate", () => location.reload());
})();
