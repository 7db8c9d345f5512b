# SPDX-License-Identifier: Apache-2.0
"""Stands before pandas in the environment of the measured server: only our tests install it, and whatever finds it loads it."""

raise ModuleNotFoundError("pandas is no dependency of the server", name="pandas")
