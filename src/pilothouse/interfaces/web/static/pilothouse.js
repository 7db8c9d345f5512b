// SPDX-License-Identifier: Apache-2.0
// Comfort only: copy buttons, keyboard. Every page works without this file.
"use strict";
(() => {
  const off = () => { try { return localStorage.getItem("keys") === "off"; } catch { return false; } };
  for (const cmd of document.querySelectorAll(".cmd")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy " + cmd.textContent);
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(cmd.querySelector("code").textContent); button.textContent = "Copied"; }
      catch { button.textContent = "Not allowed"; }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    cmd.append(button);
  }
  // A link to a requirement inside a folded part opens what folds it.
  const unfold = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  const rows = [...document.querySelectorAll(".row, .spans > li")];
  let at = -1;
  const move = (step) => {
    if (!rows.length) return;
    if (at >= 0) rows[at].classList.remove("at");
    at = Math.min(Math.max(at + step, 0), rows.length - 1);
    rows[at].classList.add("at");
    rows[at].scrollIntoView({ block: "nearest" });
  };
  const help = () => {
    const box = document.createElement("dialog");
    const list = [["g then a letter", "go: f Fleet, a Agent, r Readiness, t Tasks"], ["j, k", "next, previous row"],
      ["o", "open the row"], ["/", "search field"], ["?", "this list"]];
    box.append(Object.assign(document.createElement("h2"), { textContent: "Keyboard" }));
    for (const [key, what] of list) {
      const line = document.createElement("p");
      line.append(Object.assign(document.createElement("kbd"), { textContent: key }), " " + what);
      box.append(line);
    }
    const toggle = document.createElement("button");
    toggle.textContent = "Switch shortcuts " + (off() ? "on" : "off");
    toggle.addEventListener("click", () => {
      try { localStorage.setItem("keys", off() ? "on" : "off"); } catch { /* stays as it is */ }
      box.close();
    });
    const close = Object.assign(document.createElement("button"), { textContent: "Close" });
    close.addEventListener("click", () => box.close());
    box.append(toggle, " ", close);
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
  };
  let going = 0;
  addEventListener("keydown", (event) => {
    const typing = event.target.closest && event.target.closest("input, select, textarea, dialog");
    if (typing || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "?") { help(); return; }
    if (off()) return;
    if (Date.now() - going < 1000) {
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      going = 0;
      if (link) { link.click(); return; }
    }
    if (event.key === "g") going = Date.now();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "o" && at >= 0) {
      const open = rows[at].querySelector("th a, h3 a, summary");
      if (open) open.click();
    } else if (event.key === "/") {
      const field = document.querySelector('[data-key="/"]');
      if (field) { event.preventDefault(); field.focus(); }
    }
  });
})();
