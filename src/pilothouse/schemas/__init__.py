# SPDX-License-Identifier: Apache-2.0
"""Holding texts and values against JSON Schemas, whoever wrote those: it ends, and what is not known in time is not valid."""
