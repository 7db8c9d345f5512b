# SPDX-License-Identifier: Apache-2.0
"""What people are shown and sent: readiness, value, portfolio, evidence for auditors, the month's inputs, the plan."""
