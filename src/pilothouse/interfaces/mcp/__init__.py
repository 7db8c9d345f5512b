# SPDX-License-Identifier: Apache-2.0
"""What agents may ask of us by the Model Context Protocol."""
