// Web addresses: parsed, judged, resolved. libcurl's parser does the work, so that what is judged is what is fetched.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::fetch {

struct Url {
  std::string text;    // normalised
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case
  std::string port;    // always set
  std::string path;    // percent-decoded

  /// kInvalidArgument for anything but http and https, and for an address that carries a user or password.
  static Result<Url> parse(std::string_view text);
  /// `location` as a redirect of this address gives it: absolute or relative.
  Result<Url> resolve(std::string_view location) const;

  bool is_loopback() const;
  /// Same scheme, host and port: where a token given for one may also go.
  bool is_same_origin(const Url& other) const;
  /// Last part of the path, "" when it ends in '/'.
  std::string file_name() const;
};

/// Plain http can be changed on the way: it is allowed to this machine, or when a hash proves the bytes.
Result<void> check_is_safe(const Url& url, bool has_hash);

/// Percent-encodes everything but unreserved characters and '/'.
std::string encode_path(std::string_view path);

}  // namespace hearth::fetch
