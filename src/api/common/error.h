// The one place where an Error becomes an HTTP status and the error envelope that OpenAI clients read:
//   {"error": {"message", "type", "param", "code"}}
// A refusal that has numbers carries them as "details" beside these.
// Pure functions; no state.
#pragma once
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/value.h"

namespace hearth::api {

struct ApiError {
  int status = 500;
  std::string type = "server_error";
  std::string code;
  std::string message;
  std::string param;      // the field to blame; empty: none
  int retry_after_s = 0;  // > 0: sent as Retry-After
  Value details{};        // null: none
};

/// Status, type and code of an error that work for a client returned. `param` names the field it is about.
ApiError to_api_error(const Error& error, std::string_view param = "");

/// An error that HTTP itself knows (404 route, 405, 413, ...); type and code follow from the status.
ApiError http_error(int status, std::string message);

/// The envelope.
Value error_envelope(const ApiError& error);

}  // namespace hearth::api
