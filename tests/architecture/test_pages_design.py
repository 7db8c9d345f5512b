# SPDX-License-Identifier: Apache-2.0
"""The style sheet has the status colours of `design.py` and no others but ink on paper; all can be read and told apart."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import pytest

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.design import STATUS_COLOURS, Pair, stylesheet

CSS_BYTES_MAX = 12 * 1024
SCRIPT_BYTES_MAX = 4 * 1024
SCRIPT_LINES_MAX = 100
TEXT_CONTRAST_MIN = 4.5
CONTROL_CONTRAST_MIN = 3.0
DIFFERENCE_MIN = 20.0

# Everything that is no status is ink on paper: colour means status and nothing else.
ROLES = {
    "paper": Pair("#fbfbfa", "#14171a"),
    "panel": Pair("#ffffff", "#1b1f23"),
    "ink": Pair("#1a1d21", "#e8eaed"),
    "muted": Pair("#5a626b", "#a4adb6"),
    "hairline": Pair("#dcdfe2", "#343a40"),
    "control": Pair("#7f868e", "#727a82"),
}
ALL = {**{status.value: pair for status, pair in STATUS_COLOURS.items()}, **ROLES}

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0; applied to linear RGB.
SIMULATIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one, other):
    """The contrast ratio of WCAG 2.2."""
    bright, dark = sorted(
        (
            sum(k * v for k, v in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))
            for colour in (one, other)
        ),
        reverse=True,
    )
    return (bright + 0.05) / (dark + 0.05)


def seen_as(colour, simulation):
    rgb = linear(colour)
    return [
        min(max(sum(k * v for k, v in zip(row, rgb, strict=True)), 0), 1) for row in SIMULATIONS[simulation]
    ]


def lab(rgb):
    red, green, blue = rgb
    xyz = (
        (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047,
        0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
        (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883,
    )
    x, y, z = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("name", ALL)
def test_the_style_sheet_has_each_value_of_the_design(name):
    css, pair = stylesheet(), ALL[name]
    assert f"--{name}:{pair.light}" in css
    assert f"--{name}:light-dark({pair.light},{pair.dark})" in css


def test_the_style_sheet_has_no_colour_of_its_own():
    used = set(re.findall(r"#[0-9a-f]{3,8}\b", stylesheet()))
    assert used - {"#000", "#fff"} == {value for pair in ALL.values() for value in (pair.light, pair.dark)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_text_and_controls_can_be_read(scheme, ground):
    behind = getattr(ROLES[ground], scheme)
    for name in (*(status.value for status in Status), "ink", "muted"):
        assert contrast(getattr(ALL[name], scheme), behind) >= TEXT_CONTRAST_MIN, name
    assert contrast(getattr(ROLES["control"], scheme), behind) >= CONTROL_CONTRAST_MIN


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("simulation", SIMULATIONS)
def test_statuses_can_be_told_apart_by_every_eye(scheme, simulation):
    for one, other in combinations(STATUS_COLOURS.values(), 2):
        pair = [lab(seen_as(getattr(colour, scheme), simulation)) for colour in (one, other)]
        assert sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 >= DIFFERENCE_MIN


def test_the_style_stays_small():
    assert len(stylesheet().encode()) <= CSS_BYTES_MAX


@pytest.mark.parametrize("name", ["pilothouse.js", "fresh.js", "palette.js", "review.js"])
def test_each_script_stays_small(name):
    script = (files("pilothouse.interfaces.web") / "static" / name).read_bytes()
    assert len(script) <= SCRIPT_BYTES_MAX
    assert script.count(b"\n") <= SCRIPT_LINES_MAX
