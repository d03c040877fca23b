"""What a process asks of its machine."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, threading
from pathlib import Path
import sys
from auralflow.allocator import share_one_heap
share_one_heap()
import torch
from auralflow.allocator import memory_kept

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def faults_of(tensors):
    before = faults()
    for _ in range(tensors):
        torch.ones(2**24)
    return faults() - before

def work(counts):
    # glibc puts what it cuts off an aligned block into the thread's bins of small blocks, and as long as they
    # take it (some ten times), the block is too small for the next tensor. From then on, none is fresh.
    faults_of(40)
    counts.append(faults_of(20))

counts = []
empty = resident()
with memory_kept() as kept:
    with memory_kept():
        work(counts)
    thread = threading.Thread(target=work, args=(counts,))
    thread.start()
    thread.join()
    inside = resident() - empty
own, threads = counts
print(int(kept), own, threads, inside, resident() - empty)
"""
PAGES = 20 * 2**26 // 4096
"""The pages of 20 tensors, if each gets fresh ones."""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of another kind")


def run(**environment):
    """Whether memory is kept, page faults of two threads, and the MB held inside and afterwards."""
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
    kept, own, threads, inside, afterwards = run()
    assert kept
    assert own < 0.1 * PAGES
    assert threads < 0.1 * PAGES
    assert inside > 64 > afterwards


@glibc
def test_an_allocator_that_the_user_has_set_up_stays_as_it_is():
    kept, _, _, inside, _ = run(MALLOC_TOP_PAD_="131072")
    assert not kept
    assert inside < 64
