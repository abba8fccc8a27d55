"""Tests of how a model becomes an engine."""
