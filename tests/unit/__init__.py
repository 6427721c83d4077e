"""Tests of single pieces, without the command as a whole."""
