"""Who may send a content to ML, and who waits: the state machine that makes equal content cost one ML call.

claim.py has the row, machine.py what an event does to it, events.py and effects.py the words of that.
"""
