"""Money in and out: price list, purchases, Stripe, bank transfer, invoices. Built with issue 3."""
