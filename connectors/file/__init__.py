"""Files: delimited text, fixed width, spreadsheets, JSON lines, FEC, and the folders that they drop into."""
