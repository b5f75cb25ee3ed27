// One HTTP GET with its redirects. libcurl lives in get.cpp and url.cpp only. Redirects are followed here, not by
// libcurl: each hop is judged (check_is_safe), counted, its hub headers are kept, and a bearer token goes to the first
// host alone.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.h"
#include "core/base/units.h"

namespace hearth::fetch {

/// How patient a fetch is.
struct HttpPolicy {
  int max_redirects = 10;
  std::chrono::seconds connect_timeout{20};
  std::chrono::seconds stall_timeout{30};        // without a byte
  int retries = 5;                               // in a row without progress
  std::chrono::milliseconds first_backoff{500};  // doubles up to 30 s
};

struct HttpRequest {
  std::string url;
  std::string bearer;     // "" for none
  bool has_hash = false;  // the bytes will be proven: plain http is allowed
  int64_t from_byte = 0;  // > 0 asks for the rest only
  std::string if_range;   // the entity tag that the part came from
};

/// Status and the headers that a fetch needs, of the last hop; the linked_ ones of whichever hop sent them.
struct HttpResponse {
  int status = 0;
  std::string url;
  std::string etag;
  std::string content_type;
  std::string next_page;                       // address of rel="next" in Link
  int64_t content_bytes = -1;                  // of this answer's body
  int64_t range_start = -1, range_total = -1;  // Content-Range
  std::string linked_sha256;                   // x-linked-etag when it is a SHA-256
  int64_t linked_bytes = -1;                   // x-linked-size
  int retry_after_s = -1;
  std::string cut;  // why the body ended early; "" when it is whole
  bool was_stalled = false;
};

/// What the caller does with an answer. An error from either function ends the transfer and is returned.
struct HttpBody {
  std::function<Result<void>(const HttpResponse&)> on_start;  // once, before the first byte; redirects do not count
  std::function<Result<void>(const char* bytes, size_t size)> on_bytes;
  std::function<bool()> is_cancelled = [] { return false; };
};

/// Any status is an answer; so is a broken connection, with `cut` set and status 0 when no headers came. Errors: an
/// unsafe or wrong address, too many redirects, a certificate that does not hold, kCancelled, what `body` returned.
Result<HttpResponse> http_get(const HttpRequest& request, const HttpPolicy& policy, const HttpBody& body);

/// A small document as text, with retries. Statuses other than 200 are errors in words (see status_error).
struct HttpText {
  std::string text;
  HttpResponse response;
};
Result<HttpText> http_get_text(const HttpRequest& request, const HttpPolicy& policy,
                               const std::function<bool()>& is_cancelled, int64_t limit = 32 * MiB);

bool is_worth_retrying(const HttpResponse& response);
/// The error that a final status stands for: kNotFound, kUnauthorized or kIo.
Error status_error(const HttpResponse& response, bool sent_token);
/// Waits before attempt number `attempt` (1 is the first retry); false when cancelled meanwhile.
bool back_off(const HttpPolicy& policy, int attempt, int retry_after_s, const std::function<bool()>& is_cancelled);

}  // namespace hearth::fetch
