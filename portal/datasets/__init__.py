"""Data sets: versions, licences, access, mounts. Built with issue 7."""
