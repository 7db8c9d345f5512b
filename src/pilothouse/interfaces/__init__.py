# SPDX-License-Identifier: Apache-2.0
"""Where people and machines come in; siblings never import each other."""
