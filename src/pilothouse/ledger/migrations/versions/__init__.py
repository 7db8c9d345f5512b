# SPDX-License-Identifier: Apache-2.0
"""One module for each step; a step that was released is never changed."""
