# SPDX-License-Identifier: Apache-2.0
"""Context of a model call: its use of the window, and lossless edits."""
