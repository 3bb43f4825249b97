"""The API's read view of all jobs: SQLite, fed from `job-event` and `job-status`, deletable at any time.

job-event  ─┐
            ├─ feed (a consumer without a group) ─> writing (fold; rows and offsets in one transaction) ─> SQLite
job-status ─┘                                          └─> changes (wakes who waits)        routes <─ reading <─┘

It answers while no worker runs, and goes on where it was after a restart.
"""
