"""Figures for the README: each is measured beside its peer, in the same run."""
