// What the client gets: bytes as fast as it takes them, words in long silences, and the end of an exchange or of the
// connection.
#include "server/http/connection.h"

namespace hearth::http {
namespace {

constexpr double kLingerSeconds = 2;

}  // namespace

void Connection::await_silence() {
  silence_timer_.expires_at(last_sent_ + seconds(network_->options.stream_keep_alive_s));
  silence_timer_.async_wait([self = shared_from_this(), sequence = sequence_](error_code failure) {
    if (failure || !self->is_current(sequence) || !self->silence_callback_) return;
    const auto keep_alive = seconds(self->network_->options.stream_keep_alive_s);
    const bool is_silent = SteadyClock::now() - self->last_sent_ >= keep_alive;
    if (is_silent) {
      self->last_sent_ = SteadyClock::now();
      auto callback = self->silence_callback_;  // a copy: it may end the request
      callback();
    }
    if (self->is_current(sequence) && self->silence_callback_) self->await_silence();
  });
}

void Connection::send(std::string_view text) {
  if (state_ == State::kClosed) return;
  outbox_.add(text);
  exchange_->count_sent(text.size());
  last_sent_ = SteadyClock::now();
  pump();
}

void Connection::pump() {
  if (write_pending_ || state_ == State::kClosed) return;
  const std::string_view next = outbox_.next();
  if (next.empty()) return;
  write_pending_ = true;
  arm_write_deadline();
  socket_.async_write_some(asio::buffer(next), [self = shared_from_this()](error_code failure, size_t bytes) {
    self->on_written(failure, bytes);
  });
}

void Connection::arm_write_deadline() {
  write_deadline_.expires_after(seconds(network_->options.write_timeout_s));
  write_deadline_.async_wait([self = shared_from_this()](error_code failure) {
    bool is_due = self->write_deadline_.expiry() <= SteadyClock::now();
    if (failure || !is_due || !self->write_pending_ || self->state_ == State::kClosed) return;
    self->abort(AbortReason::kTooSlow);
    self->close();
  });
}

void Connection::on_written(error_code failure, size_t bytes) {
  write_pending_ = false;
  if (state_ == State::kClosed) return;
  if (failure) {
    abort(AbortReason::kHungUp);
    return close();
  }
  outbox_.taken(bytes);
  if (outbox_.bytes() > 0) return pump();
  write_deadline_.cancel();
  if (exchange_ && exchange_->is_answered() && state_ == State::kHandling) answered();
}

void Connection::answered() {
  record();
  ++sequence_;
  abort_callback_ = nullptr;
  silence_callback_ = nullptr;
  silence_timer_.cancel();
  abort_state_.reset();
  parser_.reset();
  if (!exchange_->keep_alive || network_->is_draining) return linger();
  state_ = State::kIdle;
  arm(network_->options.idle_timeout_s);
  process();
}

// Closing while the client still sends would reset the connection and lose our last answer on its way.
void Connection::linger() {
  state_ = State::kLinger;
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  if (exchange_->is_read_whole) return close();
  arm(kLingerSeconds);
  process();
}

void Connection::record() {
  if (exchange_) exchange_->record(network_->observer, abort_state_ && abort_state_->is_aborted);
}

void Connection::drain() {
  if (exchange_) exchange_->keep_alive = false;
  if (state_ == State::kIdle || state_ == State::kLinger) close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  abort(AbortReason::kHungUp);
  record();
  state_ = State::kClosed;
  abort_callback_ = nullptr;
  silence_callback_ = nullptr;
  error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
  write_deadline_.cancel();
  silence_timer_.cancel();
  network_->connections.erase(this);
  network_->count_closed();
}

}  // namespace hearth::http
