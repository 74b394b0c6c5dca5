"""One folder or file per protocol: what speaks to the outside, and knows no store."""
