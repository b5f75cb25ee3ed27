#include "fetch/http/download.h"

#include <optional>

#include <fmt/format.h>

#include "fetch/http/partial.h"
#include "fetch/meter.h"

namespace hearth::fetch {
namespace {

// An entity tag that promises the same bytes; a weak one ("W/...") does not.
bool is_strong(std::string_view etag) { return etag.size() > 2 && etag.front() == '"'; }

class Download {
 public:
  Download(const DownloadRequest& request, ProgressSink& sink, Partial part)
      : request_(request),
        sink_(sink),
        part_(std::move(part)),
        meter_(sink, request.target.filename().string(), request.bytes) {}

  Result<Downloaded> run();

 private:
  Result<HttpResponse> attempt();
  Result<void> begin(const HttpResponse& response);
  Result<void> begin_anew(const HttpResponse& response);
  Result<void> judge_size(int64_t total) const;
  Result<Downloaded> finish();
  bool is_whole() const { return part_.total() >= 0 && part_.size() == part_.total(); }
  Unexpected given_up(const HttpResponse& response, int attempts) const;

  const DownloadRequest& request_;
  ProgressSink& sink_;
  Partial part_;
  Meter meter_;
  std::string linked_sha256_;
  int64_t linked_bytes_ = -1;
  bool takes_body_ = false;
  bool was_resumed_ = false;
};

Result<Downloaded> Download::run() {
  constexpr int kMostAttempts = 200;  // also when each one brings a little
  auto is_cancelled = [this] { return sink_.is_cancelled(); };
  int failures = 0;
  for (int attempts = 1;; ++attempts) {
    int64_t before = part_.size();
    auto response = attempt();
    if (!response) return unexpected(response.error());
    bool is_answer = response->status == 200 || response->status == 206;
    if (response->cut.empty() && is_answer) return finish();
    if (response->cut.empty() && response->status == 416) {  // the part is as long as the file, or longer
      if (is_whole()) return finish();
      part_.remove();
      auto fresh = Partial::open(request_.target, request_.url);
      if (!fresh) return unexpected(fresh.error());
      part_ = *std::move(fresh);
    } else if (!is_worth_retrying(*response)) {
      return unexpected(status_error(*response, !request_.bearer.empty()));
    }
    failures = part_.size() > before ? 1 : failures + 1;
    if (failures > request_.policy.retries || attempts == kMostAttempts) return given_up(*response, attempts);
    std::string why = response->cut.empty() ? fmt::format("HTTP {}", response->status) : response->cut;
    sink_.on_note(fmt::format("{}; trying again ({} of {})", why, failures, request_.policy.retries));
    if (!back_off(request_.policy, failures, response->retry_after_s, is_cancelled)) {
      return unexpected(Code::kCancelled, "cancelled");
    }
  }
}

Unexpected Download::given_up(const HttpResponse& response, int attempts) const {
  Error why = response.cut.empty() ? status_error(response, !request_.bearer.empty())
                                   : Error(response.was_stalled ? Code::kTimeout : Code::kIo, response.cut);
  std::string kept = part_.size() > 0
                         ? fmt::format("; {} are kept, pull again to go on from there", format_bytes(part_.size()))
                         : "; check the connection, then pull again";
  return unexpected(why.code(), fmt::format("gave up after {} attempts: {}{}", attempts, why.message(), kept));
}

Result<HttpResponse> Download::attempt() {
  takes_body_ = false;
  HttpRequest ask{.url = request_.url, .bearer = request_.bearer, .has_hash = !request_.sha256.empty()};
  // Without an entity tag only a hash can tell that the rest belongs to the part.
  bool can_resume = is_strong(part_.etag()) || !request_.sha256.empty();
  if (part_.size() > 0 && can_resume) ask.from_byte = part_.size();
  if (is_strong(part_.etag())) ask.if_range = part_.etag();
  HttpBody body{.on_start = [this](const HttpResponse& response) { return begin(response); },
                .on_bytes = [this](const char* bytes, size_t size) -> Result<void> {
                  if (!takes_body_) return {};
                  if (auto written = part_.write(bytes, size); !written) return written;
                  meter_.add(static_cast<int64_t>(size));
                  return {};
                },
                .is_cancelled = [this] { return sink_.is_cancelled(); }};
  return http_get(ask, request_.policy, body);
}

Result<void> Download::begin(const HttpResponse& response) {
  linked_sha256_ = response.linked_sha256;
  linked_bytes_ = response.linked_bytes;
  if (response.status == 200) return begin_anew(response);
  if (response.status != 206) return {};
  bool continues = response.range_start == part_.size() && part_.size() > 0 &&
                   (part_.total() < 0 || response.range_total < 0 || response.range_total == part_.total());
  if (!continues) {
    part_.remove();
    return unexpected(
        Code::kCorruptFile,
        fmt::format("{} sends bytes from {} of {}, asked for those from {} of {}; the "
                    "part was thrown away, pull again",
                    response.url, response.range_start, response.range_total, part_.size(), part_.total()));
  }
  if (part_.was_found()) sink_.on_note(fmt::format("going on after {}", format_bytes(part_.size())));
  was_resumed_ = true;
  takes_body_ = true;
  meter_.set_total(part_.total());
  meter_.set_done(part_.size());
  return need_room(request_.target.parent_path(), response.content_bytes);
}

Result<void> Download::begin_anew(const HttpResponse& response) {
  if (part_.size() > 0 && part_.was_found()) sink_.on_note("the file changed on the server; starting again");
  if (auto fits = judge_size(response.content_bytes); !fits) return fits;
  if (auto emptied = part_.restart(response.etag, response.content_bytes); !emptied) return emptied;
  was_resumed_ = false;
  takes_body_ = true;
  meter_.set_total(response.content_bytes);
  meter_.set_done(0);
  return need_room(request_.target.parent_path(), response.content_bytes);
}

Result<void> Download::judge_size(int64_t total) const {
  int64_t wanted = request_.bytes >= 0 ? request_.bytes : linked_bytes_;
  if (wanted < 0 || total < 0 || wanted == total) return {};
  return unexpected(Code::kCorruptFile, fmt::format("{} has {} bytes, its listing says {}; pull again later",
                                                    request_.target.filename().string(), total, wanted));
}

Result<Downloaded> Download::finish() {
  if (part_.total() >= 0 && !is_whole()) {
    int64_t got = part_.size(), wanted = part_.total();
    part_.remove();
    return unexpected(Code::kCorruptFile, fmt::format("{} arrived with {} bytes, expected {}; it was thrown away",
                                                      request_.target.filename().string(), got, wanted));
  }
  if (auto fits = judge_size(part_.size()); !fits) {
    part_.remove();
    return unexpected(fits.error());
  }
  Downloaded done{.bytes = part_.size(), .was_resumed = was_resumed_};
  std::string expected = request_.sha256.empty() ? linked_sha256_ : request_.sha256;
  auto digest = part_.commit(expected);
  if (!digest) return unexpected(digest.error());
  meter_.finish();
  done.sha256 = *digest;
  done.was_proven = !expected.empty();
  return done;
}

}  // namespace

Result<Downloaded> download(const DownloadRequest& request, ProgressSink& sink) {
  // A part may have been damaged by a power cut: then the hash fails, and one more try starts from nothing.
  for (bool is_second = false;; is_second = true) {
    auto part = Partial::open(request.target, request.url);
    if (!part) return unexpected(part.error());
    bool had_part = part->was_found();
    auto done = Download(request, sink, *std::move(part)).run();
    bool was_damaged = !done && done.error().code() == Code::kCorruptFile && had_part && !is_second;
    if (!was_damaged) return done;
    sink.on_note(fmt::format("{}; starting again", done.error().message()));
  }
}

}  // namespace hearth::fetch
