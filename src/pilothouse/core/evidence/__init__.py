# SPDX-License-Identifier: Apache-2.0
"""What was measured or signed: the records a verdict rests on, and how telemetry is folded into them.

May import `core.charter` and `core.statistics`. `evidence.py` is the record, `kinds.py` the list of everything it may say.
"""
