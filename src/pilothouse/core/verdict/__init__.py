# SPDX-License-Identifier: Apache-2.0
"""Charter and evidence become verdicts."""
