"""How rebuilding works: plan, execute, write, tidy. Knows no science.

================  =====================================================================================================
module            what it does
================  =====================================================================================================
``builder``       :class:`~builders.engine.builder.IncrementalBuilder`, on maggma's ``Builder``
``inputs``        where a builder's inputs come from and how their content hashes are read in bulk
``plan``          which documents are missing, stale (and why), failed, orphaned, fresh
``work``          what happens to items inside a worker process
``executors``     spawned local pool, dask.distributed
``lease``         one build of a collection at a time
``targets``       documents, failures, revisions: acknowledged writes; in place or by generation
``loop``          workers kept busy, results written, the guilty item found
``run``           one builder from plan to record; many in the order of the graph
================  =====================================================================================================
"""
