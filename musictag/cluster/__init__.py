"""A scan on several machines: files are decoded and heard on a Ray cluster, the rest happens here.

    with ray_library.for_a_program(), connection.connected("10.0.0.1:6379", checkpoint, settings):
        ...

    here     file names, cache, metadata, decisions, writing, journal, report
    tasks    one for a file's digest and one for its sound, which the task decodes in a
             separate process and sends to an ear a few segments at a time
    ears     actors with the model in memory, one per GPU or a few per machine;
             an ear hears what several tasks send in one batch

Only file names go out and only digests and taggrams come back, so the files must have
the same names on every machine. If a worker dies, its file is given out again; after
`remote.TRIES` losses it is reported as `lost`. Nothing that goes wrong in a cluster is
remembered as a file's fault.

    messages      what is asked of a worker, and what it answers
    remote        a scan's view of the cluster: decoders whose files are somewhere else
    worker        what runs on the cluster's machines: the task and the ear
    address       whether a Ray head answers at an address
    ray_library   the one door to the library
    ears          the actors: started, replaced when they die
    connection    joining a cluster, checking its machines, carrying messages
"""
