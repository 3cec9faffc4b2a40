"""What spans domains: home pages, search, reactions, the permission page."""
