// One generation between an HTTP request and the service. Handler thread: start(). Everything after it runs on the
// network thread: the service's events are posted there, aborts come from there. It lives as long as the service holds
// its sink, so it needs no owner.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "api/openai/reply.h"
#include "api/openai/request.h"
#include "runtime/request.h"
#include "server/http/http_server.h"

namespace hearth::server {

/// Generations in flight; a slot is held until the generation ends.
class Slots {
 public:
  explicit Slots(int limit) : limit_(limit) {}
  /// An owner of one slot, or null when all are taken.
  static std::shared_ptr<void> take(const std::shared_ptr<Slots>& slots);

 private:
  const int limit_;
  std::atomic<int> taken_{0};
};

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(LanguageService& service, const openai::CompletionCall& call, std::shared_ptr<http::ResponseWriter> writer,
             std::shared_ptr<void> slot, std::string request_id);
  void start(GenerateRequest request);

 private:
  void take(const GenerateEvent& event);
  void begin_stream();
  void keep_alive();
  void take_stream(const GenerateEvent& event);
  void take_plain(const GenerateEvent& event);
  void aborted(http::AbortReason reason);
  void fail(const api::ApiError& error);
  void end();

  LanguageService& service_;
  std::shared_ptr<http::ResponseWriter> writer_;
  std::shared_ptr<void> slot_;
  const std::string id_;         // unique in the process, begins with the request's id
  const bool stream_;
  openai::PlainReply plain_;
  openai::StreamReply streamed_;
  bool is_streaming_ = false;    // the head has been sent
  bool is_ended_ = false;
};

}  // namespace hearth::server
