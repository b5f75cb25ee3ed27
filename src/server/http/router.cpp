#include "server/http/router.h"

#include <algorithm>

namespace hearth::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string_view> match_pattern(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with('*')) return pattern == path ? std::optional<std::string_view>("") : std::nullopt;
  pattern.remove_suffix(1);
  if (!path.starts_with(pattern) || path.size() == pattern.size()) return std::nullopt;
  return path.substr(pattern.size());
}

void add_once(std::vector<std::string>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

RouteMatch Router::match(std::string_view method, std::string_view path) const {
  RouteMatch out;
  std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : routes_) {
    auto rest = match_pattern(route.pattern, path);
    if (!rest) continue;
    if (route.method == wanted && !out.route) {
      out.route = &route;
      out.rest = *rest;
    }
    add_once(out.allowed, route.method);
    if (route.method == "GET") add_once(out.allowed, "HEAD");
  }
  if (!out.allowed.empty()) add_once(out.allowed, "OPTIONS");
  return out;
}

std::string Router::list() const {
  std::string out;
  for (const Route& route : routes_) {
    if (!out.empty()) out += ", ";
    out += route.method + " " + route.pattern;
  }
  return out;
}

std::optional<std::string> decode_path(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    int high = i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(path[i + 2]) : -1;
    if (low < 0 || high * 16 + low == 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace hearth::http
