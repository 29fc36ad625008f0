"""Barriers from a universal interatomic potential: end structures of a hop, a first path, a climbing-image NEB, a record.

Kernels only: nothing here is a builder of the store. A NEB takes minutes, so it is asked for hop by hop (``ionatlas neb``), and
its result enters the store as a record like any other barrier.
"""
