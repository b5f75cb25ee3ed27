// StopMatcher: holds back text that may turn out to be the beginning of a stop string, so that a client never sees any
// part of one.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  struct Out {
    std::string text;      // safe to send
    bool is_stopped = false;
  };
  /// Adds text; what comes back ends before the first stop string.
  Out push(std::string_view text);
  /// What is still held back when generation ends for another reason.
  std::string flush();

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace hearth
