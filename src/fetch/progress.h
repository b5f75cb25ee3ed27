// How a long fetch tells its caller what it does and asks whether to go on. The drawing is the caller's.
// Threads: every call comes from the thread that runs the fetch.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::fetch {

struct Progress {
  std::string file;             // what is being fetched now
  int64_t done_bytes = 0;       // of this file, bytes kept from an earlier attempt included
  int64_t total_bytes = -1;     // -1: the server did not say
  double bytes_per_second = 0;  // of late, 0 until known
  double seconds_left = -1;     // -1: unknown
};

class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  /// At most ten times a second and once at the end of each file.
  virtual void on_progress(const Progress& progress) {}
  /// One sentence for the user: what was picked, that a retry follows, that a file is resumed.
  virtual void on_note(std::string_view sentence) {}
  /// True ends the fetch with kCancelled; what has arrived stays and is resumed later.
  virtual bool is_cancelled() { return false; }
};

}  // namespace hearth::fetch
