# SPDX-License-Identifier: Apache-2.0
"""What keeps a failing system from taking the agent with it: state machines whose time and chance are arguments."""
