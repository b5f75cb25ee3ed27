// The session over Beast's WebSocket stream: one read and at most one write are outstanding.
#include "server/websocket/session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "core/base/log.h"
#include "server/websocket/message_queue.h"

namespace hearth::websocket {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxIncomingBytes = 256 << 10;  // clients send a few words about themselves
constexpr auto kHandshakeTimeout = std::chrono::seconds(10);

SteadyClock::duration seconds(double value) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(value));
}

// A peer that vanished without a word is noticed within two minutes.
void keep_alive(int descriptor) {
  const int on = 1, idle_s = 60, interval_s = 10, probes = 6;
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// What the handshake reads of the request; more of it could hold a body or a body's length.
beast::http::request<beast::http::empty_body> handshake_of(const http::HttpRequest& request) {
  beast::http::request<beast::http::empty_body> out;
  out.method_string(request.method);
  out.target(request.target);
  out.version(request.is_http11 ? 11 : 10);
  for (const char* name : {"Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"}) {
    const std::string_view value = http::find_header(request.headers, name);
    if (!value.empty()) out.set(name, boost::core::string_view(value.data(), value.size()));
  }
  return out;
}

class BeastSession final : public Session, public std::enable_shared_from_this<BeastSession> {
 public:
  explicit BeastSession(SessionSetup setup)
      : setup_(std::move(setup)), handshake_(handshake_of(setup_.request)),
        stream_(tcp::socket(setup_.io, setup_.is_v6 ? tcp::v6() : tcp::v4(), setup_.descriptor)),
        write_deadline_(setup_.io), silence_timer_(setup_.io), queue_(setup_.max_unsent_bytes) {
    keep_alive(setup_.descriptor);
  }

  void send(Message message) override {
    setup_.dispatch([self = shared_from_this(), message = std::move(message)]() mutable {
      self->enqueue(std::move(message));
    });
  }
  void close() override {
    setup_.dispatch([self = shared_from_this()] { self->end(beast::websocket::close_code::normal); });
  }

  void start() override;
  void go_away() override { end(beast::websocket::close_code::going_away); }
  void drop() override;

 private:
  void on_accepted(error_code failure);
  void read();
  void on_read(error_code failure);
  void enqueue(Message message);
  void pump();
  void on_written(error_code failure);
  void arm_write_deadline();
  void await_silence();
  void end(beast::websocket::close_code code);
  void finish();

  const SessionSetup setup_;
  const beast::http::request<beast::http::empty_body> handshake_;
  beast::websocket::stream<tcp::socket> stream_;
  asio::steady_timer write_deadline_, silence_timer_;
  beast::flat_buffer incoming_;
  MessageQueue queue_;
  Listener listener_;
  SteadyClock::time_point last_sent_ = SteadyClock::now();
  bool is_open_ = false, is_writing_ = false, is_ending_ = false, is_finished_ = false;
};

void BeastSession::start() {
  beast::websocket::stream_base::timeout limits{kHandshakeTimeout, beast::websocket::stream_base::none(), false};
  stream_.set_option(limits);
  stream_.set_option(beast::websocket::stream_base::decorator([id = setup_.request.id](
      beast::websocket::response_type& response) {
    response.set("Server", "hearth");
    response.set("X-Request-Id", id);
  }));
  stream_.read_message_max(kMaxIncomingBytes);
  stream_.async_accept(handshake_, [self = shared_from_this()](error_code failure) { self->on_accepted(failure); });
}

void BeastSession::on_accepted(error_code failure) {
  if (failure || is_finished_) return finish();
  is_open_ = true;
  listener_ = setup_.accept(setup_.request, shared_from_this());
  if (is_finished_) return listener_.on_close();  // the greeting was too much for it
  await_silence();
  pump();
  read();
}

void BeastSession::read() {
  stream_.async_read(incoming_, [self = shared_from_this()](error_code failure, size_t) { self->on_read(failure); });
}

void BeastSession::on_read(error_code failure) {
  if (failure || is_finished_) return finish();
  if (stream_.got_text() && listener_.on_text && !is_ending_) {
    const auto bytes = incoming_.cdata();
    listener_.on_text(std::string_view(static_cast<const char*>(bytes.data()), bytes.size()));
  }
  incoming_.consume(incoming_.size());
  read();
}

void BeastSession::enqueue(Message message) {
  if (is_ending_ || is_finished_) return;
  if (!queue_.add(std::move(message))) {
    log::warn("websocket client does not read id={} remote={} unsent_bytes={}", setup_.request.id,
              setup_.request.remote, queue_.bytes());
    return drop();
  }
  pump();
}

void BeastSession::pump() {
  if (!is_open_ || is_writing_ || is_ending_ || is_finished_) return;
  const Message* message = queue_.next();
  if (!message) return;
  is_writing_ = true;
  last_sent_ = SteadyClock::now();
  arm_write_deadline();
  stream_.binary(message->is_binary);
  stream_.async_write(asio::buffer(*message->bytes),
                      [self = shared_from_this()](error_code failure, size_t) { self->on_written(failure); });
}

void BeastSession::on_written(error_code failure) {
  is_writing_ = false;
  if (failure || is_finished_) return finish();
  queue_.taken();
  last_sent_ = SteadyClock::now();
  pump();
}

void BeastSession::arm_write_deadline() {
  write_deadline_.expires_after(seconds(setup_.write_timeout_s));
  write_deadline_.async_wait([self = shared_from_this()](error_code failure) {
    const bool is_due = self->write_deadline_.expiry() <= SteadyClock::now();
    if (!failure && is_due && self->is_writing_) self->drop();
  });
}

void BeastSession::await_silence() {
  if (setup_.silence_s <= 0) return;
  silence_timer_.expires_at(last_sent_ + seconds(setup_.silence_s));
  silence_timer_.async_wait([self = shared_from_this()](error_code failure) {
    if (failure || self->is_finished_ || self->is_ending_) return;
    if (SteadyClock::now() - self->last_sent_ >= seconds(self->setup_.silence_s)) {
      self->last_sent_ = SteadyClock::now();
      if (self->listener_.on_silence) self->listener_.on_silence();
    }
    self->await_silence();
  });
}

void BeastSession::end(beast::websocket::close_code code) {
  if (is_ending_ || is_finished_) return;
  if (!is_open_) return drop();
  is_ending_ = true;
  silence_timer_.cancel();
  stream_.async_close(code, [self = shared_from_this()](error_code) { self->finish(); });
}

void BeastSession::drop() {
  error_code ignored;
  stream_.next_layer().close(ignored);
  finish();
}

void BeastSession::finish() {
  if (std::exchange(is_finished_, true)) return;
  error_code ignored;
  stream_.next_layer().close(ignored);
  write_deadline_.cancel();
  silence_timer_.cancel();
  // Its own timer would keep the network thread busy for as long as somebody holds this.
  stream_.set_option(beast::websocket::stream_base::timeout{beast::websocket::stream_base::none(),
                                                            beast::websocket::stream_base::none(), false});
  Listener listener = std::exchange(listener_, {});
  if (listener.on_close) listener.on_close();
  setup_.closed(this);
}

}  // namespace

std::shared_ptr<Session> make_session(SessionSetup setup) { return std::make_shared<BeastSession>(std::move(setup)); }

}  // namespace hearth::websocket
