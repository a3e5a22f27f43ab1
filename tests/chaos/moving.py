"""How a slot of a cluster goes from one server to another."""

from __future__ import annotations

from tests.many import Grid, Process, until


def at_once(cluster: Grid, slot: int, source: Process, target: Process) -> None:
    """Have a slot moved as Valkey 9 does it: whole, with its keys, in one step."""
    source.said("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.said("CLUSTER", "MYID"))
    until(lambda: cluster.of(slot) is target, "the slot has not moved")


def key_by_key(cluster: Grid, slot: int, source: Process, target: Process) -> None:
    """Move a slot as all others do it: its keys one after the other, the slot in the end."""
    there = target.said("CLUSTER", "MYID")
    target.said("CLUSTER", "SETSLOT", slot, "IMPORTING", source.said("CLUSTER", "MYID"))
    source.said("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
    while names := source.said("CLUSTER", "GETKEYSINSLOT", slot, 10):
        source.said("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)
    for server in (target, source, *cluster.primaries()):
        server.said("CLUSTER", "SETSLOT", slot, "NODE", there)
