#include "api/common/error.h"

#include <utility>

namespace hearth::api {
namespace {

constexpr int kRetryAfterS = 2;  // a queue slot or memory is usually free again within a few seconds

struct Mapping {
  int status;
  const char* type;
  const char* code;  // nullptr: the error's own wire name
  int retry_after_s;
};

Mapping mapping_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return {400, "invalid_request_error", nullptr, 0};
    case Code::kUnsupported: return {400, "invalid_request_error", nullptr, 0};
    case Code::kContextLength: return {400, "invalid_request_error", nullptr, 0};
    case Code::kUnauthorized: return {401, "authentication_error", "invalid_api_key", 0};
    case Code::kNotFound: return {404, "not_found_error", "model_not_found", 0};
    case Code::kBusy: return {429, "rate_limit_error", nullptr, kRetryAfterS};
    case Code::kCancelled: return {499, "server_error", nullptr, 0};
    case Code::kNoMemory: return {503, "server_error", nullptr, kRetryAfterS};
    case Code::kTimeout: return {504, "server_error", nullptr, 0};
    case Code::kInternal:
    case Code::kCorruptFile:
    case Code::kIo:
    case Code::kDevice: return {500, "server_error", nullptr, 0};
  }
  return {500, "server_error", nullptr, 0};
}

const char* code_of_status(int status) {
  switch (status) {
    case 400: return "bad_request";
    case 401: return "invalid_api_key";
    case 403: return "forbidden";
    case 404: return "route_not_found";
    case 405: return "method_not_allowed";
    case 408: return "request_timeout";
    case 413: return "body_too_large";
    case 415: return "unsupported_media_type";
    case 417: return "expectation_failed";
    case 431: return "header_too_large";
    case 503: return "overloaded";
    case 504: return "timeout";
    default: return "internal";
  }
}

}  // namespace

ApiError to_api_error(const Error& error, std::string_view param) {
  Mapping mapping = mapping_of(error.code());
  ApiError out;
  out.status = mapping.status;
  out.type = mapping.type;
  out.code = mapping.code ? mapping.code : std::string(wire_name(error.code()));
  out.message = error.message();
  out.param = param;
  out.retry_after_s = mapping.retry_after_s;
  if (error.details()) out.details = *error.details();
  return out;
}

ApiError http_error(int status, std::string message) {
  ApiError out;
  out.status = status;
  out.type = status == 401 ? "authentication_error" : status < 500 ? "invalid_request_error" : "server_error";
  out.code = code_of_status(status);
  out.message = std::move(message);
  out.retry_after_s = status == 503 ? kRetryAfterS : 0;
  return out;
}

Value error_envelope(const ApiError& error) {
  Value inner = Value::object({
      {"message", error.message},
      {"type", error.type},
      {"param", error.param.empty() ? Value() : Value(error.param)},
      {"code", error.code.empty() ? Value() : Value(error.code)},
  });
  if (!error.details.is_null()) inner.set("details", error.details);
  return Value::object({{"error", std::move(inner)}});
}

}  // namespace hearth::api
