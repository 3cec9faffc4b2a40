"""Money in and out: price list, purchases of credits, Stripe, bank transfer, invoices and credit notes.

Words
    price list     a version with the price of a credit by quantity and currency; published once, never changed
    quote          what a quantity costs now: net, VAT, gross
    purchase       somebody buys credits for a wallet; paid once, by card or bank transfer
    observation    what the payment service says of a purchase now: paid or not, refunds, disputes
    refund         money that goes back, asked for by a person; above a limit it takes a second one
    dispute        money that the buyer's bank takes back, and may give back
    document       an invoice or a credit note: numbered without gaps, never changed
    difference     a line of Stripe's balance that our books do not explain, to be worked on

Invariants
    A payment is never committed before its credits: both are one transaction, under the purchase's lock.
    Whatever arrives (a webhook, the landing page, the reconciler), in whatever order and however often, is only a
    reason to ask Stripe how things are now; `settlements.settle` brings our side there.
    What comes back of the credits follows from the money that went back, never more than was issued.

Who may call: the buyer's project places purchases; finance refunds, matches transfers and resolves differences.
Nothing but `stripe_gateway` talks to Stripe, and only jobs use it.
"""
