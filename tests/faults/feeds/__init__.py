"""Kills under the load of feeds: posts that are pushed and pulled, follows, and visits from the top to the oldest."""
