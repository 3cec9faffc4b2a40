"""What spans domains: home pages, navigation, reactions to facts, the permission page, health.

reactions   the one table that says which jobs a fact enqueues
layout      what domains contribute to every page: navigation, account, balance, foot
queries     what a person's home page needs, from the domains' own queries
permissions the page that lists who may do what, from the domains' tables

The desk owns no table. Nothing imports it but the factory.
"""
