"""Labelling campaigns, tasks, quality, pay. Built with issue 7."""
