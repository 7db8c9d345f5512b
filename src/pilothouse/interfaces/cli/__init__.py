# SPDX-License-Identifier: Apache-2.0
"""The command line: a module for each command, joined in `main.py`; what a command prints is a view model of `reports`."""
