"""The lean data path: signed PUTs over plain asyncio connections, for the two calls that carry the bytes."""
