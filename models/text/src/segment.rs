//! Tokens of the fixed grid and overlapping windows.
