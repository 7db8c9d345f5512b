# SPDX-License-Identifier: Apache-2.0
"""What must hold: the charter as a strict model, its rules, its differences, and the draft of a first one.

May import `errors` only; the file itself is read by `connectors/charter_file.py`.
"""
