#include "server/http/guard.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <random>

#include <fmt/format.h>

#include "server/http/router.h"

namespace hearth::http {
namespace {

constexpr size_t kMaxShown = 80;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMaxShown));
  std::replace_if(out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

bool is_loopback_name(const std::string& name) {
  return name == "localhost" || name == "::1" || name == "127.0.0.1" || name.ends_with(".localhost");
}

// "https://app.example:443" -> "app.example:443"; "" for "null" and other opaque origins.
std::string_view authority_of(std::string_view origin) {
  size_t at = origin.find("://");
  return at == origin.npos ? std::string_view() : origin.substr(at + 3);
}

// The port a browser leaves out is the scheme's own.
std::string without_default_port(std::string_view authority) {
  std::string out = lower(authority);
  if (out.ends_with(":80")) out.resize(out.size() - 3);
  if (out.ends_with(":443")) out.resize(out.size() - 4);
  return out;
}

// Pictures, WebSockets and foreign frontends of a page cannot send headers of their own; a cookie goes by itself, and
// the checks of origin keep other sites from using it.
std::string cookie_key(const Headers& headers) {
  std::string_view rest = find_header(headers, "cookie");
  constexpr std::string_view kName = "hearth_key=";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(';'), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(kName)) return decode_path(pair.substr(kName.size())).value_or("");
  }
  return "";
}

std::string given_key(const Headers& headers) {
  std::string_view bearer = find_header(headers, "authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (bearer.size() > kScheme.size() && lower(bearer.substr(0, kScheme.size())) == kScheme) {
    bearer.remove_prefix(kScheme.size());
    while (bearer.starts_with(' ')) bearer.remove_prefix(1);
    return std::string(bearer);
  }
  const std::string_view named = find_header(headers, "x-api-key");
  return named.empty() ? cookie_key(headers) : std::string(named);
}

}  // namespace

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) return lower(host.substr(1, host.find(']') == host.npos ? host.npos : host.find(']') - 1));
  return lower(host.substr(0, host.rfind(':') == host.npos ? host.npos : host.rfind(':')));
}

bool is_allowed_origin(std::string_view origin, const ServerOptions& options) {
  std::string wanted = lower(origin);
  return std::any_of(options.allowed_origins.begin(), options.allowed_origins.end(), [&](const std::string& allowed) {
    return allowed == "*" || (lower(allowed) == wanted && wanted != "null");
  });
}

std::optional<api::ApiError> refuse_host(const GuardInput& input, const ServerOptions& options) {
  if (!input.is_loopback && options.allowed_hosts.empty()) return std::nullopt;
  std::string name = host_name(input.host);
  if (is_loopback_name(name)) return std::nullopt;
  for (const std::string& allowed : options.allowed_hosts) {
    if (allowed == "*" || lower(allowed) == name) return std::nullopt;
  }
  return api::http_error(403, fmt::format("host '{}' is not this server's: it answers to localhost{}; add the name to "
                                          "allowed_hosts to use it", shown(name),
                                          input.is_loopback ? " and listens on loopback only" : " and allowed_hosts"));
}

std::optional<api::ApiError> refuse_origin(const GuardInput& input, const ServerOptions& options) {
  std::string_view origin = find_header(*input.headers, "origin");
  if (!origin.empty()) {
    if (is_allowed_origin(origin, options)) return std::nullopt;
    std::string_view authority = authority_of(origin);
    bool is_same = !authority.empty() && without_default_port(authority) == without_default_port(input.host);
    if (is_same) return std::nullopt;
    return api::http_error(403, fmt::format("pages of '{}' may not use this server: add the origin to allowed_origins",
                                            shown(origin)));
  }
  if (find_header(*input.headers, "sec-fetch-site") != "cross-site") return std::nullopt;
  // Following a link to the start page shows it and reads nothing.
  const bool is_page = input.path == "/" || input.path == "/hearth";
  bool follows_link = is_page && input.method == "GET" &&
                      find_header(*input.headers, "sec-fetch-mode") == "navigate";
  if (follows_link) return std::nullopt;
  return api::http_error(403, "requests from pages of other sites are refused: add their origin to allowed_origins");
}

std::optional<api::ApiError> refuse_key(const GuardInput& input, const ServerOptions& options) {
  if (options.api_key.empty() || input.is_open_route) return std::nullopt;
  const std::string key = given_key(*input.headers);
  if (equal_in_constant_time(key, options.api_key)) return std::nullopt;
  return api::http_error(401, key.empty() ? "this server wants an API key: send 'Authorization: Bearer <key>'"
                                          : "the API key is wrong");
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  if (secret.empty()) return false;
  size_t difference = given.size() ^ secret.size();
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i % secret.size()]);
  }
  return difference == 0;
}

bool is_sane_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':');
  });
}

std::string make_request_id() {
  static const uint64_t base = [] {
    std::random_device device;
    return (static_cast<uint64_t>(device()) << 32) | device();
  }();
  static std::atomic<uint64_t> next{0};
  // A counter through a bijective mix: unique in the process, different between processes.
  uint64_t x = base + next.fetch_add(1) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return fmt::format("{:016x}", x ^ (x >> 31));
}

}  // namespace hearth::http
