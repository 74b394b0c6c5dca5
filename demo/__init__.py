"""The demo: a made-up French maintenance company, its files with every kind of fault, and what becomes of them."""
