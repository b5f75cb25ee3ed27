// HostPool: a few threads for work that waits for disks or takes long on the host (reading, hashing, fsync, picture
// conversion), so that neither the network thread nor a device's owner does it. Order is kept with one thread only.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hearth::server {

class HostPool {
 public:
  HostPool(int threads, size_t max_waiting);
  /// Does what still waits, then ends.
  ~HostPool();
  HostPool(const HostPool&) = delete;

  /// False, and the work is dropped, when too much waits already or the pool ends. Work must not throw. Thread-safe.
  [[nodiscard]] bool post(std::function<void()> work);

 private:
  void run();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool is_ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hearth::server
