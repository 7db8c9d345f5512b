# SPDX-License-Identifier: Apache-2.0
"""What must hold: the charter, its rules and its differences."""
