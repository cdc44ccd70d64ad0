//! Tests of the whole engine, in memory.
