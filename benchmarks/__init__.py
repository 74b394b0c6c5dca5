"""The bench: one file loaded by a floor made by hand, by dlt and by Navette, in turns."""
