"""Attestations: who proved what, where, when. Built with issue 7."""
