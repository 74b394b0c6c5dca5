"""What `expect:` asks: Great Expectations on decoded batches, on the whole landed run, and its Data Docs."""
