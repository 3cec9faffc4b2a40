"""The public JSON API. Built with issue 8."""
