# SPDX-License-Identifier: Apache-2.0
"""What axe finds on an open page in light, in dark and on a telephone; no contrast is measured twice.

Measuring contrast is most of what axe costs, and a table of a hundred rows is one question a hundred times. Of texts whose
styles are the same up to the root one is measured, once for all pages and modes that are looked at together. What is
positioned may stand over anything, so it always is. With `every_text` each text is measured in light at full width where
it stands, and every rule is asked on a telephone: the long lane does so.
"""

from __future__ import annotations

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import DEFAULT_OPTIONS, Axe

__all__ = ["DESK", "PHONE", "axe_findings", "findings_by_mode"]

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 900}

CONTRAST = {**DEFAULT_OPTIONS, "runOnly": ["color-contrast"]}
LINKS = {**DEFAULT_OPTIONS, "runOnly": ["link-in-text-block"]}
"""The other rule that looks at colours: dark needs no more than the two, the document is the same as in light."""
ALL_BUT_CONTRAST = {**DEFAULT_OPTIONS, "rules": {"color-contrast": {"enabled": False}}}
OF_WIDTH = {
    **DEFAULT_OPTIONS,
    "runOnly": ["scrollable-region-focusable", "css-orientation-lock", "link-in-text-block", "target-size"],
}
"""What a narrow window can change as long as it shows and hides the same elements."""

MARK_ONE_OF_EACH_STYLE = """(measured) => {
  const deciding = ['color', 'fill', 'backgroundColor', 'backgroundImage', 'opacity', 'fontSize', 'fontWeight', 'display',
    'textShadow', 'visibility', 'filter', 'mixBlendMode', 'clipPath', 'overflow', 'webkitTextStrokeWidth'];
  const digest = (text) => {
    let [high, low] = [0xdeadbeef, 0x41c6ce57];
    for (let at = 0; at < text.length; at++) {
      high = Math.imul(high ^ text.charCodeAt(at), 2654435761);
      low = Math.imul(low ^ text.charCodeAt(at), 1597334677);
    }
    return `${high >>> 0} ${low >>> 0}`;
  };
  const known = new Map();
  const styleOf = (element) => {
    if (!known.has(element)) {
      const style = getComputedStyle(element);
      const above = element.parentElement ? styleOf(element.parentElement) : {path: '', placed: false};
      known.set(element, {
        path: digest(`${above.path}/${element.localName} ${deciding.map((one) => style[one]).join(' ')}`),
        placed: above.placed || !['static', 'relative'].includes(style.position) || style.float !== 'none',
      });
    }
    return known.get(element);
  };
  const seen = new Set(measured);
  let marked = 0;
  for (const element of document.body.querySelectorAll('*')) {
    const hasText = element.matches('input, select, textarea')
      || [...element.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim());
    const {path, placed} = styleOf(element);
    const toMeasure = hasText && (placed || !seen.has(path));
    element.toggleAttribute('data-measured', toMeasure);
    marked += toMeasure;
    if (hasText && !placed) seen.add(path);
  }
  return [marked, [...seen]];
}"""

WHAT_IS_SHOWN = (
    """() => [...document.querySelectorAll('*')].map((one) => Number(one.checkVisibility())).join('')"""
)


def axe_findings(page, options=DEFAULT_OPTIONS, context="html"):
    """Run axe over a part of the page that is open; return the report, empty where nothing is wrong."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = AxeResults(page.evaluate("([context, options]) => axe.run(context, options)", [context, options]))
    return found.generate_report() if found.violations_count else ""


def findings_by_mode(page, *modes, measured=None, every_text=False):
    """Return what axe finds in each of some modes, light first; the page is left in light at full width.

    Args:
        page: The open page.
        modes: Some of `light`, `dark`, `phone` and `dark phone`.
        measured: Styles whose contrast is known from other pages; those of this page are added.
        every_text: Measure the contrast of each text in light, and ask every rule on a telephone.
    """
    measured = set() if measured is None else measured
    found, shown = {}, {}
    for mode in modes:
        _show(page, mode)
        shown[mode] = page.evaluate(WHAT_IS_SHOWN)
        rules = _rules_of(mode, in_full=every_text or shown[mode] != shown[modes[0]])
        found[mode] = axe_findings(page, rules)
        if rules is not DEFAULT_OPTIONS:
            found[mode] += _faint_texts(page, set() if every_text else measured)
    _show(page, "light")
    return found


def _show(page, mode):
    page.set_viewport_size(PHONE if "phone" in mode else DESK)
    page.emulate_media(color_scheme="dark" if "dark" in mode else "light")


def _rules_of(mode, *, in_full):
    if mode == "light":
        return DEFAULT_OPTIONS if in_full else ALL_BUT_CONTRAST
    if mode == "phone":
        return ALL_BUT_CONTRAST if in_full else OF_WIDTH
    return LINKS


def _faint_texts(page, measured):
    """Measure the contrast of each text whose style is new, and note the style."""
    marked, seen = page.evaluate(MARK_ONE_OF_EACH_STYLE, list(measured))
    measured.update(seen)
    return axe_findings(page, CONTRAST, {"include": ["[data-measured]"]}) if marked else ""
