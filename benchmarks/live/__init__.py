"""`make bench-live`: how long one change takes from its commit on one side to its commit on the other."""
