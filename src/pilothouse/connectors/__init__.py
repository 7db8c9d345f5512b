# SPDX-License-Identifier: Apache-2.0
"""Adapters to vendors and file formats, one module each."""
