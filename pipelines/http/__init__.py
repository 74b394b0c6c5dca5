"""What others reach over HTTP: the receiver of systems' calls, and the records for applications that speak no SQL."""
