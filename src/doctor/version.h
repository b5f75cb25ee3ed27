// Version numbers of packages and drivers: compared number by number, whatever stands behind them.
#pragma once
#include <compare>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::doctor {

class Version {
 public:
  /// "2.9.1+cu130" -> 2.9.1 and "cu130"; a letter ends the numbers, so that 0.11.1rc3 is 0.11.1.
  explicit Version(std::string_view text);
  const std::string& text() const { return text_; }
  const std::string& local() const { return local_; }
  bool is_known() const { return !numbers_.empty(); }
  int major() const { return numbers_.empty() ? 0 : numbers_[0]; }
  /// Missing numbers count as 0: 3.6 equals 3.6.0.
  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }

 private:
  std::string text_, local_;
  std::vector<int> numbers_;
};

inline bool is_below(std::string_view version, std::string_view bound) { return Version(version) < Version(bound); }

}  // namespace hearth::doctor
