"""Moves files out of the way, inside their own root, so that each move can be undone.

    ROOT/.darkroom-archive/ARCHIVE_ID/…     the file, under the path that it had below ROOT

moving.py moves one file, choosing.py decides which, points.py keeps the `paths` of points true, journal.py knows what
was done and what is being done, archiver.py brings them together.

A point stays when the last file of its content is archived, with empty `paths`: its vector and caption were the
expensive part, the dedupe cache counts on it, and an undo makes it whole again.
"""
