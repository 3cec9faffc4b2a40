"""What we compare with; frozen: a change here would move every ratio."""
