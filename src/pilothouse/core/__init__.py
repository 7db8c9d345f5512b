# SPDX-License-Identifier: Apache-2.0
"""Pure decisions: charter + evidence → verdict → plan."""
