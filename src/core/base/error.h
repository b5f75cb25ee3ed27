// One error type for two ways of failing (the third, our own bug, is check.h).
// * An expected refusal (no room, unknown model, bad field) travels as the error side of Result<T>.
// * Work that cannot go on (corrupt file, CUDA failure, missing tensor) throws Error; it is caught in four
//   named places only: main, the HTTP handler wrapper, the runtime worker loop, the fleet supervisor.
// A message says what was got, what was wanted and, where one exists, the cure.
#pragma once
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

namespace hearth {

class Value;

enum class Code {
  kInternal,         // our own bug
  kInvalidArgument,  // a field or flag is wrong
  kNotFound,         // no such model, route, file
  kCorruptFile,      // a file does not say what its format promises
  kUnsupported,      // understood, but not something this build does
  kNoMemory,         // the governor has no room
  kBusy,             // queue full, try later
  kCancelled,        // the client went away or asked to stop
  kContextLength,    // prompt longer than the context
  kUnauthorized,     // API key missing or wrong
  kIo,               // read, write, network
  kDevice,           // a CUDA or driver failure
  kTimeout,
};

/// Stable name used on the wire and in logs, such as "not_found".
std::string_view wire_name(Code code);

class Error : public std::exception {
 public:
  Error(Code code, std::string what, std::source_location where = std::source_location::current());

  /// Our own bug: check() throws this.
  static Error bug(std::string what, std::source_location where = std::source_location::current());

  /// A copy whose message is prefixed by "context: "; used while an error travels outwards.
  Error within(std::string_view context) const;
  /// A copy that also carries an object for programs: the numbers of a refusal, under stable names.
  Error with(std::shared_ptr<const Value> details) const;

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::source_location& where() const { return where_; }
  /// Null when there are none.
  const std::shared_ptr<const Value>& details() const { return details_; }

 private:
  Code code_;
  std::string message_;
  std::source_location where_;
  std::shared_ptr<const Value> details_;
};

}  // namespace hearth
