// Who may speak to the server: checks on the header alone, before a body is read. Pure functions.
//
// * Bound to loopback, only loopback names and allowed_hosts are taken as Host: a foreign name that resolves to
//   127.0.0.1 (DNS rebinding) gets 403. Bound elsewhere the same holds as soon as allowed_hosts names some.
// * A browser page of another origin is refused (403) unless its origin is allowed.
// * With an API key, every route that is not open wants "Authorization: Bearer <key>", "x-api-key: <key>" or the cookie
//   hearth_key (401).
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "server/http/http_server.h"

namespace hearth::http {

/// What the guards look at; views into one request.
struct GuardInput {
  std::string_view method, path, host;
  const Headers* headers = nullptr;
  bool is_loopback = true;     // the server is bound to a loopback address
  bool is_open_route = false;
};

/// The refusal, if any.
std::optional<api::ApiError> refuse_host(const GuardInput& input, const ServerOptions& options);
std::optional<api::ApiError> refuse_origin(const GuardInput& input, const ServerOptions& options);
std::optional<api::ApiError> refuse_key(const GuardInput& input, const ServerOptions& options);

/// "localhost:8188" -> "localhost", "[::1]:8188" -> "::1", in lower case.
std::string host_name(std::string_view host);
bool is_allowed_origin(std::string_view origin, const ServerOptions& options);
/// Takes the same time for every key of the right length.
bool equal_in_constant_time(std::string_view given, std::string_view secret);
/// 1 to 128 letters, digits and "-_.:" can be echoed and logged.
bool is_sane_request_id(std::string_view id);
std::string make_request_id();

}  // namespace hearth::http
