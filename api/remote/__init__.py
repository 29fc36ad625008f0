"""What stands behind :class:`api.client.Atlas`: a store on this machine, or a server that is asked over HTTP.

Both answer the same protocol (:mod:`api.remote.protocol`) with the same dataclasses of :mod:`api.results`, so that a program
does not change when its store moves to another machine.
"""
