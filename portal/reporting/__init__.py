"""Read-only views over the other domains. Built with issue 8."""
