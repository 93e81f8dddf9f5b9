"""Tests: of each package by itself, and of the running system from outside."""
