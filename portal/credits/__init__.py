"""The GPU credit ledger: wallets, lots, holds, captures, expiry, statements."""
