"""Instruments that write runs: scripts of timed steps (pure), and a player that replays them into a folder."""
