"""Faust as Darkroom needs it; nothing else imports it.

In reading order:

- `stage`: what every stage has; `Stage.consume_files` takes the files of a topic. `sending`: how it sends.
  `rejecting`: what it gives up, as dead letters.
- `messages`, `item`: a message as it comes, and one file of it.
- `window`: work runs side by side, and acks are given in order, after delivery.
- `rows`: the table of a stage, whose writes can be awaited. `changelog`: how its records are sent. `noting`: how far
  the local table holds them.
- `outbox`, `batching`: what leaves together, in messages of many files and in calls of services.
- `app`: Faust's settings, and its consumer, producer and tables as they are mended:
  `consumer` (no message is left out), `consumer_thread` (how it fetches), `beginnings` (where it begins),
  `doubts` (whether a log is still the same), `producer` (one for all stages), `recovery` (of tables).
- `upstream`: what of all this is private in Faust and aiokafka, looked for at the start.
"""
