# SPDX-License-Identifier: Apache-2.0
"""The rules of a charter, grouped by noun; `table.py` lists them all."""
