// Floors: how little room a memory pool may be left with, and whether it may give more. Pure arithmetic over a reading;
// gauge.h takes readings, guard.h decides what to do about them.
#pragma once
#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "machine/memory.h"

namespace hearth::governor {

/// One look at a pool that the host's memory backs.
struct Reading {
  double time_s = 0;             // since any fixed moment
  int64_t room_bytes = 0;        // what could still be taken: MemAvailable and the cgroup's room
  int64_t free_bytes = 0;        // of it, free without reclaiming anything
  int64_t large_block_bytes = 0; // of the free bytes, those in blocks of at least kLargeBlock; -1 unknown
  double stall_percent = -1;     // of the last 10 s in which every task waited for memory (PSI full); -1 unknown
  int64_t stalled_us = -1;       // in which every task waited, since the machine began; -1 unknown
  bool is_known = true;          // false: the kernel would not say; nothing may grow then, and nobody is punished
};

inline constexpr int64_t kLargeBlock = 2 << 20;

/// Below soft nothing new is admitted and caches shrink; below hard the largest request ends; below panic the process.
struct Floors {
  int64_t soft_bytes = 0, hard_bytes = 0, panic_bytes = 0;
};

/// An eighth, a sixteenth and a thirty-second of the pool: 16, 8 and 4 GiB of 128, the distances that field guards of
/// the DGX Spark keep (an overshoot there falls by 14 GiB/s).
Floors floors_for(int64_t pool_bytes);

/// What a pool must keep free of our own use: a tenth of it and at least 12 GiB of 128, scaled: max(10 %, 3/32).
int64_t reserve_for(int64_t pool_bytes);

/// May `bytes` more be taken at once? kNoMemory in words when less than the soft floor would remain, or when the driver
/// needs whole blocks (`needs_blocks`: an integrated GPU) and free memory lies in small pieces.
Result<void> may_grow(int64_t bytes, const Reading& reading, const Floors& floors, bool needs_blocks);

/// The reading of a machine; unknown, with room 0, when the kernel does not say.
Reading take_reading(const machine::Root& root, bool has_integrated_gpu, double time_s);

}  // namespace hearth::governor
