#include "fetch/http/url.h"

#include <cctype>
#include <memory>

#include <curl/curl.h>
#include <fmt/format.h>

#include "core/base/check.h"

namespace hearth::fetch {
namespace {

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part(CURLU* handle, CURLUPart which, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

Result<Url> read(CURLU* handle, std::string_view text) {
  Url url;
  url.scheme = part(handle, CURLUPART_SCHEME);
  if (url.scheme != "http" && url.scheme != "https") {
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' is not an http or https address", text));
  }
  if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    return unexpected(Code::kInvalidArgument,
                      "an address must not carry a user or password: it would be kept in files "
                      "and logs");
  }
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  url.text = part(handle, CURLUPART_URL);
  url.host = part(handle, CURLUPART_HOST);
  for (char& c : url.host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  url.port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = part(handle, CURLUPART_PATH, CURLU_URLDECODE);
  return url;
}

bool is_dotted_loopback(std::string_view host) {
  if (!host.starts_with("127.")) return false;
  int dots = 0;
  for (char c : host) {
    if (c != '.' && !(c >= '0' && c <= '9')) return false;
    dots += c == '.';
  }
  return dots == 3;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  Handle handle(curl_url(), curl_url_cleanup);
  check(handle != nullptr, "libcurl can parse addresses");
  if (CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0); code != CURLUE_OK) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'{}' is not an http or https address: {}", text, curl_url_strerror(code)));
  }
  return read(handle.get(), text);
}

Result<Url> Url::resolve(std::string_view location) const {
  Handle handle(curl_url(), curl_url_cleanup);
  check(handle != nullptr && curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK,
        "a parsed address parses again");
  if (curl_url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK) {
    return unexpected(Code::kIo, fmt::format("{} redirects to '{}', which is no address", text, location));
  }
  return read(handle.get(), location);
}

bool Url::is_loopback() const { return host == "localhost" || host == "[::1]" || is_dotted_loopback(host); }

bool Url::is_same_origin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string Url::file_name() const { return path.substr(path.rfind('/') + 1); }

Result<void> check_is_safe(const Url& url, bool has_hash) {
  if (url.scheme == "https" || url.is_loopback() || has_hash) return {};
  return unexpected(Code::kInvalidArgument, fmt::format("{} is plain http, which anyone on the way can change; use "
                                                        "https, or give the file's SHA-256",
                                                        url.text));
}

std::string encode_path(std::string_view path) {
  std::string text;
  for (char c : path) {
    bool is_plain =
        std::isalnum(static_cast<unsigned char>(c)) || std::string_view("-._~/").find(c) != std::string_view::npos;
    if (is_plain) {
      text += c;
    } else {
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace hearth::fetch
