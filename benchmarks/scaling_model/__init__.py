"""A model of throughput: hosts, network cards, S3's limits, storage and the coordinator; formulas and a simulation."""
