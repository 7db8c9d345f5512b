// SPDX-License-Identifier: Apache-2.0
// Loaded when a page needs another copy of itself, or what follows it: renewed pages, evidence opened in its row, the next item.
"use strict";
const main = () => document.getElementById("main");
const parsed = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
const fetched = async (href) => {
  const answer = await fetch(href);
  return answer.ok ? parsed(answer) : null;
};

// What somebody has typed or chosen and not yet sent.
const isTouched = (field) => field.options
  ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
  : field.checked !== field.defaultChecked || field.value !== field.defaultValue;

// The same place in another copy of the page: the link or button that says the same and leads to the same.
const again = (place) => [...main().querySelectorAll(place.tagName)].find((one) =>
  one.textContent === place.textContent && one.getAttribute("href") === place.getAttribute("href"));

// Show the page as it is now, unless somebody is writing in it or has written; who was somewhere in it stays there.
export const renew = async (copyable) => {
  if (main().querySelector("form :is(input, select, textarea):focus")) return;
  if ([...main().querySelectorAll("form :is(input, select, textarea)")].some(isTouched)) return;
  const place = main().contains(document.activeElement) && document.activeElement;
  const { press } = document.activeElement.dataset;
  const fresh = await fetched(location.href);
  if (!fresh) { location.reload(); return; }
  main().replaceChildren(...fresh.getElementById("main").children);
  document.querySelector(".foot").replaceWith(fresh.querySelector(".foot"));
  copyable(main());
  const there = press ? main().querySelector(`[data-press="${press}"]`) : place && again(place);
  there?.focus({ preventScroll: true });
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

// What an answer that is no page says: what is wrong, and what to do.
export const problem = async (answer) => [...(await parsed(answer)).querySelectorAll("main p")].map((one) => one.textContent).join(" ");

// A session may have ended while somebody wrote: put the token of the one there is now into the forms, and say whether it is another.
export const retoken = async () => {
  const token = (root) => root?.querySelector("[name=form_token]")?.value;
  const [was, now] = [token(main()), token(await fetched(location.href))];
  if (!now || now === was) return false;
  for (const one of document.querySelectorAll("[name=form_token]")) one.value = now;
  return true;
};

// Show what a sent form led to in this page: a problem, or a page with `wanted` on it; any other page is opened.
export const show = async (answer, wanted) => {
  const fresh = await parsed(answer);
  if (answer.redirected && !fresh.querySelector(wanted)) { location.assign(answer.url); return; }
  document.body.replaceChildren(...fresh.body.children);
  document.title = fresh.title;
  if (answer.redirected) history.pushState(null, "", answer.url);
  scrollTo(0, 0);
  main().focus({ preventScroll: true });
};
