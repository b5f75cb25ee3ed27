// Which route answers a method and path. Pure; read-only after construction.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/http_server.h"

namespace hearth::http {

struct RouteMatch {
  const Route* route = nullptr;  // null: see allowed
  std::string rest;              // what "*" matched
  std::vector<std::string> params;   // what {name} segments matched
  std::vector<std::string> allowed;  // methods of this path; empty: no such path
};

class Router {
 public:
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}
  /// `path` as it was sent; its escapes must be good (see decode_path). The first route that fits answers.
  RouteMatch match(std::string_view method, std::string_view path) const;
  /// "GET /health, GET /v1/models, ..." for a 404.
  std::string list() const;

 private:
  std::vector<Route> routes_;
};

/// Percent-decoding; nothing for a bad escape or a NUL.
std::optional<std::string> decode_path(std::string_view path);

}  // namespace hearth::http
