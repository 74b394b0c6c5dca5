"""Files for other systems: written row by row beside their place, and renamed into it whole."""
