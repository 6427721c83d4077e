"""HOW bytes move: plan (pure) -> coordinator -> pool -> worker -> engine -> store."""
