"""The contracts between the stages: one file a topic, with its name, key and record.

scan-request ─ scan ─> raw-path ─ hash ─> hashed-file ─ prepare ─> ml-request ─ embed ─> db-write ─ store ─> Qdrant
                                               ^            │  known content ────────────^            │
                                               │            └──────── image-outcome <─────────────────┘
every stage ─> job-event ─ track ─> job-status ─> the API's read view
every stage ─> dead-letter ─ replay ─> the topic that restarts it
"""
