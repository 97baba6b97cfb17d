//! spread.conf: read, diagnose, render, compare.
