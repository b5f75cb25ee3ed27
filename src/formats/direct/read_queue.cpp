#include "formats/direct/read_queue.h"

#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/check.h"

namespace hearth {
namespace {

// liburing keeps submission and completion apart, so a thread that waits holds nobody up who submits.
class UringQueue final : public ReadQueue {
 public:
  static std::unique_ptr<ReadQueue> make(int depth) {
    auto queue = std::unique_ptr<UringQueue>(new UringQueue);
    if (::io_uring_queue_init(static_cast<unsigned>(depth), &queue->ring_, 0) < 0) return nullptr;
    queue->is_open_ = true;
    return queue;
  }
  ~UringQueue() override {
    if (is_open_) ::io_uring_queue_exit(&ring_);
  }

  void submit(const Read& read) override {
    std::lock_guard lock(submitting_);
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    check(entry != nullptr, "more reads than the queue is deep");
    ::io_uring_prep_read(entry, read.fd, read.to, static_cast<unsigned>(read.bytes),
                         static_cast<uint64_t>(read.offset));
    entry->user_data = read.tag;
    int submitted = 0;
    do {
      submitted = ::io_uring_submit(&ring_);
    } while (submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY);
    check(submitted == 1, "io_uring takes a read");
  }

  ReadOutcome wait() override {
    std::lock_guard lock(completing_);
    io_uring_cqe* entry = nullptr;
    int failure = 0;
    do {
      failure = ::io_uring_wait_cqe(&ring_, &entry);
    } while (failure == -EINTR);
    check(failure == 0, "io_uring gives an outcome");
    const ReadOutcome outcome{entry->user_data, entry->res};
    ::io_uring_cqe_seen(&ring_, entry);
    return outcome;
  }

 private:
  UringQueue() = default;
  io_uring ring_{};
  bool is_open_ = false;
  std::mutex submitting_, completing_;
};

// As many reads at once as disks need to be busy, by threads that do nothing but wait for them.
class ThreadsQueue final : public ReadQueue {
 public:
  explicit ThreadsQueue(int depth) {
    for (int i = 0; i < std::min(depth, kMostThreads); ++i) threads_.emplace_back([this] { serve(); });
  }
  ~ThreadsQueue() override {
    {
      std::lock_guard lock(mutex_);
      is_closing_ = true;
    }
    has_work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(const Read& read) override {
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(read);
    }
    has_work_.notify_one();
  }

  ReadOutcome wait() override {
    std::unique_lock lock(mutex_);
    has_outcome_.wait(lock, [&] { return !ended_.empty(); });
    const ReadOutcome outcome = ended_.front();
    ended_.pop_front();
    return outcome;
  }

 private:
  static constexpr int kMostThreads = 16;

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      has_work_.wait(lock, [&] { return is_closing_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const Read read = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      ssize_t size = 0;
      do {
        size = ::pread(read.fd, read.to, static_cast<size_t>(read.bytes), read.offset);
      } while (size < 0 && errno == EINTR);
      const int64_t result = size < 0 ? -errno : size;
      lock.lock();
      ended_.push_back({read.tag, result});
      has_outcome_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable has_work_, has_outcome_;
  std::deque<Read> waiting_;
  std::deque<ReadOutcome> ended_;
  bool is_closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<ReadQueue> make_uring_queue(int depth) { return UringQueue::make(depth); }
std::unique_ptr<ReadQueue> make_threads_queue(int depth) { return std::make_unique<ThreadsQueue>(depth); }

}  // namespace hearth
