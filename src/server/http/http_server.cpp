// The server over Boost.Asio and Beast's parser. Every Connection runs on the one network thread as a state machine:
//
//   kIdle -> kHeader -> kBody -> kHandling -> kIdle ... or kLinger -> closed
//
// An upgraded request takes its socket along to a websocket::Session and leaves a closed Connection behind.
//
// One read is outstanding in every state: while a handler works it notices the client hanging up and keeps pipelined
// bytes for later. One deadline timer follows the state; a second one watches that the client takes what is written.
#include "server/http/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "core/base/log.h"
#include "server/http/admission.h"
#include "server/http/exchange.h"
#include "server/http/guard.h"
#include "server/http/outbox.h"
#include "server/http/reply.h"
#include "server/http/router.h"
#include "server/websocket/session.h"

namespace hearth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 16 << 10;
constexpr uint64_t kSmallBody = 64 << 10;       // refused requests with such a body keep their connection
constexpr int64_t kLingerBytes = 64 << 20;      // read and dropped after an early refusal, so that it arrives
constexpr double kLingerSeconds = 2;
constexpr double kOverloadedSeconds = 2;        // what a connection above the limit gets to hear its 503
constexpr int kOverloadedConnections = 64;      // above the limit plus this, connections are dropped unheard
constexpr double kAbortSeconds = 1;             // a handler's time to say why it ends

SteadyClock::duration seconds(double value) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(value));
}

bool is_upgrade(const HttpRequest& request) {
  return is_same_name(find_header(request.headers, "upgrade"), "websocket");
}

class Connection;

// What all connections share. Outlives the server object while an engine still holds a writer.
struct Core {
  Core(ServerOptions the_options, std::vector<Route> routes, RequestObserver the_observer)
      : options(std::move(the_options)), router(std::move(routes)), observer(std::move(the_observer)) {}

  const ServerOptions options;
  const Router router;
  const RequestObserver observer;
  asio::io_context io{1};
  asio::thread_pool* workers = nullptr;
  bool is_loopback = true;

  // Network thread only.
  std::unordered_set<Connection*> connections;
  std::unordered_map<websocket::Session*, std::shared_ptr<websocket::Session>> sessions;
  bool is_draining = false;

  std::atomic<int> open{0};
  std::mutex mutex;
  std::condition_variable all_closed;
  bool takes_posts = true;  // under mutex; false once nobody runs `io` any more

  void count_closed() {
    std::lock_guard lock(mutex);
    if (--open == 0) all_closed.notify_all();
  }
  bool on_network_thread() { return io.get_executor().running_in_this_thread(); }

  template <class Work>
  void post(Work work) {
    std::lock_guard lock(mutex);
    if (takes_posts) asio::post(io, std::move(work));
  }
  template <class Work>
  void dispatch(Work work) {
    if (on_network_thread()) {
      work();
    } else {
      post(std::move(work));
    }
  }
};

class Connection final : public ReplyTarget, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, tcp::socket socket, bool is_overloaded)
      : core_(std::move(core)), socket_(std::move(socket)), deadline_(core_->io), write_deadline_(core_->io),
        silence_timer_(core_->io), is_overloaded_(is_overloaded) {}

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
  // The work may hold the last reference to this connection: the core outlives it.
  void dispatch(std::function<void()> work) override { std::shared_ptr(core_)->dispatch(std::move(work)); }
  void post(std::function<void()> work) override { std::shared_ptr(core_)->post(std::move(work)); }
  size_t unsent_bytes() const override { return outbox_.bytes(); }

 private:
  enum class State { kIdle, kHeader, kBody, kHandling, kLinger, kClosed };
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

  std::shared_ptr<Core> core_;
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

// ---- Reading ----

void Connection::start() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  auto remote = socket_.remote_endpoint(ignored);
  if (!ignored) remote_ = fmt::format("{}:{}", remote.address().to_string(), remote.port());
  core_->connections.insert(this);
  ++core_->open;
  arm(is_overloaded_ ? kOverloadedSeconds : core_->options.header_timeout_s);
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

void Connection::on_deadline() {
  switch (state_) {
    case State::kHeader: return refuse_and_close(408, "the request's header did not arrive in time");
    case State::kBody: return refuse_and_close(408, "the request's body did not arrive in time");
    case State::kHandling: return on_handling_deadline();
    default: return close();
  }
}

void Connection::on_handling_deadline() {
  if (!abort_state_ || !abort_state_->is_aborted) return abort(AbortReason::kTimeout);
  // The handler did not answer its abort.
  if (exchange_->head_sent()) return close();
  send_response(error_response(api::http_error(504, "the request took longer than the server allows")));
}

void Connection::read() {
  // Only pipelined bytes can pile up this far: the parser takes a body out of the buffer as it comes.
  const ServerOptions& options = core_->options;
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
  parser_->header_limit(static_cast<uint32_t>(core_->options.max_header_bytes));
  parser_->body_limit(boost::none);  // set when the header is known
  exchange_.emplace(remote_, !core_->is_draining);
  arm(is_overloaded_ ? kOverloadedSeconds : core_->options.header_timeout_s);
}

void Connection::parse() {
  while (buffer_.size() > 0) {
    error_code failure;
    size_t used = parser_->put(buffer_.data(), failure);
    buffer_.consume(used);
    if (failure == beast::http::error::need_more) {
      // Endless chunk extensions or trailers are no body: they never fill the body limit.
      bool is_endless = static_cast<int64_t>(buffer_.size()) > core_->options.max_header_bytes;
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
    return refuse_and_close(431, fmt::format("the header is longer than {} bytes", core_->options.max_header_bytes));
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
  exchange_->keep_alive = message.keep_alive() && !core_->is_draining && !is_overloaded_;
}

void Connection::on_header() {
  take_head(parser_->get());
  state_ = State::kBody;
  parser_->eager(true);
  if (is_overloaded_) {
    exchange_->early_answer = error_response(api::http_error(503, "too many connections: try again soon"));
  } else {
    Admission admission = admit(exchange_->request, core_->router, core_->options, core_->is_loopback);
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
  return route && route->max_body_bytes > 0 ? route->max_body_bytes : core_->options.max_body_bytes;
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
  arm(is_overloaded_ ? kOverloadedSeconds : core_->options.body_timeout_s);
  if (!expect.empty() && buffer_.size() == 0) send("HTTP/1.1 100 Continue\r\n\r\n");
}

// ---- Handling ----

void Connection::dispatch_request() {
  exchange_->request.body = std::move(parser_->get().body());
  parser_.reset();
  exchange_->is_read_whole = true;
  state_ = State::kHandling;
  arm(core_->options.request_timeout_s);
  if (exchange_->early_answer) {
    send_response(std::move(*exchange_->early_answer));
  } else if (exchange_->route->websocket && is_upgrade(exchange_->request)) {
    return upgrade();
  } else {
    run_handler();
  }
  read();  // notices a hang-up from now on
}

void Connection::run_handler() {
  abort_state_ = std::make_shared<AbortState>();
  auto reply = make_reply(shared_from_this(), sequence_, abort_state_);
  std::string body = std::exchange(exchange_->request.body, "");  // moved: it may be large; the rest stays for the log
  HttpRequest request = exchange_->request;
  request.body = std::move(body);
  asio::post(
      *core_->workers, [route = exchange_->route, request = std::move(request), reply = std::move(reply)]() mutable {
        const std::shared_ptr<ResponseWriter> writer = std::move(reply);  // ends with the work, not with its queue
        call_handler(*route, request, writer);
      });
}

void Connection::answer(uint64_t sequence, HttpResponse response) {
  if (is_current(sequence) && !exchange_->head_sent()) send_response(std::move(response));
}

void Connection::send_response(HttpResponse response) {
  if (core_->is_draining) exchange_->keep_alive = false;
  send(exchange_->respond(std::move(response)));
}

void Connection::refuse_and_close(int status, std::string message) {
  exchange_->keep_alive = false;
  state_ = State::kHandling;
  send_response(error_response(api::http_error(status, std::move(message))));
}

void Connection::start_stream(uint64_t sequence, HttpResponse head) {
  if (!is_current(sequence) || exchange_->head_sent()) return;
  if (core_->is_draining) exchange_->keep_alive = false;
  send(exchange_->start_stream(std::move(head)));
}

void Connection::stream_text(uint64_t sequence, std::string_view text) {
  if (!is_current(sequence) || !exchange_->is_streaming() || text.empty()) return;
  send(exchange_->stream_text(text));
  if (outbox_.bytes() <= static_cast<size_t>(core_->options.max_unsent_bytes)) return;
  log::warn("client does not read id={} remote={} unsent_bytes={}", exchange_->request.id, remote_, outbox_.bytes());
  abort(AbortReason::kTooSlow);
  close();
}

void Connection::finish_stream(uint64_t sequence) {
  if (!is_current(sequence) || !exchange_->is_streaming()) return;
  send(exchange_->finish_stream());
  if (!write_pending_) answered();
}

void Connection::abandoned(uint64_t sequence) {
  if (!is_current(sequence) || exchange_->is_answered()) return;
  if (exchange_->head_sent()) return close();
  send_response(error_response(api::http_error(500, "the request ended without an answer")));
}

void Connection::watch_abort(uint64_t sequence, std::function<void(AbortReason)> callback) {
  if (is_current(sequence) && !exchange_->is_answered()) abort_callback_ = std::move(callback);
}

void Connection::watch_silence(uint64_t sequence, std::function<void()> callback) {
  if (!is_current(sequence) || exchange_->is_answered() || core_->options.stream_keep_alive_s <= 0) return;
  silence_callback_ = std::move(callback);
  last_sent_ = SteadyClock::now();
  await_silence();
}

void Connection::await_silence() {
  silence_timer_.expires_at(last_sent_ + seconds(core_->options.stream_keep_alive_s));
  silence_timer_.async_wait([self = shared_from_this(), sequence = sequence_](error_code failure) {
    if (failure || !self->is_current(sequence) || !self->silence_callback_) return;
    const bool is_silent = SteadyClock::now() - self->last_sent_ >= seconds(self->core_->options.stream_keep_alive_s);
    if (is_silent) {
      self->last_sent_ = SteadyClock::now();
      auto callback = self->silence_callback_;  // a copy: it may end the request
      callback();
    }
    if (self->is_current(sequence) && self->silence_callback_) self->await_silence();
  });
}

void Connection::abort(AbortReason reason) {
  if (state_ != State::kHandling || exchange_->is_answered() || !abort_state_ || abort_state_->is_aborted) return;
  exchange_->keep_alive = false;
  abort_state_->reason = reason;
  abort_state_->is_aborted = true;
  arm(kAbortSeconds);
  if (auto callback = std::exchange(abort_callback_, nullptr)) callback(reason);
}

// ---- Writing and the end ----

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
  write_deadline_.expires_after(seconds(core_->options.write_timeout_s));
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
  if (!exchange_->keep_alive || core_->is_draining) return linger();
  state_ = State::kIdle;
  arm(core_->options.idle_timeout_s);
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
  if (exchange_) exchange_->record(core_->observer, abort_state_ && abort_state_->is_aborted);
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
  core_->connections.erase(this);
  core_->count_closed();
}

// ---- WebSockets ----

// The session counts as an open connection in this one's place.
void Connection::upgrade() {
  // A client must wait for the answer to its handshake before it sends more, and have read what it asked for before.
  if (buffer_.size() > 0 || reading_ || write_pending_) {
    return refuse_and_close(400, "a WebSocket handshake must be the only request under way");
  }
  exchange_->upgraded();
  record();
  state_ = State::kClosed;
  deadline_.cancel();
  core_->connections.erase(this);
  error_code failure;
  const bool is_v6 = socket_.local_endpoint(failure).protocol() == tcp::v6();
  const int descriptor = failure ? -1 : socket_.release(failure);
  if (failure) return core_->count_closed();
  auto session = websocket::make_session({.io = core_->io, .descriptor = descriptor, .is_v6 = is_v6,
                                          .request = exchange_->request, .accept = exchange_->route->websocket,
                                          .dispatch = [core = core_](std::function<void()> work) {
                                            core->dispatch(std::move(work));
                                          },
                                          .closed = [core = core_](websocket::Session* gone) {
                                            core->sessions.erase(gone);
                                            core->count_closed();
                                          },
                                          .max_unsent_bytes = static_cast<size_t>(
                                              core_->options.max_socket_unsent_bytes),
                                          .silence_s = core_->options.socket_silence_s,
                                          .write_timeout_s = core_->options.write_timeout_s});
  core_->sessions.emplace(session.get(), session);
  session->start();
}

// ---- The server ----

class BeastServer final : public HttpServer {
 public:
  BeastServer(ServerOptions options, std::vector<Route> routes, RequestObserver observer)
      : core_(std::make_shared<Core>(std::move(options), std::move(routes), std::move(observer))),
        acceptor_(core_->io), retry_(core_->io) {}
  ~BeastServer() override { stop(0); }

  Result<void> start() override;
  int port() const override { return port_; }
  int open_connections() const override { return core_->open; }
  void stop(double grace_s) override;

 private:
  Result<tcp::endpoint> endpoint();
  void accept();
  void on_accept(error_code failure, tcp::socket socket);
  void run_network();
  bool wait_closed(double for_s);

  std::shared_ptr<Core> core_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  std::optional<asio::thread_pool> workers_;
  std::thread network_;
  int port_ = 0;
};

Result<tcp::endpoint> BeastServer::endpoint() {
  const ServerOptions& options = core_->options;
  error_code failure;
  auto address = asio::ip::make_address(options.host, failure);
  if (failure) {
    tcp::resolver resolver(core_->io);
    auto found = resolver.resolve(options.host, "", failure);
    if (failure || found.empty()) {
      return unexpected(Code::kIo, fmt::format("cannot listen on '{}': the name does not resolve to an address",
                                               options.host));
    }
    address = found.begin()->endpoint().address();
  }
  return tcp::endpoint(address, static_cast<uint16_t>(options.port));
}

Result<void> BeastServer::start() {
  auto where = endpoint();
  if (!where) return unexpected(where.error());
  error_code failure;
  acceptor_.open(where->protocol(), failure);
  if (!failure) acceptor_.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) acceptor_.bind(*where, failure);
  if (!failure) acceptor_.listen(asio::socket_base::max_listen_connections, failure);
  if (failure) {
    error_code ignored;
    acceptor_.close(ignored);
    bool is_taken = failure == asio::error::address_in_use;
    const char* cure = is_taken ? "; another program has this port: stop it or choose another port" : "";
    return unexpected(Code::kIo, fmt::format("cannot listen on {}:{}: {}{}", core_->options.host, core_->options.port,
                                             failure.message(), cure));
  }
  port_ = acceptor_.local_endpoint().port();
  core_->is_loopback = where->address().is_loopback();
  workers_.emplace(2);
  core_->workers = &*workers_;
  work_.emplace(core_->io.get_executor());
  accept();
  network_ = std::thread([this] { run_network(); });
  return {};
}

void BeastServer::run_network() {
  while (true) {
    try {
      core_->io.run();
      return;
    } catch (const std::exception& error) {
      log::error("network thread: error=\"{}\"", error.what());
    }
  }
}

void BeastServer::accept() {
  acceptor_.async_accept([this](error_code failure, tcp::socket socket) { on_accept(failure, std::move(socket)); });
}

void BeastServer::on_accept(error_code failure, tcp::socket socket) {
  if (core_->is_draining || !acceptor_.is_open()) return;
  if (failure) {
    // Out of descriptors, most likely: trying again at once would spin.
    log::warn("cannot accept a connection: {}", failure.message());
    retry_.expires_after(std::chrono::milliseconds(100));
    return retry_.async_wait([this](error_code cancelled) {
      if (!cancelled) accept();
    });
  }
  int open = core_->open;
  int limit = core_->options.max_connections;
  if (open < limit + kOverloadedConnections) {
    std::make_shared<Connection>(core_, std::move(socket), open >= limit)->start();
  }
  accept();
}

bool BeastServer::wait_closed(double for_s) {
  std::unique_lock lock(core_->mutex);
  return core_->all_closed.wait_for(lock, seconds(for_s), [&] { return core_->open == 0; });
}

void BeastServer::stop(double grace_s) {
  if (!network_.joinable()) return;
  // A copy, because a connection that closes leaves the set.
  auto each = [this](auto work) {
    core_->post([this, work] {
      std::vector<std::shared_ptr<Connection>> all;
      for (Connection* connection : core_->connections) all.push_back(connection->shared_from_this());
      for (auto& connection : all) work(*connection);
    });
  };
  core_->post([this] {
    core_->is_draining = true;
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  });
  auto each_session = [this](void (websocket::Session::*work)()) {
    core_->post([this, work] {
      const auto all = core_->sessions;
      for (const auto& [key, session] : all) ((*session).*work)();
    });
  };
  each([](Connection& connection) { connection.drain(); });
  each_session(&websocket::Session::go_away);
  if (!wait_closed(grace_s)) {
    each([](Connection& connection) { connection.abort(AbortReason::kStopping); });
    each_session(&websocket::Session::drop);
    if (!wait_closed(kAbortSeconds)) each([](Connection& connection) { connection.close(); });
  }
  core_->post([this] { work_.reset(); });
  network_.join();
  workers_->join();
  {
    std::lock_guard lock(core_->mutex);
    core_->takes_posts = false;
  }
  // What was posted meanwhile finds its connection closed.
  core_->io.restart();
  core_->io.poll();
}

}  // namespace

std::unique_ptr<HttpServer> make_http_server(ServerOptions options, std::vector<Route> routes,
                                             RequestObserver observer) {
  return std::make_unique<BeastServer>(std::move(options), std::move(routes), std::move(observer));
}

}  // namespace hearth::http
