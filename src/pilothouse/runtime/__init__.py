# SPDX-License-Identifier: Apache-2.0
"""What stands between the agent and the world while it runs: gateway, tools, permissions, run log, replay, SDK.

May import core, ports and settings; never lake or ledger. What must be kept goes through a port that `app` fills.
"""
