"""Messages to people: an outbox, delivery by mail, and every message again as a page of the portal.

A message is queued in the transaction of what it tells about, and rendered by the delivery job in the language and
zone of its recipient. A recipient is a value (id, address, language, zone), never a row of identity.

A domain writes `<domain>/mail/<name>.txt`: the first line is "Subject: …", the rest the text. The mail's HTML is made
from that text. In templates numbers and times take the `_text` twins of the filters, and links are absolute,
built from `portal_url`.

A message that carries a personal link is queued with `is_secret=True`: after delivery its context and body are
forgotten, so that neither the database nor the messages page holds a working link.
"""
