// StopSignals: SIGINT and SIGTERM as a stop token. The first one to come asks for the stop; a thread of its own waits
// for it, so that work which takes long (loading a model) can be given up. Made on the main thread before any other
// thread: those inherit the block. SIGPIPE is ignored from then on.
#pragma once
#include <csignal>
#include <stop_token>
#include <thread>

namespace hearth::app {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  bool came() const { return stop_.stop_requested(); }
  /// Blocks until one comes; returns its name.
  const char* wait();

 private:
  sigset_t signals_;
  int signal_ = 0;  // written by waiter_ alone, read after it ended
  std::stop_source stop_;
  std::thread waiter_;
};

}  // namespace hearth::app
