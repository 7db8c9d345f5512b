// SPDX-License-Identifier: Apache-2.0
// Loaded when somebody asks: go anywhere by typing, and the list of all keys.
"use strict";
const made = (tag, text, attributes = {}) => {
  const one = document.createElement(tag);
  one.textContent = text;
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  return one;
};
const shown = (box) => {
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
};
const places = async () => {
  const links = [...document.querySelectorAll("header.top a")].map((one) => [one.textContent.trim(), one.href]);
  const parts = [...document.querySelectorAll("main section[id]")]
    .map((one) => [one.querySelector("h2").firstChild.textContent.trim() + " (this page)", "#" + one.id]);
  const rows = [...document.querySelectorAll("main th a, main td a")]
    .map((one) => [one.textContent.trim(), one.href]);
  let agents = [];
  try {
    const fleet = await (await fetch("/fleet.json")).json();
    agents = fleet.rows.map((row) => [row.agent.text, row.agent.href]);
  } catch { /* its own links remain */ }
  const seen = new Set();
  return [...links, ...parts, ...agents, ...rows].filter(([text, href]) => {
    const key = text + href;
    return text && !seen.has(key) && seen.add(key);
  });
};

export const palette = async () => {
  if (document.querySelector("dialog[open]")) return;
  const box = made("dialog", "", { class: "palette", "aria-label": "Go to" });
  const field = made("input", "", { type: "search", "aria-label": "Go to" });
  const list = made("ul", "");
  box.append(field, list);
  shown(box);
  const all = await places();
  const draw = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter(([text]) => words.every((word) => text.toLowerCase().includes(word))).slice(0, 12);
    list.replaceChildren(...found.map(([text, href]) => {
      const item = made("li", "");
      item.append(made("a", text, { href }));
      return item;
    }));
  };
  field.addEventListener("input", draw);
  box.addEventListener("click", (event) => { if (event.target.closest("a")) box.close(); });
  box.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Enter" && at < 0 && links[0]) { event.preventDefault(); links[0].click(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    (links[at + step] || field).focus();
  });
  draw();
};

export const help = () => {
  if (document.querySelector("dialog[open]")) return;
  const box = made("dialog", "", { "aria-label": "Keyboard" });
  box.append(made("h2", "Keyboard"));
  const go = [...document.querySelectorAll("[data-go]")].map((one) => ["g " + one.dataset.go, one.textContent]);
  const picks = [...document.querySelectorAll("[data-pick], [data-focus], [data-press]")].map((one) =>
    [one.dataset.pick || one.dataset.focus || one.dataset.press, (one.labels[0]?.querySelector("span") || one).firstChild.textContent]);
  const keys = [["Ctrl K", "go to anything by its name"], ["j", "next row"], ["k", "row before"], ["o", "open the row"],
    ["/", "query line"], ["?", "this list"], ...go, ...picks];
  const list = made("dl", "", { class: "keys" });
  for (const [key, what] of keys) {
    const line = made("div", "");
    const name = made("dt", "");
    name.append(made("kbd", key));
    line.append(name, made("dd", what));
    list.append(line);
  }
  let off = false;
  try { off = localStorage.getItem("keys") === "off"; } catch { }
  const toggle = made("button", "Switch single keys " + (off ? "on" : "off"), { type: "button" });
  toggle.addEventListener("click", () => {
    try { localStorage.setItem("keys", off ? "on" : "off"); } catch {  }
    box.close();
  });
  const close = made("button", "Close", { type: "button" });
  close.addEventListener("click", () => box.close());
  box.append(list, toggle, " ", close);
  shown(box);
};
