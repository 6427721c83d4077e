"""The real command with the workers of a real Dask cluster, some of which are killed, frozen, cut off or unfit."""
