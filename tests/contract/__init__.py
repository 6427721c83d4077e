"""One contract of ObjectStore, and the stores that tests put under the engine."""
