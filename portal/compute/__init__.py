"""GPU pool, profiles, prices, compute sessions and the evidence that they are billed from.

Words: a *node* is a machine of the pool, a *device* what one session may hold of it (a GPU, a slice of one, or a
seat for work without a GPU); a *profile* is what a person chooses (device class, memory, power) and has *price
versions*; a *compute session* is one JupyterLab from request to settlement, on the hub the named server `s-<number>`
of the user `u-<number>`; a *ticket* lets the hub start it once; an *observation* is what the hub's plug-in saw of
its process; *proven* seconds are those that observations prove, and only those are billed.

Invariants: a device is held by at most one session; price versions of a profile never overlap and never change; a
ticket is spent once; observations are never changed or deleted, and neither their order nor their number matters;
a session that never ran costs nothing.

The network is touched by `jobs` alone, through `hub_gateway`. Called by learning (labs), desk and hub_api.
"""
