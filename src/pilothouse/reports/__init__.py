# SPDX-License-Identifier: Apache-2.0
"""View models and their renderings: page, terminal, JSON."""
