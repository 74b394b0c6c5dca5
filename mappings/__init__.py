"""The mapping language: what integrators write, read into typed models. Pure: no database, no network."""
