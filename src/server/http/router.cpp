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

struct Captures {
  std::string rest;
  std::vector<std::string> params;
};

// Takes the text up to the next '/' off the front, and the slash.
std::string_view take_segment(std::string_view& text) {
  const size_t slash = text.find('/');
  const std::string_view out = text.substr(0, slash);
  text = slash == text.npos ? std::string_view() : text.substr(slash + 1);
  return out;
}

size_t count_segments(std::string_view text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '/')); }

bool match_segment(std::string_view pattern, std::string_view segment, Captures& captures) {
  const bool is_plain = segment.find('%') == segment.npos;
  if (!pattern.starts_with('{')) return is_plain ? pattern == segment : decode_path(segment) == pattern;
  auto text = decode_path(segment);
  if (!text || text->empty()) return false;
  captures.params.push_back(std::move(*text));
  return true;
}

std::optional<Captures> match_pattern(std::string_view pattern, std::string_view path) {
  const bool takes_rest = pattern.ends_with('*');
  const size_t wanted = count_segments(pattern), given = count_segments(path);
  if (takes_rest ? given < wanted : given != wanted) return std::nullopt;
  Captures out;
  for (size_t i = 0; i <= wanted; ++i) {
    if (takes_rest && i == wanted) {
      auto rest = decode_path(path);
      if (!rest || rest->empty()) return std::nullopt;
      out.rest = std::move(*rest);
    } else if (!match_segment(take_segment(pattern), take_segment(path), out)) {
      return std::nullopt;
    }
  }
  return out;
}

void add_once(std::vector<std::string>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

RouteMatch Router::match(std::string_view method, std::string_view path) const {
  RouteMatch out;
  std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : routes_) {
    auto captures = match_pattern(route.pattern, path);
    if (!captures) continue;
    if (route.method == wanted && !out.route) {
      out.route = &route;
      out.rest = std::move(captures->rest);
      out.params = std::move(captures->params);
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
    if (route.help.empty()) continue;
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

namespace {

// Calls `take(name, value)` for each pair, both as sent, until it says true.
template <class Take>
void each_query_pair(std::string_view query, Take take) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
    const size_t equals = pair.find('=');
    if (take(pair.substr(0, equals), equals == pair.npos ? std::string_view() : pair.substr(equals + 1))) return;
  }
}

std::string decode_query(std::string_view sent) {
  std::string text(sent);
  std::replace(text.begin(), text.end(), '+', ' ');
  return decode_path(text).value_or(text);
}

std::optional<std::string> find_query_value(std::string_view query, std::string_view name) {
  std::optional<std::string> out;
  each_query_pair(query, [&](std::string_view key, std::string_view value) {
    if (key != name) return false;
    out = decode_query(value);
    return true;
  });
  return out;
}

}  // namespace

std::string query_value(std::string_view query, std::string_view name, std::string_view fallback) {
  return find_query_value(query, name).value_or(std::string(fallback));
}

bool has_query_value(std::string_view query, std::string_view name) {
  return find_query_value(query, name).has_value();
}

std::map<std::string, std::string> query_values(std::string_view query) {
  std::map<std::string, std::string> out;
  each_query_pair(query, [&](std::string_view key, std::string_view value) {
    if (!key.empty()) out.emplace(decode_query(key), decode_query(value));
    return false;
  });
  return out;
}

}  // namespace hearth::http
