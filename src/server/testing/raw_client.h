// A TCP client that sends exactly the bytes a test wants and reads answers with a deadline.
#pragma once
#include <string>
#include <string_view>

namespace hearth::server {

class RawClient {
 public:
  /// Connects to 127.0.0.1; `receive_buffer` > 0 shrinks what the kernel takes in for a client that does not read.
  explicit RawClient(int port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const { return descriptor_ >= 0; }
  /// False when the server has closed.
  bool send(std::string_view bytes);
  /// Reads until `mark` has come (returned text ends with what was read so far), the server closed or 20 s passed.
  std::string read_until(std::string_view mark);
  /// One answer with Content-Length or chunks: head, empty line, decoded body. `without_body` after HEAD.
  std::string read_response(bool without_body = false);
  /// Everything until the server closes; reset connections count as closed.
  std::string read_all();
  bool has_answer_within(int milliseconds);
  bool is_at_end();  // the server closed and nothing is left to read; waits up to 20 s
  void hang_up();
  void reset();      // closes with RST

 private:
  bool fill();  // reads some more into pending_; false at the end
  std::string take(size_t bytes);

  int descriptor_ = -1;
  std::string pending_;
};

/// "POST path HTTP/1.1" with Host, Content-Length and JSON content.
std::string post_text(std::string_view path, std::string_view body, std::string_view extra_headers = "");
std::string get_text(std::string_view path, std::string_view extra_headers = "");
/// The status of an answer; 0 when it is none.
int status_of(std::string_view response);

}  // namespace hearth::server
