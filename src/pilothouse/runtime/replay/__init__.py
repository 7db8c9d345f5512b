# SPDX-License-Identifier: Apache-2.0
"""Replay a recorded run: match its calls, name the first divergence, isolate it from the world."""
