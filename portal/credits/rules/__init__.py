"""Pure rules of the ledger: the order of spending, windows, what is due to be booked."""
