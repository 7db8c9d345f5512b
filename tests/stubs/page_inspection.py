# SPDX-License-Identifier: Apache-2.0
"""What axe finds on an open page in light, in dark and on a telephone; no contrast is measured twice.

Measuring contrast is most of what axe costs, and a table of a hundred rows is one question a hundred times. In light at
full width every text is measured where it stands. The other modes differ from that in colours or in width: of texts whose
styles are the same up to the root, one is measured there. What is positioned may stand over anything, so it always is.
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

MARK_ONE_OF_EACH_STYLE = """() => {
  const deciding = ['color', 'fill', 'backgroundColor', 'backgroundImage', 'opacity', 'fontSize', 'fontWeight', 'display',
    'textShadow', 'visibility', 'filter', 'mixBlendMode', 'clipPath', 'overflow', 'webkitTextStrokeWidth'];
  const known = new Map();
  const styleOf = (element) => {
    if (!known.has(element)) {
      const style = getComputedStyle(element);
      const above = element.parentElement ? styleOf(element.parentElement) : {path: '', placed: false};
      known.set(element, {
        path: `${above.path}/${element.localName} ${deciding.map((one) => style[one]).join(' ')}`,
        placed: above.placed || !['static', 'relative'].includes(style.position) || style.float !== 'none',
      });
    }
    return known.get(element);
  };
  const seen = new Set();
  for (const element of document.body.querySelectorAll('*')) {
    const hasText = element.matches('input, select, textarea')
      || [...element.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim());
    const {path, placed} = styleOf(element);
    element.toggleAttribute('data-measured', hasText && (placed || !seen.has(path)));
    if (hasText && !placed) seen.add(path);
  }
}"""


def axe_findings(page, options=DEFAULT_OPTIONS, context="html"):
    """Run axe over a part of the page that is open; return the report, empty where nothing is wrong."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = AxeResults(page.evaluate("([context, options]) => axe.run(context, options)", [context, options]))
    return found.generate_report() if found.violations_count else ""


def findings_by_mode(page, *modes):
    """Return what axe finds in each of some modes; the page is left in light at full width."""
    found = {mode: "".join(_findings_in(page, mode)) for mode in modes}
    _show(page, "light")
    return found


def _show(page, mode):
    page.set_viewport_size(PHONE if "phone" in mode else DESK)
    page.emulate_media(color_scheme="dark" if "dark" in mode else "light")


def _findings_in(page, mode):
    _show(page, mode)
    if mode == "light":
        yield axe_findings(page)
        return
    yield axe_findings(page, ALL_BUT_CONTRAST if mode == "phone" else LINKS)
    page.evaluate(MARK_ONE_OF_EACH_STYLE)
    yield axe_findings(page, CONTRAST, {"include": ["[data-measured]"]})
