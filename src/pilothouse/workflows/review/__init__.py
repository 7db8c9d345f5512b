# SPDX-License-Identifier: Apache-2.0
"""What people say of outputs: which are drawn, who is asked, what was answered, and how far it can be trusted."""
