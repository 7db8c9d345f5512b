# SPDX-License-Identifier: Apache-2.0
"""Context of a model call: how much of the window it uses, and edits that lose nothing."""
