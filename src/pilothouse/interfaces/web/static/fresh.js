// SPDX-License-Identifier: Apache-2.0
// Loaded when a page needs a newer or fuller copy of itself: pages that renew themselves, evidence that opens in its row.
"use strict";
const main = document.getElementById("main");
const fetched = async (href) => {
  const answer = await fetch(href);
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
};

// Show the page as it is now, unless somebody is writing in it.
export const renew = async (copyable) => {
  if (main.querySelector("form :focus")) return;
  const fresh = await fetched(location.href);
  if (!fresh) { location.reload(); return; }
  main.replaceChildren(...fresh.getElementById("main").children);
  document.querySelector(".foot").replaceWith(fresh.querySelector(".foot"));
  copyable(main);
};

// Put the unfolded row in the place of the folded one; a page that cannot be fetched is opened instead.
export const open = async (link, copyable) => {
  const row = link.closest("[id]");
  const fresh = (await fetched(link.href))?.getElementById(row.id);
  if (!fresh) { location.assign(link.href); return; }
  row.replaceWith(fresh);
  copyable(fresh);
  fresh.querySelector("summary").focus();
};
