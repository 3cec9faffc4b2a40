"""Writes of compute.

pool          nodes, devices and profiles come into the pool
prices        a profile's price from an instant on
sessions      request, stop
starts        the start job's steps between the calls to the hub
tickets       issue, redeem
observations  receive what the hub's plug-in saw
endings       the three ways a session ends: finished, lost, never ran
watch         each minute: roll windows, stop what is over, compare with the hub
"""
