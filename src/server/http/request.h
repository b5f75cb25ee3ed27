// One HTTP request as handlers see it. Plain data.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// First value of a header, compared without case; "" when absent.
std::string_view find_header(const Headers& headers, std::string_view name);

struct HttpRequest {
  std::string method, target;  // target as sent, path and query from it
  std::string path, query;     // path percent-decoded, query as sent
  Headers headers;
  std::string body;
  std::string remote;               // "127.0.0.1:54321"
  std::string id;                   // X-Request-Id: the client's when sane, else made here
  std::string rest;                 // what the route's trailing "*" matched, decoded
  std::vector<std::string> params;  // what its {name} segments matched, in order, decoded
  bool is_http11 = true;
  std::shared_ptr<void> room{};     // the right to hold a large body, as long as the request lives
};

/// The decoded value of a query parameter; `fallback` when it is absent.
std::string query_value(std::string_view query, std::string_view name, std::string_view fallback = "");
bool has_query_value(std::string_view query, std::string_view name);
/// All of them, decoded; of a name that stands twice the first.
std::map<std::string, std::string> query_values(std::string_view query);

}  // namespace hearth::http
