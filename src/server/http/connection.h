// Connection: one client's TCP connection as a state machine on the network thread:
//
//   kIdle -> kHeader -> kBody -> kHandling -> kIdle ... or kLinger -> closed
//               \-> kRoom -/     before a large body: until there is memory for it
//
// An upgraded request takes its socket along to a websocket::Session and leaves a closed Connection behind.
//
// One read is outstanding in every state but kRoom: while a handler works it notices the client hanging up and keeps
// pipelined bytes for later. One deadline timer follows the state; a second one watches that the client takes what is
// written.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "server/http/exchange.h"
#include "server/http/network.h"
#include "server/http/outbox.h"
#include "server/http/reply.h"

namespace hearth::http {

namespace beast = boost::beast;

inline constexpr size_t kReadBytes = 16 << 10;
inline constexpr double kAbortSeconds = 1;  // a handler's time to say why it ends

/// Lives as long as an operation or a reply holds it. An overloaded one answers 503 to whatever is asked.
class Connection final : public ReplyTarget, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Network> network, tcp::socket socket, bool is_overloaded)
      : network_(std::move(network)), socket_(std::move(socket)), deadline_(network_->io),
        write_deadline_(network_->io), silence_timer_(network_->io), is_overloaded_(is_overloaded) {}

  // All of these run on the network thread.
  void start();
  void drain();                    // close when idle, else after the running request
  void abort(AbortReason reason);  // tell the handler; a client that can still hear is left to it
  void close();

  void answer(uint64_t sequence, HttpResponse response) override;
  void start_stream(uint64_t sequence, HttpResponse head) override;
  void stream_text(uint64_t sequence, std::string_view text) override;
  void finish_stream(uint64_t sequence) override;
  void abandoned(uint64_t sequence) override;
  void watch_abort(uint64_t sequence, std::function<void(AbortReason)> callback) override;
  void watch_silence(uint64_t sequence, std::function<void()> callback) override;
  // The work may hold the last reference to this connection: the network outlives it.
  void dispatch(std::function<void()> work) override { std::shared_ptr(network_)->dispatch(std::move(work)); }
  void post(std::function<void()> work) override { std::shared_ptr(network_)->post(std::move(work)); }
  size_t unsent_bytes() const override { return outbox_.bytes(); }

 private:
  enum class State { kIdle, kHeader, kRoom, kBody, kHandling, kLinger, kClosed };
  using Parser = beast::http::request_parser<beast::http::string_body>;

  void arm(double after_s);
  void on_deadline();
  void on_handling_deadline();
  void read();
  void on_read(error_code failure, size_t bytes);
  void process();
  void begin_request();
  void parse();
  void parse_failed(error_code failure);
  void on_header();
  void take_head(const beast::http::request<beast::http::string_body>& message);
  void expect_body();
  void ask_for_room(int64_t bytes);
  void on_room(uint64_t sequence, Result<std::shared_ptr<void>> room);
  void begin_body();
  void dispatch_request();
  void run_handler();
  void upgrade();
  int64_t body_limit() const;
  void send_response(HttpResponse response);
  void refuse_and_close(int status, std::string message);
  void send(std::string_view text);
  void pump();
  void on_written(error_code failure, size_t bytes);
  void arm_write_deadline();
  void await_silence();
  void answered();
  void linger();
  void record();
  bool is_current(uint64_t sequence) const { return sequence == sequence_ && state_ == State::kHandling; }

  std::shared_ptr<Network> network_;
  tcp::socket socket_;
  asio::steady_timer deadline_, write_deadline_, silence_timer_;
  const bool is_overloaded_;
  State state_ = State::kIdle;
  bool reading_ = false;
  std::array<char, kReadBytes> incoming_;
  beast::flat_buffer buffer_;
  int64_t lingered_bytes_ = 0;
  std::string remote_ = "unknown";

  // The request being read or answered.
  std::optional<Parser> parser_;
  uint64_t sequence_ = 0;
  std::optional<Exchange> exchange_;  // from the first request on
  std::shared_ptr<AbortState> abort_state_;
  std::function<void(AbortReason)> abort_callback_;
  std::function<void()> silence_callback_;

  Outbox outbox_;
  bool write_pending_ = false;
  SteadyClock::time_point last_sent_;
};

}  // namespace hearth::http
