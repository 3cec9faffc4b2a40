"""What owns a wallet, a quota, volumes, secrets and members."""
