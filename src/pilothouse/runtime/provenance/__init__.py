# SPDX-License-Identifier: Apache-2.0
"""Where the values of a call come from."""
