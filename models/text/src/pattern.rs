//! Patterns of the operator as automata, whole-text and streaming.
