# SPDX-License-Identifier: Apache-2.0
"""The run log on disk: cutting, redacting, encrypting, chaining, writing and reading."""
