"""How bytes move: engine, workers, coordinator."""
