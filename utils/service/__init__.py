"""The embedded service: the documented API on loopback, drawing for real, with no account.

app.py       the HTTP face (aiohttp)      jobs.py      the durable job table (SQLite, leases)
server.py    starting and stopping it     pictures.py  the picture store: random, expiring names
workers.py   threads that draw            states.py    a task's status, from its pictures
engine/      the stylizers

The job table and the picture store each stand behind one small class: with another table and another store the same
HTTP face can serve several machines.
"""
