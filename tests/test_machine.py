"""What a process asks of its machine."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, threading
from pathlib import Path
from auralflow.__main__ import _share_one_heap
_share_one_heap()
import torch
from auralflow.machine import memory_kept

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20

def work():
    for _ in range(20):
        torch.ones(2**24)

def in_a_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
empty = resident()
with memory_kept() as kept:
    work()
    in_a_thread()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    inside = resident() - empty
print(int(kept), faults, inside, resident() - empty)
"""
PAGES = 2 * 20 * 2**26 // 4096
"""Of all tensors together, if each were filled anew."""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of another kind")


def run(**environment):
    """Whether memory is kept, page faults, and MB that are held inside and afterwards."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=plain | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


@glibc
def test_the_command_keeps_memory_in_all_threads_and_gives_it_back_afterwards():
    kept, faults, inside, afterwards = run()
    assert kept
    assert faults < 0.7 * PAGES
    assert inside > 64 > afterwards


@glibc
def test_an_allocator_that_the_user_has_set_up_stays_as_it_is():
    kept, _, inside, _ = run(MALLOC_TOP_PAD_="131072")
    assert not kept
    assert inside < 64
