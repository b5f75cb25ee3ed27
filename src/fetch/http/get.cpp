#include "fetch/http/get.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <thread>

#include <curl/curl.h>
#include <fmt/format.h>

#include "core/base/check.h"
#include "fetch/http/url.h"
#include "fetch/sha256.h"

namespace hearth::fetch {
namespace {

using Easy = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

struct HeaderList {
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list); }
  void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  curl_slist* list = nullptr;
};

std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& c : copy) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return copy;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

int64_t whole_number(std::string_view text) {
  int64_t value = -1;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() && value >= 0 ? value : -1;
}

// "bytes 100-199/200"
void read_content_range(std::string_view value, HttpResponse& response) {
  if (!value.starts_with("bytes ")) return;
  value.remove_prefix(6);
  size_t dash = value.find('-'), slash = value.find('/');
  if (slash == value.npos) return;
  response.range_total = whole_number(value.substr(slash + 1));
  if (dash < slash) response.range_start = whole_number(value.substr(0, dash));
}

std::string next_page_of(std::string_view link) {
  size_t rel = link.find("rel=\"next\"");
  size_t open = rel == link.npos ? link.npos : link.rfind('<', rel);
  size_t close = open == link.npos ? link.npos : link.find('>', open);
  return close == link.npos ? "" : std::string(link.substr(open + 1, close - open - 1));
}

// One request without redirects: its callbacks and what they collect.
class Hop {
 public:
  Hop(HttpResponse& response, const HttpBody& body) : response_(response), body_(body) {}

  static size_t on_header(char* bytes, size_t one, size_t size, void* self) {
    static_cast<Hop*>(self)->read_header(std::string_view(bytes, one * size));
    return one * size;
  }
  static size_t on_bytes(char* bytes, size_t one, size_t size, void* self) {
    return static_cast<Hop*>(self)->pass_on(bytes, one * size) ? one * size : 0;
  }
  static int on_tick(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Hop*>(self)->body_.is_cancelled() ? 1 : 0;
  }

  bool is_redirect() const {
    int status = response_.status;
    return !location_.empty() && (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
  }
  const std::string& location() const { return location_; }
  bool has_started() const { return has_started_; }
  void start() {
    has_started_ = true;
    if (auto going = body_.on_start(response_); !going) failure_ = going.error();
  }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void read_header(std::string_view line) {
    if (line.starts_with("HTTP/")) return begin_answer(line);
    size_t colon = line.find(':');
    if (colon == line.npos) return;
    std::string name = lower(line.substr(0, colon));
    std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "location") location_ = value;
    if (name == "etag") response_.etag = value;
    if (name == "content-type") response_.content_type = value;
    if (name == "content-length") response_.content_bytes = whole_number(value);
    if (name == "content-range") read_content_range(value, response_);
    if (name == "link") response_.next_page = next_page_of(value);
    if (name == "retry-after") response_.retry_after_s = static_cast<int>(std::min<int64_t>(whole_number(value), 3600));
    if (name == "x-linked-size") response_.linked_bytes = whole_number(value);
    if (name == "x-linked-etag") read_linked_etag(value);
  }
  // Informational answers and proxies send header blocks before the one that counts.
  void begin_answer(std::string_view line) {
    HttpResponse fresh{
        .url = response_.url, .linked_sha256 = response_.linked_sha256, .linked_bytes = response_.linked_bytes};
    size_t space = line.find(' ');
    if (space != line.npos) fresh.status = static_cast<int>(whole_number(line.substr(space + 1, 3)));
    response_ = fresh;
    location_.clear();
  }
  void read_linked_etag(std::string_view value) {
    if (value.starts_with("W/")) value.remove_prefix(2);
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    if (auto digest = parse_sha256(value)) response_.linked_sha256 = *digest;
  }
  bool pass_on(const char* bytes, size_t size) {
    if (is_redirect()) return true;  // a redirect's page is of no interest
    if (!has_started_) start();
    if (failure_) return false;
    if (auto taken = body_.on_bytes(bytes, size); !taken) failure_ = taken.error();
    return !failure_;
  }

  HttpResponse& response_;
  const HttpBody& body_;
  std::string location_;
  bool has_started_ = false;
  std::optional<Error> failure_;
};

void configure(CURL* curl, const Url& url, const HttpPolicy& policy, Hop& hop) {
  curl_easy_setopt(curl, CURLOPT_URL, url.text.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "hearth/0.1");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(policy.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(policy.stall_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Hop::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &hop);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Hop::on_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &hop);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Hop::on_tick);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &hop);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  if (url.is_loopback()) curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

// What no retry mends.
bool is_final(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return true;
    default: return false;
  }
}

Result<void> perform(const Url& url, const HttpRequest& request, bool send_token, const HttpPolicy& policy,
                     const HttpBody& body, Hop& hop, HttpResponse& response) {
  static const bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  Easy easy(is_ready ? curl_easy_init() : nullptr, curl_easy_cleanup);
  check(easy != nullptr, "libcurl can start a transfer");
  configure(easy.get(), url, policy, hop);
  HeaderList headers;
  if (send_token) headers.add("Authorization: Bearer " + request.bearer);
  if (request.from_byte > 0) headers.add(fmt::format("Range: bytes={}-", request.from_byte));
  if (request.from_byte > 0 && !request.if_range.empty()) headers.add("If-Range: " + request.if_range);
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.list);
  CURLcode code = curl_easy_perform(easy.get());
  if (hop.failure()) return unexpected(*hop.failure());
  if (code == CURLE_ABORTED_BY_CALLBACK || body.is_cancelled()) return unexpected(Code::kCancelled, "cancelled");
  if (code == CURLE_OK) return {};
  if (is_final(code)) return unexpected(Code::kIo, fmt::format("{}: {}", url.text, curl_easy_strerror(code)));
  response.was_stalled = code == CURLE_OPERATION_TIMEDOUT;
  response.cut = response.was_stalled
                     ? fmt::format("nothing arrived from {} for {} s", url.host, policy.stall_timeout.count())
                     : fmt::format("{}: {}", url.host, curl_easy_strerror(code));
  return {};
}

}  // namespace

Result<HttpResponse> http_get(const HttpRequest& request, const HttpPolicy& policy, const HttpBody& body) {
  auto first = Url::parse(request.url);
  if (!first) return unexpected(first.error());
  HttpResponse response;
  bool may_send_token = !request.bearer.empty();
  Url url = *first;
  for (int hops = 0;; ++hops) {
    if (auto safe = check_is_safe(url, request.has_hash); !safe) {
      return unexpected(hops == 0 ? safe.error() : safe.error().within(fmt::format("{} redirects away", first->text)));
    }
    may_send_token = may_send_token && url.is_same_origin(*first);
    response.url = url.text;
    Hop hop(response, body);
    if (auto done = perform(url, request, may_send_token, policy, body, hop, response); !done) {
      return unexpected(done.error());
    }
    if (!response.cut.empty()) return response;
    if (!hop.is_redirect()) {
      if (!hop.has_started()) hop.start();
      if (hop.failure()) return unexpected(*hop.failure());
      return response;
    }
    if (hops == policy.max_redirects) {
      return unexpected(Code::kIo, fmt::format("{} redirects more than {} times", first->text, policy.max_redirects));
    }
    auto next = url.resolve(hop.location());
    if (!next) return unexpected(next.error());
    url = *std::move(next);
  }
}

bool is_worth_retrying(const HttpResponse& response) {
  int status = response.status;
  return !response.cut.empty() || status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

Error status_error(const HttpResponse& response, bool sent_token) {
  if (response.status == 404 || response.status == 410) {
    return Error(Code::kNotFound,
                 fmt::format("{} does not exist (HTTP {}); check the spelling", response.url, response.status));
  }
  if (response.status == 401 || response.status == 403) {
    std::string_view cure = sent_token
                                ? "the token in HF_TOKEN does not open it: accept the model's licence on its page "
                                  "with the account that the token belongs to"
                                : "a private or gated model needs a token in HF_TOKEN, and its licence accepted on "
                                  "its page";
    return Error(Code::kUnauthorized, fmt::format("{} is refused (HTTP {}); {}", response.url, response.status, cure));
  }
  return Error(Code::kIo, fmt::format("{} answers HTTP {}, expected 200", response.url, response.status));
}

bool back_off(const HttpPolicy& policy, int attempt, int retry_after_s, const std::function<bool()>& is_cancelled) {
  using std::chrono::milliseconds;
  constexpr milliseconds kLongest{30'000}, kTick{50};
  milliseconds wait = std::min(kLongest, policy.first_backoff * (int64_t{1} << std::clamp(attempt - 1, 0, 16)));
  if (retry_after_s > 0) wait = std::max(wait, std::min(2 * kLongest, milliseconds(retry_after_s * 1000)));
  auto end = std::chrono::steady_clock::now() + wait;
  while (!is_cancelled()) {
    auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    std::this_thread::sleep_for(std::min(left, kTick));
  }
  return false;
}

Result<HttpText> http_get_text(const HttpRequest& request, const HttpPolicy& policy,
                               const std::function<bool()>& is_cancelled, int64_t limit) {
  for (int attempt = 1;; ++attempt) {
    HttpText page;
    HttpBody body{.on_start = [](const HttpResponse&) -> Result<void> { return {}; },
                  .on_bytes = [&](const char* bytes, size_t size) -> Result<void> {
                    page.text.append(bytes, size);
                    if (std::ssize(page.text) <= limit) return {};
                    return unexpected(Code::kIo,
                                      fmt::format("{} answers more than {}", request.url, format_bytes(limit)));
                  },
                  .is_cancelled = is_cancelled};
    auto response = http_get(request, policy, body);
    if (!response) return unexpected(response.error());
    page.response = *response;
    if (!is_worth_retrying(*response)) {
      if (response->status != 200) return unexpected(status_error(*response, !request.bearer.empty()));
      return page;
    }
    if (attempt > policy.retries) {
      if (!response->cut.empty()) return unexpected(response->was_stalled ? Code::kTimeout : Code::kIo, response->cut);
      return unexpected(status_error(*response, !request.bearer.empty()));
    }
    if (!back_off(policy, attempt, response->retry_after_s, is_cancelled))
      return unexpected(Code::kCancelled, "cancelled");
  }
}

}  // namespace hearth::fetch
