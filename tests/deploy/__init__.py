"""Tests of shipping: provisioning and the units."""
