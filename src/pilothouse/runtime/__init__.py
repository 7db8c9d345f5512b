# SPDX-License-Identifier: Apache-2.0
"""What stands between the agent and the world while it runs."""
