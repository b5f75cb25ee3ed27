#include "stop_signals.h"

#include <pthread.h>

namespace hearth::app {

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  waiter_ = std::thread([this] {
    sigwait(&signals_, &signal_);
    stop_.request_stop();
  });
}

StopSignals::~StopSignals() {
  if (!waiter_.joinable()) return;
  pthread_kill(waiter_.native_handle(), SIGTERM);  // blocked: it only ends the sigwait
  waiter_.join();
}

const char* StopSignals::wait() {
  if (waiter_.joinable()) waiter_.join();
  return signal_ == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace hearth::app
