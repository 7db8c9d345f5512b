# SPDX-License-Identifier: Apache-2.0
"""What follows from a verdict or an alarm, as a proposal: demotion, escalation, who is on call. Workflows carry it out."""
