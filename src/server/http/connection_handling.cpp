// What becomes of a request: its handler, its answer or stream, its abort, or its upgrade to a WebSocket.
#include "server/http/connection.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "server/http/wire.h"

namespace hearth::http {
namespace {

bool is_upgrade(const HttpRequest& request) {
  return is_same_name(find_header(request.headers, "upgrade"), "websocket");
}

}  // namespace

void Connection::on_deadline() {
  switch (state_) {
    case State::kHeader: return refuse_and_close(408, "the request's header did not arrive in time");
    case State::kRoom: return refuse_and_close(503, "no memory for the request's body in time: try again soon");
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

void Connection::dispatch_request() {
  exchange_->request.body = std::move(parser_->get().body());
  parser_.reset();
  exchange_->is_read_whole = true;
  state_ = State::kHandling;
  arm(network_->options.request_timeout_s);
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
  std::shared_ptr<void> room = std::move(exchange_->request.room);
  HttpRequest request = exchange_->request;
  request.room = std::move(room);
  request.body = std::move(body);
  asio::post(
      *network_->workers, [route = exchange_->route, request = std::move(request), reply = std::move(reply)]() mutable {
        const std::shared_ptr<ResponseWriter> writer = std::move(reply);  // ends with the work, not with its queue
        call_handler(*route, request, writer);
      });
}

void Connection::answer(uint64_t sequence, HttpResponse response) {
  if (is_current(sequence) && !exchange_->head_sent()) send_response(std::move(response));
}

void Connection::send_response(HttpResponse response) {
  if (network_->is_draining) exchange_->keep_alive = false;
  send(exchange_->respond(std::move(response)));
}

void Connection::refuse_and_close(int status, std::string message) {
  exchange_->keep_alive = false;
  state_ = State::kHandling;
  send_response(error_response(api::http_error(status, std::move(message))));
}

void Connection::start_stream(uint64_t sequence, HttpResponse head) {
  if (!is_current(sequence) || exchange_->head_sent()) return;
  if (network_->is_draining) exchange_->keep_alive = false;
  send(exchange_->start_stream(std::move(head)));
}

void Connection::stream_text(uint64_t sequence, std::string_view text) {
  if (!is_current(sequence) || !exchange_->is_streaming() || text.empty()) return;
  send(exchange_->stream_text(text));
  if (outbox_.bytes() <= static_cast<size_t>(network_->options.max_unsent_bytes)) return;
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
  if (!is_current(sequence) || exchange_->is_answered() || network_->options.stream_keep_alive_s <= 0) return;
  silence_callback_ = std::move(callback);
  last_sent_ = SteadyClock::now();
  await_silence();
}

void Connection::abort(AbortReason reason) {
  if (state_ != State::kHandling || exchange_->is_answered() || !abort_state_ || abort_state_->is_aborted) return;
  exchange_->keep_alive = false;
  abort_state_->reason = reason;
  abort_state_->is_aborted = true;
  arm(kAbortSeconds);
  if (auto callback = std::exchange(abort_callback_, nullptr)) callback(reason);
}

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
  network_->connections.erase(this);
  error_code failure;
  const bool is_v6 = socket_.local_endpoint(failure).protocol() == tcp::v6();
  const int descriptor = failure ? -1 : socket_.release(failure);
  if (failure) return network_->count_closed();
  auto session = websocket::make_session({.io = network_->io, .descriptor = descriptor, .is_v6 = is_v6,
                                          .request = exchange_->request, .accept = exchange_->route->websocket,
                                          .dispatch = [network = network_](std::function<void()> work) {
                                            network->dispatch(std::move(work));
                                          },
                                          .closed = [network = network_](websocket::Session* gone) {
                                            network->sessions.erase(gone);
                                            network->count_closed();
                                          },
                                          .max_unsent_bytes = static_cast<size_t>(
                                              network_->options.max_socket_unsent_bytes),
                                          .silence_s = network_->options.socket_silence_s,
                                          .write_timeout_s = network_->options.write_timeout_s});
  network_->sessions.emplace(session.get(), session);
  session->start();
}

}  // namespace hearth::http
