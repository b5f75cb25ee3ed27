#include "core/base/error.h"

#include <utility>

namespace hearth {

std::string_view wire_name(Code code) {
  switch (code) {
    case Code::kInternal: return "internal";
    case Code::kInvalidArgument: return "invalid_argument";
    case Code::kNotFound: return "not_found";
    case Code::kCorruptFile: return "corrupt_file";
    case Code::kUnsupported: return "unsupported";
    case Code::kNoMemory: return "no_memory";
    case Code::kBusy: return "busy";
    case Code::kCancelled: return "cancelled";
    case Code::kContextLength: return "context_length_exceeded";
    case Code::kUnauthorized: return "unauthorized";
    case Code::kIo: return "io";
    case Code::kDevice: return "device";
    case Code::kTimeout: return "timeout";
  }
  return "internal";
}

Error::Error(Code code, std::string what, std::source_location where)
    : code_(code), message_(std::move(what)), where_(where) {}

Error Error::bug(std::string what, std::source_location where) {
  return Error(Code::kInternal, std::move(what), where);
}

Error Error::within(std::string_view context) const {
  Error out = *this;
  out.message_ = std::string(context) + ": " + message_;
  return out;
}

Error Error::with(std::shared_ptr<const Value> details) const {
  Error out = *this;
  out.details_ = std::move(details);
  return out;
}

}  // namespace hearth
