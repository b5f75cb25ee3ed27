// What a client sends: bytes into the parser, the header judged as soon as it is there, the body awaited.
#include "server/http/connection.h"

#include <fmt/format.h>

#include "server/http/admission.h"
#include "server/http/guard.h"
#include "server/http/wire.h"

namespace hearth::http {
namespace {

constexpr uint64_t kSmallBody = 64 << 10;    // needs no room, and a refused request keeps its connection
constexpr int64_t kCopies = 2;               // of a body: as it came, and what is parsed out of it
constexpr int64_t kLingerBytes = 64 << 20;   // read and dropped after an early refusal, so that it arrives
constexpr double kOverloadedSeconds = 2;     // what a connection above the limit gets to hear its 503

}  // namespace

void Connection::start() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  auto remote = socket_.remote_endpoint(ignored);
  if (!ignored) remote_ = fmt::format("{}:{}", remote.address().to_string(), remote.port());
  network_->connections.insert(this);
  ++network_->open;
  arm(is_overloaded_ ? kOverloadedSeconds : network_->options.header_timeout_s);
  read();
}

void Connection::arm(double after_s) {
  if (after_s <= 0) return void(deadline_.cancel());
  deadline_.expires_after(seconds(after_s));
  deadline_.async_wait([self = shared_from_this()](error_code failure) {
    // A wait that fired just before it was armed anew arrives without an error.
    bool is_due = self->deadline_.expiry() <= SteadyClock::now();
    if (!failure && is_due && self->state_ != State::kClosed) self->on_deadline();
  });
}

void Connection::read() {
  // Only pipelined bytes can pile up this far: the parser takes a body out of the buffer as it comes.
  const ServerOptions& options = network_->options;
  bool is_full = static_cast<int64_t>(buffer_.size()) > options.max_body_bytes + options.max_header_bytes;
  if (reading_ || state_ == State::kClosed || is_full) return;
  reading_ = true;
  // Not into buffer_ itself: the parser consumes pipelined bytes from it while a read is outstanding.
  socket_.async_read_some(asio::buffer(incoming_), [self = shared_from_this()](error_code failure, size_t bytes) {
    self->on_read(failure, bytes);
  });
}

void Connection::on_read(error_code failure, size_t bytes) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (failure) {
    abort(AbortReason::kHungUp);
    return close();
  }
  buffer_.commit(asio::buffer_copy(buffer_.prepare(bytes), asio::buffer(incoming_, bytes)));
  process();
}

void Connection::process() {
  switch (state_) {
    case State::kIdle:
      if (buffer_.size() == 0) return read();
      begin_request();
      return parse();
    case State::kHeader:
    case State::kBody: return parse();
    case State::kRoom: return;  // bytes that are here wait, no more are read
    case State::kHandling: return read();  // pipelined bytes wait
    case State::kLinger:
      lingered_bytes_ += static_cast<int64_t>(buffer_.size());
      buffer_.consume(buffer_.size());
      return lingered_bytes_ > kLingerBytes ? close() : read();
    case State::kClosed: return;
  }
}

void Connection::begin_request() {
  state_ = State::kHeader;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(network_->options.max_header_bytes));
  parser_->body_limit(boost::none);  // set when the header is known
  exchange_.emplace(remote_, !network_->is_draining);
  arm(is_overloaded_ ? kOverloadedSeconds : network_->options.header_timeout_s);
}

void Connection::parse() {
  while (buffer_.size() > 0) {
    error_code failure;
    size_t used = parser_->put(buffer_.data(), failure);
    buffer_.consume(used);
    if (failure == beast::http::error::need_more) {
      // Endless chunk extensions or trailers are no body: they never fill the body limit.
      bool is_endless = static_cast<int64_t>(buffer_.size()) > network_->options.max_header_bytes;
      if (is_endless) return refuse_and_close(400, "a header or chunk line is too long");
      return read();
    }
    if (failure) return parse_failed(failure);
    if (state_ == State::kHeader && parser_->is_header_done()) {
      on_header();
      if (state_ != State::kBody) return;
    }
    if (parser_->is_done()) return dispatch_request();
    if (used == 0) break;
  }
  read();
}

void Connection::parse_failed(error_code failure) {
  if (failure == beast::http::error::header_limit) {
    return refuse_and_close(431, fmt::format("the header is longer than {} bytes", network_->options.max_header_bytes));
  }
  if (failure == beast::http::error::body_limit) {
    return refuse_and_close(413, fmt::format("the body is longer than {} bytes", body_limit()));
  }
  refuse_and_close(400, fmt::format("this is not HTTP/1.1: {}", failure.message()));
}

// ---- The header ----

void Connection::take_head(const beast::http::request<beast::http::string_body>& message) {
  HttpRequest& request = exchange_->request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.is_http11 = message.version() == 11;
  for (const auto& field : message) {
    request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  std::string_view given_id = find_header(request.headers, "x-request-id");
  if (is_sane_request_id(given_id)) request.id = given_id;
  exchange_->keep_alive = message.keep_alive() && !network_->is_draining && !is_overloaded_;
}

void Connection::on_header() {
  take_head(parser_->get());
  state_ = State::kBody;
  parser_->eager(true);
  if (is_overloaded_) {
    exchange_->early_answer = error_response(api::http_error(503, "too many connections: try again soon"));
  } else {
    Admission admission = admit(exchange_->request, network_->router, network_->options, network_->is_loopback);
    exchange_->route = admission.route;
    exchange_->early_answer = std::move(admission.answer);
    exchange_->cors_origin = std::move(admission.cors_origin);
  }
  uint64_t length = parser_->content_length().value_or(0);
  if (!exchange_->early_answer && length > static_cast<uint64_t>(body_limit())) {
    exchange_->early_answer = error_response(
        api::http_error(413, fmt::format("the body has {} bytes, the limit is {}", length, body_limit())));
  }
  if (!parser_->is_done()) expect_body();
}

int64_t Connection::body_limit() const {
  const Route* route = exchange_->route;
  return route && route->max_body_bytes > 0 ? route->max_body_bytes : network_->options.max_body_bytes;
}

void Connection::expect_body() {
  uint64_t limit = static_cast<uint64_t>(body_limit());
  std::string_view expect = find_header(exchange_->request.headers, "expect");
  if (!exchange_->early_answer && !expect.empty() && expect != "100-continue" && expect != "100-Continue") {
    exchange_->early_answer = error_response(api::http_error(417, "the only expectation understood is 100-continue"));
  }
  bool is_small = parser_->content_length() && *parser_->content_length() <= kSmallBody && expect.empty();
  if (exchange_->early_answer && !is_small) {
    exchange_->keep_alive = false;
    state_ = State::kHandling;
    return send_response(std::move(*exchange_->early_answer));
  }
  if (!parser_->content_length()) parser_->body_limit(limit);
  const uint64_t bytes = parser_->content_length().value_or(limit);
  const bool needs_room = bytes > kSmallBody && !exchange_->early_answer && network_->options.hold_body;
  needs_room ? ask_for_room(kCopies * static_cast<int64_t>(bytes)) : begin_body();
}

void Connection::begin_body() {
  arm(is_overloaded_ ? kOverloadedSeconds : network_->options.body_timeout_s);
  const bool is_expecting = !find_header(exchange_->request.headers, "expect").empty();
  if (is_expecting && buffer_.size() == 0) send("HTTP/1.1 100 Continue\r\n\r\n");
}

// Idle models may have to leave first: neither on the network thread nor on the workers.
void Connection::ask_for_room(int64_t bytes) {
  state_ = State::kRoom;
  arm(network_->options.body_timeout_s);
  asio::post(*network_->room_keeper, [self = shared_from_this(), sequence = sequence_, bytes]() mutable {
    const std::shared_ptr<Network> network = self->network_;
    Result<std::shared_ptr<void>> room = network->options.hold_body(bytes);
    network->post([self = std::move(self), sequence, room = std::move(room)]() mutable {
      self->on_room(sequence, std::move(room));
    });
  });
}

void Connection::on_room(uint64_t sequence, Result<std::shared_ptr<void>> room) {
  if (state_ != State::kRoom || sequence != sequence_) return;
  if (!room) {
    exchange_->keep_alive = false;
    state_ = State::kHandling;
    return send_response(error_response(api::to_api_error(room.error())));
  }
  exchange_->request.room = *std::move(room);
  state_ = State::kBody;
  begin_body();
  parse();
}

}  // namespace hearth::http
