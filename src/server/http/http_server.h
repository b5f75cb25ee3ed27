// HTTP/1.1 behind an interface that names no library (Boost stays inside this folder and server/websocket).
//
// One network thread owns every connection; a few worker threads run the handlers, so a handler may parse a large body
// but must not wait for a model. It answers through its ResponseWriter, at once or later, from any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/common/error.h"
#include "core/base/result.h"
#include "server/http/request.h"
#include "server/websocket/websocket.h"

namespace hearth::http {

struct HttpResponse {
  int status = 200;
  Headers headers;             // Content-Length, Date, Connection and X-Request-Id are added
  std::string content_type = "application/json";
  std::string body;
};

HttpResponse error_response(const api::ApiError& error);

enum class AbortReason {
  kHungUp,    // the client closed its side: nothing can be sent
  kTooSlow,   // it does not read: nothing more will be sent
  kTimeout,   // request_timeout_s passed: an error may still be sent
  kStopping,  // the server stops and grace is over: likewise
};

/// One request's answer. Thread-safe; calls after the end or after the client has gone do nothing. Letting the last
/// reference go without an answer sends a 500; in the middle of a stream it cuts the connection.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  /// A whole answer, unless start_stream() was called.
  virtual void respond(HttpResponse response) = 0;
  /// Status and headers (body ignored); then any number of write(), then finish().
  virtual void start_stream(HttpResponse head) = 0;
  virtual void write(std::string text) = 0;
  virtual void finish() = 0;
  /// Bytes given to write() that the client has not taken yet. Above max_unsent_bytes it is aborted as too slow.
  virtual size_t unsent_bytes() const = 0;
  virtual bool is_aborted() const = 0;
  /// Called once on the network thread if the request is aborted before its end; at once if it already was.
  virtual void on_abort(std::function<void(AbortReason)> callback) = 0;
  /// Called on the network thread each time nothing was sent for stream_keep_alive_s, until the answer ends.
  virtual void on_silence(std::function<void()> callback) = 0;
  /// Runs on the network thread, in order, even after an abort; dropped once the server has stopped.
  virtual void post(std::function<void()> work) = 0;
};

using Handler = std::function<void(const HttpRequest&, std::shared_ptr<ResponseWriter>)>;

/// A pattern is matched segment by segment against the path as it was sent, still percent-encoded: "{name}" takes one
/// segment (which may hold an encoded slash), a trailing "*" any rest of at least one byte.
struct Route {
  std::string method;          // "GET" also answers HEAD
  std::string pattern;         // "/v1/models", "/history/{id}", "/v1/models/*"
  std::string help;            // one line for readers; empty: left out of the list that a 404 gives
  bool is_open = false;        // needs no API key
  Handler handler;
  int64_t max_body_bytes = 0;  // 0: the server's
  websocket::Accept websocket{};  // what an upgrade of this route opens; empty: it is a plain request
};

struct ServerOptions {
  std::string host = "127.0.0.1";  // address, or a name that resolves to one
  int port = 8188;                 // 0: any free one
  std::string api_key;             // empty: none asked for
  int64_t max_body_bytes = int64_t{32} << 20;
  int64_t max_header_bytes = 32 << 10;
  int64_t max_unsent_bytes = 4 << 20;
  int64_t max_socket_unsent_bytes = 64 << 20;  // likewise of a WebSocket, where whole pictures may wait
  double header_timeout_s = 10;    // from a request's first byte (or the connect) to the end of its header
  double body_timeout_s = 60;      // from the header's end to the body's
  double idle_timeout_s = 75;      // kept-alive connections without a request
  double write_timeout_s = 30;     // without the client taking a byte
  double request_timeout_s = 0;    // from the body's end to the answer's; 0: none
  double socket_silence_s = 5;     // a WebSocket without a message for this long says something
  double stream_keep_alive_s = 12;  // a stream silent for this long gets a comment; proxies cut at 30 or 60; 0: never
  int max_connections = 512;
  int max_queue = 256;             // generations in flight, waiting ones included
  std::vector<std::string> allowed_origins;  // "https://app.example" or "*"
  std::vector<std::string> allowed_hosts;    // names besides localhost when bound to loopback
  /// Asked for room before a body of more than 64 KiB is read, on a thread of its own; what it gives is held while the
  /// request lives. An error is the request's answer. Empty: nobody is asked.
  std::function<Result<std::shared_ptr<void>>(int64_t bytes)> hold_body{};
};

/// Called on the network thread after each answer. `route` is the pattern, or "other".
struct RequestRecord {
  std::string_view route, method;
  int status = 0;
  double seconds = 0;
  int64_t sent_bytes = 0;
};
using RequestObserver = std::function<void(const RequestRecord&)>;

class HttpServer {
 public:
  virtual ~HttpServer() = default;  // stops at once when stop() was not called
  /// Binds, listens and starts the threads. kIo names address and port when that cannot be.
  virtual Result<void> start() = 0;
  virtual int port() const = 0;
  virtual int open_connections() const = 0;
  /// Stops accepting; running requests may finish for `grace_s`, then are aborted; within a second all is closed.
  virtual void stop(double grace_s) = 0;
};

std::unique_ptr<HttpServer> make_http_server(ServerOptions options, std::vector<Route> routes,
                                             RequestObserver observer);

}  // namespace hearth::http
