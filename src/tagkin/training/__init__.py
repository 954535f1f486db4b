"""Phase 1: a multi-label head on cached vectors, its scores and its thresholds."""
