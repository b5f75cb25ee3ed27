#include "server/http/wire.h"

#include <algorithm>
#include <cctype>
#include <ctime>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::http {
namespace {

std::string http_date() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, length);
}

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 101: return "Switching Protocols";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return status < 500 ? "Unknown" : "Internal Server Error";
  }
}

bool is_same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (is_same_name(key, name)) return value;
  }
  return "";
}

HttpResponse error_response(const api::ApiError& error) {
  HttpResponse out;
  out.status = error.status;
  out.body = json::write(api::error_envelope(error));
  if (error.retry_after_s > 0) out.headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  if (error.status == 401) out.headers.emplace_back("WWW-Authenticate", "Bearer");
  return out;
}

std::string render_head(const HttpResponse& response, HeadOptions options) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nServer: hearth\r\nX-Content-Type-Options: nosniff\r\n",
                                response.status, reason_phrase(response.status), http_date());
  if (!options.request_id.empty()) out += fmt::format("X-Request-Id: {}\r\n", options.request_id);
  for (const auto& [name, value] : response.headers) {
    if (is_clean(name) && is_clean(value)) out += fmt::format("{}: {}\r\n", name, value);
  }
  if (response.status != 204 && response.status != 304) {
    out += fmt::format("Content-Type: {}\r\n", response.content_type);
    if (options.framing == Framing::kLength) out += fmt::format("Content-Length: {}\r\n", response.body.size());
    if (options.framing == Framing::kChunked) out += "Transfer-Encoding: chunked\r\n";
  }
  return out + (options.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

std::string render_chunk(std::string_view text) { return fmt::format("{:x}\r\n{}\r\n", text.size(), text); }

}  // namespace hearth::http
