"""Flask mechanisms, without any domain.

application   the Flask class: one request is one transaction, committed at the edge, retried on deadlock
database      the request's session
access        every route declares who may call it; what is not declared is refused
actors        who the request acts for
once          a form has its effect once, however often it is sent
forms         base class of forms; refusals land beside their field
errors        DomainError to page, form error or JSON (RFC 9457)
i18n          language, direction, zone and theme of the reader
headers       security headers, content policy with a nonce
pages         what the layout needs: navigation, account, balance
formats       numbers, money, credits, times in the reader's language
assets        hashed file names of the stylesheet and scripts
"""
