"""`check`: what is wrong with a project, beyond what reading it already shows."""
