"""Tests of the two slots."""
