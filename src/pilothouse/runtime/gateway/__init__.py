# SPDX-License-Identifier: Apache-2.0
"""The model gateway: pins, protects, meters and hands on the bytes of model calls; knows no server."""
