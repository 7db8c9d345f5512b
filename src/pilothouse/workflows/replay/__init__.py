# SPDX-License-Identifier: Apache-2.0
"""A recorded run, played again with one part changed."""
