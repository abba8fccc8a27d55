"""Tests of chunks: cutting, storing, differences, planning and assembling."""
