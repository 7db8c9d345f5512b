# SPDX-License-Identifier: Apache-2.0
"""Something went wrong: the alert, the incident, who is called and who follows, and what changed around it."""
