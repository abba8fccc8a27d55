"""Tests of the power cuts."""
