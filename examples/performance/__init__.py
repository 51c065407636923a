"""What the library costs, measured: each module here is a command that prints its figures."""
