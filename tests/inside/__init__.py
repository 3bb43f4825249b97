"""All stages of Darkroom in one event loop, over topics, rows and points in memory, in time that passes by itself.

The code of the stages is the real one, with their windows, bundles and batches; what is sent, read, hashed and asked
takes its time, by chance, so that a seed says in which order all of it happens. A stage may be killed at any moment.
"""
