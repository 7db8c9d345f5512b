# SPDX-License-Identifier: Apache-2.0
"""What people and policies let an agent do: pause, roll back, narrow, widen."""
